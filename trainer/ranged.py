"""A stored object as a file that is read from afar: in parts, a few ahead of the reader."""

import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

PART = 8 * 2**20
AHEAD = 4


class Ranged(io.RawIOBase):
    """A seekable stream over ranges of bytes; at most `AHEAD` + 1 parts are in memory.

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
        self._at = 0
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
        last = (self._size - 1) // self._part
        wanted = range(number, min(number + AHEAD, last) + 1)
        for old in [each for each in self._parts if each not in wanted]:
            self._parts.pop(old).cancel()
        for each in wanted:
            if each not in self._parts:
                self._parts[each] = self._threads.submit(self._fetched, each)
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
