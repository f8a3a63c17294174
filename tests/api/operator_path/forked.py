"""Operators that begin in a moment: forked from a process that has imported the program once.

Importing the operator and the Kubeflow compiler takes some seconds of CPU, and the tests of the path start an operator
each. What runs is the same: the program's own `main`, in a process of its own that can be stopped and killed.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from sandbox.processes import ProcessError

_START = multiprocessing.get_context("forkserver")
_START.set_forkserver_preload(["trainandserve.operation", "trainandserve.pipeline.definition"])
_GRACE = 10.0
_POLL_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1
_TAIL_LINES = 25


def _operate(log: str, environment: dict[str, str]) -> None:
    """Become the operator: in the child, which the kernel ends with the tests if they are killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.environ.clear()
    os.environ.update(environment)
    for module in ("kubernetes.config.kube_config", "kubernetes_asyncio.config.kube_config"):
        # Read from the environment when it was imported, which is over.
        importlib.import_module(module).KUBE_CONFIG_DEFAULT_LOCATION = environment["KUBECONFIG"]  # type: ignore[attr-defined]
    from trainandserve.__main__ import main

    sys.exit(main(["run"]))


class ForkedOperator:
    """A running operator, its log and the way to end it."""

    def __init__(self, process: ForkServerProcess, log: Path) -> None:
        self._process = process
        self._log = log
        self._asking = threading.Lock()  # the exit code can be read once, and two threads may ask

    @classmethod
    def start(cls, log: Path, environment: Mapping[str, str]) -> ForkedOperator:
        """Start one with that environment and no other, its output appended to `log`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        process = _START.Process(target=_operate, args=(str(log), dict(environment)), daemon=True)
        process.start()
        return cls(process, log)

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        with self._asking:
            return self._process.exitcode

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    def output(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def failure(self, what: str) -> ProcessError:
        """An error that says `what` and shows the end of the log."""
        tail = "\n".join(self.output().splitlines()[-_TAIL_LINES:])
        return ProcessError(f"the operator {what}; the end of {self._log}:\n{tail}")

    def wait(self, timeout: float) -> int:
        """Wait for it to end by itself; its exit code, negative for a signal."""
        deadline = time.monotonic() + timeout
        while (code := self.exit_code) is None:
            if time.monotonic() > deadline:
                raise self.failure(f"was still running after {timeout:g} s")
            time.sleep(_POLL_SECONDS)
        return code

    def stop(self) -> None:
        """SIGTERM, the grace, SIGKILL."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.wait(_GRACE)
            except ProcessError:
                os.kill(self.pid, signal.SIGKILL)
                self.wait(_GRACE)
