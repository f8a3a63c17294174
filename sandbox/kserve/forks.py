"""The containers' processes, forked from one that has already imported what they need.

Importing TensorFlow and KServe's server takes many seconds of CPU and 700 MB; a fork of a process that has them takes
tenths of a second and 40 MB of its own. It matters where two servers run beside each other and every version brings a
new one. The forking process is Python's own `multiprocessing.forkserver`: it ends when this process does.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver, util
from multiprocessing.context import ForkServerProcess
from pathlib import Path

POLL_SECONDS = 0.02
PR_SET_PDEATHSIG = 1
_LONGEST_FOLDER = 70
"""Characters: the address of a socket has 107, of which multiprocessing takes 32 for its own names."""
Main = Callable[[Sequence[str]], int]

_context = multiprocessing.get_context("forkserver")


def prepare() -> None:
    """Start the forking process, which imports in the background; again is harmless."""
    _context.set_forkserver_preload(["sandbox.kserve.preloaded"])
    _make_room_for_sockets()
    forkserver.ensure_running()


@dataclass(eq=False)
class ForkedProcess:
    """A running function, in a process group of its own and with its output in a log.

    Attributes
    ----------
    grace
        Seconds between SIGTERM and SIGKILL when it is stopped.
    """

    log: Path
    grace: float
    _process: ForkServerProcess = field(repr=False)
    _polling: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def start(
        cls, main: Main, arguments: Sequence[str], log: Path, environment: Mapping[str, str], grace: float
    ) -> ForkedProcess:
        """Fork, and run ``main(arguments)``, which returns the exit code. Blocks until the imports are done.

        Parameters
        ----------
        environment
            The whole environment of the process.
        """
        prepare()
        log.parent.mkdir(parents=True, exist_ok=True)
        process = _context.Process(
            target=_run, args=(main, list(arguments), str(log), dict(environment)), daemon=True
        )
        process.start()
        return cls(log, grace, process)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        with self._polling:  # two readers at once would share one answer
            return self._process.exitcode

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    def output(self) -> str:
        """What has been written to its log."""
        return self.log.read_bytes().decode(errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """SIGKILL for it and what it started."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, the grace, SIGKILL; returns when it has ended."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self.grace
        while self.alive:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(POLL_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        if not self.alive:
            return
        with contextlib.suppress(ProcessLookupError):
            leads = os.getpgid(self.pid) == self.pid  # not yet in its very first moment
            (os.killpg if leads else os.kill)(self.pid, number)


def _run(main: Main, arguments: list[str], log: str, environment: dict[str, str]) -> None:
    """In the forked process: become what a program of its own would be, then run."""
    os.setsid()
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.environ.clear()
    os.environ.update(environment)
    raise SystemExit(main(arguments))


def _make_room_for_sockets() -> None:
    """Have multiprocessing make its folder where the address of a socket in it is not too long, whatever TMPDIR says."""
    kept = tempfile.tempdir
    try:
        if len(tempfile.gettempdir()) > _LONGEST_FOLDER:
            tempfile.tempdir = "/tmp"  # noqa: S108 - multiprocessing makes a folder of its own in it
        util.get_temp_dir()
    finally:
        tempfile.tempdir = kept
