"""The cache folder: what is slow to get is got once per user and kept whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

POLL_SECONDS = 0.2


def cache_folder() -> Path:
    """`$TRAINANDSERVE_CACHE`, or else `$XDG_CACHE_HOME` or `~/.cache`, followed by `trainandserve`."""
    chosen = os.environ.get("TRAINANDSERVE_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(chosen) if chosen else Path.home() / ".cache").absolute() / "trainandserve"


def kept(file: Path) -> bool:
    """Whether `keep` finished with `file`, by the checksum beside it and the length it names."""
    try:
        _, _, length = _marker(file).read_text().partition(" ")
        return file.stat().st_size == int(length)
    except (FileNotFoundError, ValueError):
        return False


def keep(source: Path, file: Path) -> None:
    """Copy `source` to `file`, mode included, then write `<file>.sha256`: the sign that the file is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _marker(file).unlink(missing_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    shutil.copy(source, partial)
    with partial.open("rb") as whole:
        checksum = hashlib.file_digest(whole, "sha256").hexdigest()
    partial.replace(file)
    marker = _marker(partial)
    marker.write_text(f"{checksum} {file.stat().st_size}\n")
    marker.replace(_marker(file))


def _marker(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


@contextlib.contextmanager
def locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold `folder` for this process alone; `say` once that another one has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        waiting = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    say(f"waiting for another process that fills {folder}")
                waiting = True
                time.sleep(POLL_SECONDS)
        yield
