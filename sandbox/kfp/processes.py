"""A step as a process on this machine, under `worker.py`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_WORKER = Path(__file__).with_name("worker.py")
_PASSED = frozenset(
    {"HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "XDG_CACHE_HOME"}
)
_PASSED |= {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "LD_LIBRARY_PATH"}
_PASSED_PREFIXES = ("PIP_", "TF_", "OMP_", "UV_")


@dataclass(frozen=True)
class StepProcess:
    """What is started for one attempt at a task.

    Attributes
    ----------
    environment
        Added to the few variables that every step gets; may hold secrets, so it is in no representation.
    folder
        Working folder, and the place of temporary files.
    timeout
        Seconds, None for no limit.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    timeout: float | None = None

    def __repr__(self) -> str:
        return f"StepProcess({self.log})"


@dataclass(frozen=True)
class StepResult:
    exit_code: int
    last_line: str
    timed_out: bool


def base_environment(folder: Path) -> dict[str, str]:
    """The variables that a step gets whatever it is: none of the stand-in's credentials are among them."""
    kept = {k: v for k, v in os.environ.items() if k in _PASSED or k.startswith(_PASSED_PREFIXES)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}


async def run_process(step: StepProcess) -> StepResult:
    """Run to the end; when cancelled, return only after the step's process group is gone."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(_WORKER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    job = {
        "command": step.command,
        "env": base_environment(step.folder) | dict(step.environment),
        "cwd": str(step.folder),
        "log": str(step.log),
        "timeout": step.timeout,
    }
    try:
        worker.stdin.write(json.dumps(job).encode() + b"\n")
        await worker.stdin.drain()
        answer = await worker.stdout.read()
    finally:
        worker.stdin.close()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await asyncio.shield(worker.wait())
    if not answer.strip():
        return StepResult(127, "the step's command could not be started", False)
    result = json.loads(answer)
    return StepResult(result["exit_code"], result["last_line"], result["timed_out"])
