"""Writing below one folder and nowhere else, whatever lies there."""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from trainer.errors import WrongInput

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """A folder that files are written into, each step of a path opened by itself and never through a link.

    Modes are 0644 and 0755 less the umask: whatever an archive says of owners, modes and times is not kept.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.files = self.bytes = 0
        self._root = os.open(directory, _FOLDER)
        self._at: tuple[str, ...] = ()
        self._open = os.dup(self._root)

    def __enter__(self) -> "Tree":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._open)
        os.close(self._root)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WrongInput(
                f"the disk was full after {self.bytes} bytes of data; give the step more ephemeral storage"
            ) from error

    def folder(self, path: tuple[str, ...]) -> None:
        """Make a folder, and those above it."""
        self._enter(path)

    def file(self, path: tuple[str, ...], content: Iterable[bytes]) -> None:
        """Write a new file; the folders above it are made."""
        self._enter(path[:-1])
        target = os.open(path[-1], _NEW_FILE, 0o644, dir_fd=self._open)
        try:
            for piece in content:
                self._write(target, piece)
        finally:
            os.close(target)
        self.files += 1

    def _write(self, target: int, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            written = os.write(target, rest)
            self.bytes += written
            rest = rest[written:]

    def _enter(self, path: tuple[str, ...]) -> None:
        if path == self._at:
            return
        reached = os.dup(self._root)
        try:
            for part in path:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=reached)
                below = os.open(part, _FOLDER, dir_fd=reached)
                os.close(reached)
                reached = below
        except BaseException:
            os.close(reached)
            raise
        os.close(self._open)
        self._open, self._at = reached, path
