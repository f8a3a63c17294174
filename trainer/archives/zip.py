"""A zip: its directory is at the end, so it needs a stream that can be read from anywhere.

The entries are read in the order in which they lie, so that a stream from afar is read once, and forwards.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, cast

from trainer.archives.entry import CHUNK, Entry, Seekable
from trainer.archives.limits import Budget
from trainer.archives.names import shown
from trainer.errors import WrongInput

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    ValueError,
    OverflowError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADER_BYTES = 30
_ENCRYPTED = 0x41  # bits 0 and 6 of the flags


def entries(stream: Seekable, budget: Budget) -> Iterator[Entry]:
    """Yield what the zip holds.

    Raises
    ------
    WrongInput
        If it is damaged, encrypted, compressed in another way than by deflate, or holds anything but files
        and folders.
    """
    try:
        with zipfile.ZipFile(_opened(stream, budget)) as archive:
            for info in _in_order(archive, budget):
                _check(info, budget.archive)
                if info.is_dir():
                    yield Entry(info.filename, 0, None)
                else:
                    budget.promised(info.file_size)
                    with archive.open(info) as content:
                        yield Entry(info.filename, info.file_size, _pieces(content, budget))
    except _UNREADABLE as error:
        raise _damaged(budget.archive, error) from error


def names(stream: Seekable, budget: Budget) -> list[str] | None:
    """Return the names of the entries, None if it is no readable zip."""
    try:
        with zipfile.ZipFile(_opened(stream, budget)) as archive:
            return archive.namelist()
    except _UNREADABLE:
        return None


def _opened(stream: Seekable, budget: Budget) -> IO[bytes]:
    return cast("IO[bytes]", _Capped(stream, budget))


def _in_order(archive: zipfile.ZipFile, budget: Budget) -> list[zipfile.ZipInfo]:
    found = sorted(archive.infolist(), key=lambda info: info.header_offset)
    if len(found) > budget.limits.entries:
        raise WrongInput(
            f"{budget.archive} holds {len(found)} entries, more than {budget.limits.entries};"
            " upload the files without an archive"
        )
    ends = [*(info.header_offset for info in found), archive.start_dir][1:]
    for info, end in zip(found, ends, strict=True):
        if info.header_offset < 0 or info.header_offset + _HEADER_BYTES + info.compress_size > end:
            raise WrongInput(
                f"{budget.archive} is damaged: {shown(info.filename)} overlaps what follows; pack it again"
            )
    return found


def _check(info: zipfile.ZipInfo, archive: str) -> None:
    name, kind = shown(info.filename), stat.S_IFMT(info.external_attr >> 16)
    if "\0" in info.orig_filename:
        raise WrongInput(f"{archive} holds an entry named {shown(info.orig_filename)}: control characters")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a symbolic link" if kind == stat.S_IFLNK else "a device or pipe"
        raise WrongInput(
            f"{archive} holds {what} ({name}); only files and folders are unpacked: pack it again without"
        )
    if (info.is_dir() and info.file_size) or (not info.is_dir() and kind == stat.S_IFDIR):
        raise WrongInput(f"{archive} is damaged: {name} is a folder and a file; pack it again")
    if info.flag_bits & _ENCRYPTED:
        raise WrongInput(f"{archive} is encrypted ({name}); upload it without a password")
    if info.compress_type not in _METHODS:
        method = zipfile.compressor_names.get(info.compress_type, info.compress_type)  # type: ignore[attr-defined]
        raise WrongInput(f"{archive} is compressed by {method} ({name}); only deflate is read: pack it again")


def _pieces(content: IO[bytes], budget: Budget) -> Iterator[bytes]:
    try:
        while piece := content.read(CHUNK):
            budget.spend(len(piece))
            yield piece
    except _UNREADABLE as error:
        raise _damaged(budget.archive, error) from error


def _damaged(archive: str, error: Exception) -> WrongInput:
    return WrongInput(f"{archive} is damaged or no zip ({error}); pack and upload it again")


class _Capped:
    """The stream for `zipfile`, which reads a directory of whatever size into memory."""

    def __init__(self, stream: Seekable, budget: Budget) -> None:
        self._stream, self._budget = stream, budget
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1, /) -> bytes:
        cap = self._budget.limits.directory_bytes
        if size > cap:
            raise WrongInput(f"{self._budget.archive} has a directory of over {cap} bytes; upload the files")
        return self._stream.read(size if size >= 0 else cap)

    def seekable(self) -> bool:
        return True
