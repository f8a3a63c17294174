"""A stored object as a file that is read from afar: in parts, a few ahead of the reader."""

import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

PART = 8 * 2**20
AHEAD = 4
_KEPT = AHEAD + 3  # what was read ahead at the beginning is still there after a look at the end


class Ranged(io.RawIOBase):
    """A seekable stream over ranges of bytes; a few parts are in memory.

    Parameters
    ----------
    size
        Of the whole, in bytes.
    fetch
        Given first and last byte (inclusive), returns these bytes; called from several threads. What it raises,
        `read` raises.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes], part: int = PART) -> None:
        self._size, self._fetch, self._part = size, fetch, part
        self._at, self._last = 0, -1
        self._parts: dict[int, Future[bytes]] = {}
        self._threads = ThreadPoolExecutor(AHEAD)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if begin + offset < 0:
            raise ValueError(f"negative position {begin + offset}")
        self._at = begin + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        pieces = []
        while self._at < end:
            number, offset = divmod(self._at, self._part)
            piece = self._got(number)[offset : offset + end - self._at]
            pieces.append(piece)
            self._at += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _got(self, number: int) -> bytes:
        # Ahead only of a reader that goes forwards: a zip is read from its end first.
        ahead = AHEAD if number in (self._last, self._last + 1) else 0
        self._last = number
        for each in range(number, min(number + ahead, (self._size - 1) // self._part) + 1):
            found = self._parts.pop(each, None)
            self._parts[each] = found or self._threads.submit(self._fetched, each)
        for old in list(self._parts)[: max(len(self._parts) - _KEPT, 0)]:
            self._parts.pop(old).cancel()
        return self._parts[number].result()

    def _fetched(self, number: int) -> bytes:
        begin = number * self._part
        end = min(begin + self._part, self._size) - 1
        found = self._fetch(begin, end)
        if len(found) != end - begin + 1:
            raise EOFError(f"{len(found)} bytes came where {end - begin + 1} were asked for")
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._parts.clear()
        super().close()
