"""Archives written byte by byte, valid and hostile, independently of the code under test."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

LINK, SYMLINK, CHARACTER, BLOCK, FOLDER, FIFO = b"1", b"2", b"3", b"4", b"5", b"6"


def tar_entry(
    name: bytes | str,
    content: bytes = b"x",
    kind: bytes = b"0",
    *,
    size: int | bytes | None = None,
    mode: int = 0o644,
    link: bytes = b"",
    prefix: bytes = b"",
    checksum: int | None = None,
) -> bytes:
    """Return header and content of one entry; `size` lies if given, as bytes it is the field itself."""
    name = name.encode() if isinstance(name, str) else name
    told = size if isinstance(size, bytes) else b"%011o\0" % (len(content) if size is None else size)
    head = name.ljust(100, b"\0")[:100] + b"%07o\0" % mode + b"0000000\0" * 2 + told + b"00000000000\0"
    rest = kind + link.ljust(100, b"\0") + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2
    rest += prefix.ljust(155, b"\0") + bytes(12)
    told_sum = sum(head) + sum(rest) + 8 * 32 if checksum is None else checksum
    return head + b"%06o\0 " % told_sum + rest + content + bytes(-len(content) % 512)


def tar(*entries: bytes, end: bytes = bytes(1024)) -> bytes:
    return b"".join(entries) + end


def pax(records: dict[str, str | bytes], kind: bytes = b"x") -> bytes:
    content = b""
    for key, value in records.items():
        body = b" " + key.encode() + b"=" + (value.encode() if isinstance(value, str) else value) + b"\n"
        length = len(body) + len(str(len(body) + 2))
        length = length if len(str(length)) + len(body) == length else length + 1
        content += str(length).encode() + body
    return tar_entry("PaxHeaders/x", content, kind)


def long_name(name: bytes) -> bytes:
    return tar_entry("././@LongLink", name + b"\0", b"L")


@dataclass(frozen=True)
class ZipEntry:
    """One entry of a zip; a field that is given lies."""

    name: bytes
    content: bytes = b"x"
    method: int = zipfile.ZIP_DEFLATED
    mode: int = 0o100644
    flags: int = 0x800
    size: int | None = None
    compressed_size: int | None = None
    crc: int | None = None
    offset: int | None = None
    local_name: bytes | None = None
    stored: bytes | None = None
    extra: bytes = b""


def zipped(
    entries: Sequence[ZipEntry],
    *,
    count: int | None = None,
    directory_offset: int | None = None,
    comment: bytes = b"",
) -> bytes:
    """Return a zip whose local headers, directory and end say what the entries say."""
    body, directory = b"", b""
    for entry in entries:
        stored = entry.stored if entry.stored is not None else _stored(entry)
        crc = zlib.crc32(entry.content) if entry.crc is None else entry.crc
        size = len(entry.content) if entry.size is None else entry.size
        held = len(stored) if entry.compressed_size is None else entry.compressed_size
        common = struct.pack("<HHHHHIII", 20, entry.flags, entry.method, 0, 33, crc, held, size)
        offset = len(body) if entry.offset is None else entry.offset
        local = entry.name if entry.local_name is None else entry.local_name
        body += b"PK\3\4" + common + struct.pack("<HH", len(local), 0) + local + stored
        directory += b"PK\1\2" + struct.pack("<H", 3 << 8 | 20) + common
        directory += struct.pack(
            "<HHHHHII", len(entry.name), len(entry.extra), 0, 0, 0, entry.mode << 16, offset
        )
        directory += entry.name + entry.extra
    at = len(body) if directory_offset is None else directory_offset
    number = len(entries) if count is None else count
    end = struct.pack("<HHHHIIH", 0, 0, number & 0xFFFF, number & 0xFFFF, len(directory), at, len(comment))
    return body + directory + b"PK\5\6" + end + comment


def _stored(entry: ZipEntry) -> bytes:
    if entry.method != zipfile.ZIP_DEFLATED:
        return entry.content
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(entry.content) + deflate.flush()


@dataclass
class Tally:
    """Names with contents, as the three kinds of archive."""

    files: dict[str, bytes] = field(default_factory=dict)

    def tar(self) -> bytes:
        return tar(*(tar_entry(name, content) for name, content in self.files.items()))

    def gzipped(self) -> bytes:
        return gzip.compress(self.tar(), mtime=0)

    def zip(self) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return stream.getvalue()


def all_kinds(files: dict[str, bytes]) -> Iterable[bytes]:
    tally = Tally(files)
    return tally.tar(), tally.gzipped(), tally.zip()
