"""The one place where the sandbox starts programs.

A child gets a process group of its own, so that stopping it stops what it started too, and a log file instead
of a pipe, so that nobody has to read along. On Linux the kernel signals it when this process dies without
stopping it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.launching import bound_to_parent, starter

POLL_SECONDS = 0.02
TAIL_LINES = 25


class ProcessError(RuntimeError):
    """A program ended, or did not become ready in time; the message ends with the tail of its log."""


@dataclass(eq=False)
class ChildProcess:
    """A running program, its log and the way to end it.

    Attributes
    ----------
    name
        What to call it in messages.
    log
        Standard output and error, appended.
    grace
        Seconds between SIGTERM and SIGKILL when it is stopped.
    """

    name: str
    log: Path
    grace: float
    _popen: subprocess.Popen[bytes] = field(repr=False)
    _log_start: int = 0
    _stopping: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = 10.0,
        on_parent_death: signal.Signals = signal.SIGTERM,
    ) -> ChildProcess:
        """Start `command` in a session of its own, with its output in `log`.

        Parameters
        ----------
        env
            The whole environment; this process's own if None. Secrets go here: command lines are public.
        on_parent_death
            What the kernel sends to the program when this process dies (Linux only).

        Raises
        ------
        ProcessError
            If Python itself cannot be started. A program that does not exist shows as one that ended at once.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        launcher = bound_to_parent(on_parent_death)
        with log.open("ab") as output:
            log_start = output.tell()

            def call() -> subprocess.Popen[bytes]:
                return subprocess.Popen(
                    [*launcher, *map(str, command)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if env is None else dict(env),
                    cwd=cwd,
                    start_new_session=True,
                )

            try:
                popen = starter.popen(call)
            except OSError as error:
                raise ProcessError(f"{name} cannot be started: {error}") from error
        return cls(name, log, grace, popen, log_start)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._popen.returncode is not None:
            return self._popen.returncode
        # Seen but not reaped: the dead leader's pid keeps the group's id from being given to somebody else.
        try:
            end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return self._popen.poll()
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    def output(self) -> str:
        """What it has written since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = TAIL_LINES) -> str:
        return "\n".join(self.output().splitlines()[-lines:])

    def failure(self, what: str) -> ProcessError:
        """An error that says `what` and shows the end of the log."""
        return ProcessError(f"{self.name} {what}; the end of {self.log}:\n{self.tail()}")

    def wait(self, timeout: float) -> int:
        """Wait for it to end by itself.

        Returns
        -------
        int
            The exit code, negative for a signal.

        Raises
        ------
        ProcessError
            If it is still running after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while (code := self.exit_code) is None:
            if time.monotonic() > deadline:
                raise self.failure(f"was still running after {timeout:g} s")
            time.sleep(POLL_SECONDS)
        return code

    def wait_until(self, ready: Callable[[], bool], timeout: float, what: str = "ready") -> None:
        """Poll `ready` until it is true.

        Raises
        ------
        ProcessError
            If the program ends first, or is not `what` after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if (code := self.exit_code) is not None:
                raise self.failure(f"ended with exit code {code} before it was {what}")
            if time.monotonic() > deadline:
                raise self.failure(f"was not {what} after {timeout:g} s")
            time.sleep(POLL_SECONDS)

    def wait_for_line(self, pattern: str, timeout: float) -> re.Match[str]:
        """Wait until a whole line of the output matches `pattern` (a regular expression)."""
        found: list[re.Match[str]] = []

        def seen() -> bool:
            whole_lines = self.output().rpartition("\n")[0]
            match = re.search(rf"^(?:{pattern})$", whole_lines, re.MULTILINE)
            found.extend([match] if match else [])
            return bool(found)

        self.wait_until(seen, timeout, what=f"saying {pattern!r}")
        return found[0]

    def stop(self) -> None:
        """End it and everything in its process group: SIGTERM, the grace, SIGKILL."""
        with self._stopping:
            if self._popen.returncode is not None:
                return
            self._signal_group(signal.SIGTERM)
            deadline = time.monotonic() + self.grace
            while self.alive and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
            self._signal_group(signal.SIGKILL)  # also what a leader that ended left behind
            self._popen.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class ProcessStack:
    """Programs that depend on each other: stopped in the reverse order of their start."""

    def __init__(self) -> None:
        self._children: list[ChildProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = 10.0,
        on_parent_death: signal.Signals = signal.SIGTERM,
    ) -> ChildProcess:
        """Start a program on top of the others; see `ChildProcess.start`."""
        child = ChildProcess.start(
            name, command, log, env=env, cwd=cwd, grace=grace, on_parent_death=on_parent_death
        )
        self._children.append(child)
        return child

    @property
    def children(self) -> tuple[ChildProcess, ...]:
        """The programs, first started first."""
        return tuple(self._children)

    def drop(self, child: ChildProcess) -> None:
        """Stop one program alone."""
        child.stop()
        self._children.remove(child)

    def check(self) -> None:
        """Raise ProcessError if one of the programs has ended."""
        for child in self._children:
            if (code := child.exit_code) is not None:
                raise child.failure(f"ended with exit code {code}")

    def stop(self) -> None:
        """Stop all, last started first; one that resists does not keep the others alive."""
        with contextlib.ExitStack() as stops:
            for child in self._children:
                stops.callback(child.stop)
            self._children = []
