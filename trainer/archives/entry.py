"""What both kinds of archive come down to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

CHUNK = 2**20  # bytes moved at a time


class Readable(Protocol):
    """A stream of bytes; `read` may return fewer than asked for, and none only at the end."""

    def read(self, size: int, /) -> bytes: ...


class Seekable(Readable, Protocol):
    """A stream that can be read again from anywhere."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class Entry:
    """A file or a folder of an archive.

    Attributes
    ----------
    name
        As the archive has it, not looked at yet.
    size
        In bytes, as promised.
    content
        A file's bytes, None for a folder. To be read before the next entry is asked for.
    """

    name: str
    size: int
    content: Iterator[bytes] | None
