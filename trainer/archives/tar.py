"""A tar as a stream: ustar, GNU long names and pax headers, one 512-byte block after another.

The blocks themselves are read with the standard library's parser of headers. What lies above it there reads an
extended header of any size into memory and recurses at each one, so that part is here, within limits.
Format: IEEE Std 1003.1, "pax"; GNU tar manual, "Basic Tar Format".
"""

import tarfile
from collections.abc import Iterator

from trainer.archives.entry import CHUNK, Entry, Readable
from trainer.archives.limits import Budget
from trainer.archives.names import shown
from trainer.errors import WrongInput

_BLOCK = tarfile.BLOCKSIZE
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_OF_NEXT = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_OTHERS = {
    tarfile.LNKTYPE: "a link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


def entries(stream: Readable, budget: Budget) -> Iterator[Entry]:
    """Yield what the tar holds.

    Raises
    ------
    WrongInput
        If it is damaged or cut off, or holds anything but files and folders.
    """
    blocks = _Blocks(stream, budget)
    said: dict[str, str] = {}  # by the extended headers of the entry that comes next
    while (info := _header(blocks)) is not None:
        if info.type in _OF_NEXT:
            said |= _pax(blocks.extended(info.size), budget.archive)
        elif info.type == tarfile.XGLTYPE:
            _check_global(_pax(blocks.extended(info.size), budget.archive), budget.archive)
        elif info.type == tarfile.GNUTYPE_LONGNAME:
            said["path"] = blocks.extended(info.size).rstrip(b"\0").decode("utf-8", "surrogateescape")
        elif info.type == tarfile.GNUTYPE_LONGLINK:
            blocks.extended(info.size)
        else:
            yield _entry(info, said, blocks)
            said = {}
            blocks.finish()
    blocks.check_rest()


def _entry(info: tarfile.TarInfo, said: dict[str, str], blocks: "_Blocks") -> Entry:
    archive, name = blocks.budget.archive, said.get("path", info.name)
    sparse = any(key.startswith("GNU.sparse") for key in said)
    if info.type == tarfile.DIRTYPE and not sparse:
        return Entry(name, 0, None)
    if info.type not in _FILES or sparse:
        kind = "a sparse file" if sparse else _OTHERS.get(info.type, f"an entry of the type {info.type!r}")
        raise WrongInput(
            f"{archive} holds {kind} ({shown(name)}); only files and folders are unpacked: pack it again"
            " without"
        )
    size = info.size
    if "size" in said:
        if not said["size"].isascii() or not said["size"].isdigit() or len(said["size"]) > 20:
            raise _damaged(archive, f"a size of {shown(said['size'])}")
        size = int(said["size"])
    if size < 0:
        raise _damaged(archive, f"a size of {size}")
    return Entry(name, size, blocks.content(size))


def _header(blocks: "_Blocks") -> tarfile.TarInfo | None:
    block = blocks.exactly(_BLOCK)
    if not any(block):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise _damaged(blocks.budget.archive, str(error)) from error


def _pax(content: bytes, archive: str) -> dict[str, str]:
    """Return the records of an extended header: each its length, a space, key, "=", value, a newline."""
    found, at = {}, 0
    while at < len(content):
        digits = content[at : at + 8].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        record = content[at : at + length]
        key, equals, value = record[len(digits) + 1 :].partition(b"=")
        if len(record) != length or not equals or not value.endswith(b"\n"):
            raise _damaged(archive, "a pax header that is none")
        found[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
        at += length
    return found


def _check_global(found: dict[str, str], archive: str) -> None:
    if found.keys() & {"path", "size", "linkpath"} or any(key.startswith("GNU.sparse") for key in found):
        raise _damaged(archive, "a name or size for all of its entries")


def _damaged(archive: str, what: str) -> WrongInput:
    return WrongInput(f"{archive} is damaged or no tar ({what}); pack and upload it again")


class _Blocks:
    """The stream, counted, in whole blocks."""

    def __init__(self, stream: Readable, budget: Budget) -> None:
        self.budget, self._stream = budget, stream
        self._left = self._padding = 0

    def exactly(self, size: int) -> bytes:
        pieces, missing = [], size
        while missing:
            piece = self._some(min(missing, CHUNK))
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _some(self, size: int) -> bytes:
        piece = self._stream.read(size)
        if not piece:
            raise WrongInput(f"{self.budget.archive} is cut off: a tar ends with a mark; upload it again")
        self.budget.spend(len(piece))
        return piece

    def extended(self, size: int) -> bytes:
        if not 0 <= size <= self.budget.limits.header_bytes:
            raise _damaged(self.budget.archive, f"a header of {size} bytes")
        return self.exactly(size + -size % _BLOCK)[:size]

    def content(self, size: int) -> Iterator[bytes]:
        self.budget.promised(size)
        self._left, self._padding = size, -size % _BLOCK
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        while self._left:
            piece = self._some(min(self._left, CHUNK))
            self._left -= len(piece)
            yield piece

    def finish(self) -> None:
        """Pass over what is left of the present entry."""
        for _ in self._pieces():
            pass
        self.exactly(self._padding)
        self._padding = 0

    def check_rest(self) -> None:
        """Read to the end: so a gzip's checksum is looked at, and nothing is overlooked."""
        while piece := self._stream.read(CHUNK):
            self.budget.spend(len(piece))
            if any(piece):
                raise WrongInput(
                    f"{self.budget.archive} goes on after its end mark; pack everything into one tar"
                )
