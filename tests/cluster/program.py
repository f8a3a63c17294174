"""The operator's process, started here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

GRACE_SECONDS = 30.0
_TAIL = 40


class Program:
    """A program in a session of its own, its output in a file."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self._log = log

    @classmethod
    def operator(cls, log: Path, environment: Mapping[str, str]) -> Program:
        """Start an operator; it ends with a Ctrl-C only when it is stopped."""
        command = [sys.executable, "-m", "trainandserve", "run"]
        with log.open("wb") as output:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        return cls(popen, log)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def failure(self, what: str) -> Exception:
        return RuntimeError(f"the operator {what}; the end of its log:\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.output().splitlines()[-_TAIL:])

    def wait(self, timeout: float) -> int:
        return self._popen.wait(timeout)

    def stop(self) -> None:
        """SIGTERM, the grace, SIGKILL."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        try:
            self._popen.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
