"""Gunzipping a stream, in larger pieces and so about twice as fast as the standard library's file object."""

import zlib

from trainer.archives.entry import Readable

_PIECE = 2**18
_GZIP = 31  # header, checksum and length are read and checked by zlib


class Gunzip:
    """The content of a gzip stream of one or several members.

    Raises
    ------
    EOFError, zlib.error
        When it is cut off or damaged.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(_GZIP)
        self._waiting = b""
        self._full = False

    def read(self, size: int, /) -> bytes:
        """Return at least one byte, at most `size`; none at the end."""
        while not self._inflate.eof or self._next_member():
            if not self._waiting and not self._full:
                self._waiting = self._stream.read(_PIECE)
                if not self._waiting:
                    raise EOFError("it ends before its end mark")
            found = self._inflate.decompress(self._waiting, size)
            self._waiting = self._inflate.unconsumed_tail
            # As much as was allowed: more may be inside zlib although it has taken all input.
            self._full = len(found) == size
            if found:
                return found
        return b""

    def _next_member(self) -> bool:
        rest = self._inflate.unused_data
        while not (rest := rest.lstrip(b"\0")):  # padding is allowed between and after members
            if not (rest := self._stream.read(_PIECE)):
                return False
        self._inflate, self._waiting, self._full = zlib.decompressobj(_GZIP), rest, False
        return True
