"""What the programs of the sandbox begin and end with: signals that end them once, and a folder that goes with them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ended_once() -> Iterator[None]:
    """Turn the first Ctrl-C into KeyboardInterrupt, SIGTERM and SIGHUP into SystemExit, and ignore what follows.

    An impatient second Ctrl-C would otherwise interrupt the stopping of what was started. Main thread only.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        for ending in _ENDING:
            signal.signal(ending, signal.SIG_IGN)
        os.write(2, b"\nstopping ...\n")
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def working_folder(name: str) -> Iterator[Path]:
    """Make a temporary folder that is removed at the end; after a failure its logs stay, and their place is said."""
    folder = Path(tempfile.mkdtemp(prefix=f"trainandserve-{name}-"))
    try:
        yield folder
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        keep_logs(folder)
        print(f"The logs are in {folder}", file=sys.stderr, flush=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def keep_logs(folder: Path) -> None:
    """Remove everything from a folder but logs: `*.log`, and whatever lies below a folder called `logs`."""
    for parent, folders, files in os.walk(folder, topdown=False):
        inside = Path(parent)
        is_logs = "logs" in inside.relative_to(folder).parts
        for name in files:
            if not is_logs and not name.endswith(".log"):
                (inside / name).unlink(missing_ok=True)
        for name in folders:
            if (inside / name).is_symlink():
                (inside / name).unlink()
                continue
            with contextlib.suppress(OSError):  # what is not empty stays
                (inside / name).rmdir()
