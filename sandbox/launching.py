"""How a child process begins: from a thread that lasts, and bound to the life of this process.

Used by `sandbox.processes` alone.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future

# Runs in the child, between fork and the program: asks the kernel for a signal at the parent's death, then
# becomes the program under the same pid. A launcher and not preexec_fn, which may deadlock among threads.
_LAUNCHER = """
import ctypes, os, sys
signal_number, parent = int(sys.argv[1]), int(sys.argv[2])
try:
    ctypes.CDLL(None).prctl(1, signal_number, 0, 0, 0)
except (OSError, AttributeError):
    pass
if os.getppid() != parent:
    sys.exit("the starting process ended before its child began")
try:
    os.execvp(sys.argv[3], sys.argv[3:])
except OSError as error:
    sys.exit(f"cannot start {sys.argv[3]}: {error.strerror}")
"""


def bound_to_parent(on_parent_death: signal.Signals) -> list[str]:
    """What to put before a command, so that the kernel sends it that signal when this process dies."""
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(int(on_parent_death)), str(os.getpid())]


class Starter:
    """Starts children from one thread that lives as long as this process.

    The kernel's parent-death signal follows the *thread* that forked, so a child started by a pool's thread
    would be killed when the pool shrinks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._calls: queue.SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ]

    def popen(self, call: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._pid != os.getpid():  # first use, or the first one after a fork, which copies no threads
                self._calls = queue.SimpleQueue()
                threading.Thread(
                    target=self._run, args=(self._calls,), name="process-starter", daemon=True
                ).start()
                self._pid = os.getpid()
        future: Future[subprocess.Popen[bytes]] = Future()
        self._calls.put((call, future))
        return future.result()

    @staticmethod
    def _run(
        calls: queue.SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ],
    ) -> None:
        while True:
            call, future = calls.get()
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)


starter = Starter()
