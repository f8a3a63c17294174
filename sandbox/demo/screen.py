"""What the demo prints: headings, plain lines, and progress as one line that changes (or, in a file, as a few)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

QUIET_SECONDS = 15.0
"""In a file, a progress line that does not change is written again after so long, to show that it is alive."""

LONGEST = 160
"""Characters of a progress line: what a model server said last may be long."""


class Screen:
    """A terminal, or a file; lines come from several threads."""

    def __init__(self, out: TextIO = sys.stdout, terminal: bool | None = None) -> None:
        self._out = out
        self._terminal = out.isatty() if terminal is None else terminal
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._updating = False
        self._last = ""
        self._last_at = 0.0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def say(self, text: str = "") -> None:
        """Print lines, below a progress line that may be there."""
        with self._lock:
            self._close()
            self._write(text + "\n")

    def progress(self, text: str, since: float) -> None:
        """Show where something is; `since` is `seconds` at its start."""
        now = self.seconds
        with self._lock:
            line = shortened(f"  {now - since:4.0f} s  {text}", LONGEST)
            if self._terminal:
                self._write(f"\r\033[K{line[: _columns()]}")
                self._updating = True
            elif text != self._last or now - self._last_at > QUIET_SECONDS:
                self._write(line + "\n")
                self._last_at = now
            self._last = text

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        """Print a heading before, and the time it took after."""
        since = self.seconds
        self.say(f"\n== {title}")
        yield
        self.say(f"   ({self.seconds - since:.0f} s)")

    def _close(self) -> None:
        if self._updating:
            self._write("\n")
            self._updating = False

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def shortened(text: str, length: int) -> str:
    """Text of at most so many characters, with dots at the end where some are left out."""
    return text if len(text) <= length else text[: length - 4] + " ..."


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 1
