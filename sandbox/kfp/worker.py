"""Runs one step's command; started by path and with the standard library only, so that it starts in no time.

On standard input comes one line of JSON: command, env, cwd, log, timeout (seconds or null). Standard input
then stays open: when it closes, whoever started the step is gone or wants it stopped, and the step's process
group is ended. On standard output goes one line of JSON: exit_code, last_line (of standard error), timed_out.

Secrets are in `env` only: they travel by a pipe and end in the environment of the step's own process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

GRACE_SECONDS = 2.0
_LAST_LINE = 2048


def main() -> None:
    job = json.loads(sys.stdin.readline())
    with Path(job["log"]).open("ab", buffering=0) as log:
        try:
            process = _start(job, log)
        except OSError as error:
            log.write(f"{error}\n".encode())
            print(json.dumps({"exit_code": 127, "last_line": str(error), "timed_out": False}), flush=True)
            return
        signal.signal(signal.SIGTERM, lambda *_: end(process))
        threading.Thread(target=_end_with_input, args=(process,), daemon=True).start()
        result = _watch(process, log, job["timeout"])
    # Whatever the step left running in its group ends with it, as everything in a container does.
    _signal(process, signal.SIGKILL)
    print(json.dumps(result), flush=True)
    os._exit(0)


def _start(job: dict[str, Any], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        job["command"],
        env=job["env"],
        cwd=job["cwd"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _watch(process: subprocess.Popen[bytes], log: IO[bytes], timeout: float | None) -> dict[str, Any]:
    last: list[str] = []
    reader = threading.Thread(target=_copy, args=(process, log, last), daemon=True)
    reader.start()
    timed_out = False
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        end(process)
    reader.join(GRACE_SECONDS)
    code = process.returncode
    return {
        "exit_code": code if code >= 0 else 128 - code,
        "last_line": "".join(last),
        "timed_out": timed_out,
    }


def _copy(process: subprocess.Popen[bytes], log: IO[bytes], last: list[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        log.write(line)
        if line.strip():
            last[:] = [line.decode(errors="replace").rstrip()[-_LAST_LINE:]]


def _end_with_input(process: subprocess.Popen[bytes]) -> None:
    sys.stdin.read()
    end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the step's process group to stop, then make it."""
    _signal(process, signal.SIGTERM)
    timer = threading.Timer(GRACE_SECONDS, _signal, (process, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


if __name__ == "__main__":
    main()
