"""Archives made to break out, to fill the disk or to confuse: one row each."""

import gzip
import io
import struct
from pathlib import Path

import pytest

from tests.unit.trainer_data.archives import (
    BLOCK,
    CHARACTER,
    FIFO,
    FOLDER,
    LINK,
    SYMLINK,
    ZipEntry,
    long_name,
    pax,
    tar,
    tar_entry,
    zipped,
)
from tests.unit.trainer_data.unpacking import outcome
from trainer.archives import unpack


def _bomb(size: int) -> bytes:
    return tar(tar_entry("zeros", bytes(size)))


def _one(name: bytes, **more: object) -> bytes:
    return zipped([ZipEntry(name, **more)])  # type: ignore[arg-type]


def _quine_like() -> bytes:
    """Many directory entries over one and the same local entry (Fifield, "A better zip bomb", 2019)."""
    kernel = ZipEntry(b"a", bytes(40_000))
    return zipped([kernel, *(ZipEntry(b"b%d" % n, bytes(40_000), offset=0, stored=b"") for n in range(20))])


def _zip64(size: int) -> bytes:
    return struct.pack("<HHQ", 1, 8, size)


NORMAL = tar_entry("train/cat/1.png")
HOSTILE: dict[str, tuple[bytes, str]] = {
    # out of the folder
    "tar absolute": (tar(tar_entry("/etc/passwd")), "absolute path"),
    "tar absolute after dots": (tar(tar_entry("./../outside/canary")), "leads out"),
    "tar dot dot": (tar(tar_entry("../outside/canary")), "leads out"),
    "tar dot dot in the middle": (tar(tar_entry("a/../../outside/canary")), "leads out"),
    "tar dot dot at the end": (tar(tar_entry("a/..", b"", FOLDER)), "leads out"),
    "tar dot dot by pax": (tar(pax({"path": "../outside/canary"}), tar_entry("ok")), "leads out"),
    "tar dot dot by long name": (tar(long_name(b"../outside/canary"), tar_entry("ok")), "leads out"),
    "tar dot dot by prefix": (tar(tar_entry("canary", prefix=b"../outside")), "leads out"),
    "tar absolute by pax": (tar(pax({"path": "/tmp/x"}), tar_entry("ok")), "absolute path"),
    "tar drive": (tar(tar_entry("C:/x")), "absolute path"),
    "tar backslashes": (tar(tar_entry("..\\outside\\canary")), "backslash"),
    "tar NUL by pax": (tar(pax({"path": b"a\0/../b"}), tar_entry("ok")), "leads out"),
    "tar NUL in a name by pax": (tar(pax({"path": b"a\0b"}), tar_entry("ok")), "control characters"),
    "tar newline": (tar(tar_entry("a\nb")), "control characters"),
    "tar escape sequence": (tar(tar_entry("a\x1b[2Jb")), "control characters"),
    "tar not UTF-8": (tar(tar_entry(b"caf\xe9/1.png")), "not UTF-8"),
    "tar two dot leader": (tar(tar_entry("‥/outside/canary")), "only look like a path"),
    "tar full width solidus": (tar(tar_entry("..／outside／canary")), "only look like a path"),
    "tar writing turned round": (tar(tar_entry("gnp.\u202eexe")), "control characters"),
    "tar a name of nothing visible": (tar(tar_entry("\u200d/x")), "only look like a path"),
    "tar a file named dot": (tar(tar_entry(".")), "holds a file named"),
    "tar an empty name": (tar(tar_entry("")), "holds a file named"),
    "zip dot dot": (_one(b"../outside/canary"), "leads out"),
    "zip absolute": (_one(b"/etc/passwd"), "absolute path"),
    "zip drive": (_one(b"c:\\x"), "absolute path"),
    "zip backslashes": (_one(b"..\\outside\\canary"), "backslash"),
    "zip NUL": (_one(b"a\0.png"), "control characters"),
    "zip another name inside": (_one(b"good", local_name=b"../outside/canary"), "damaged"),
    "zip not UTF-8": (_one(b"\xff\xfe", flags=0x800), "damaged"),
    # links and what is no file
    "tar symbolic link": (tar(tar_entry("l", b"", SYMLINK, link=b"/etc/passwd")), "a symbolic link"),
    "tar write through a link": (
        tar(tar_entry("l", b"", SYMLINK, link=b"../../outside"), tar_entry("l/canary")),
        "a symbolic link",
    ),
    "tar hard link": (tar(tar_entry("l", b"", LINK, link=b"../outside/canary")), "a link"),
    "tar hard link with content": (tar(tar_entry("l", b"xx", LINK, link=b"../outside/canary")), "a link"),
    "tar long link name": (
        tar(tar_entry("@LongLink", b"/etc/passwd\0", b"K"), tar_entry("l", b"", SYMLINK)),
        "a symbolic link",
    ),
    "tar device": (tar(tar_entry("d", b"", CHARACTER)), "a device"),
    "tar block device": (tar(tar_entry("d", b"", BLOCK)), "a device"),
    "tar pipe": (tar(tar_entry("p", b"", FIFO)), "a pipe"),
    "tar sparse": (tar(tar_entry("s", b"x", b"S")), "a sparse file"),
    "tar sparse by pax": (
        tar(pax({"GNU.sparse.major": "1", "GNU.sparse.realsize": "9"}), NORMAL),
        "a sparse file",
    ),
    "tar unknown type": (tar(tar_entry("v", b"", b"V")), "of the type"),
    "zip symbolic link": (_one(b"l", content=b"/etc/passwd", mode=0o120777), "a symbolic link"),
    "zip device": (_one(b"d", mode=0o020666), "a device or pipe"),
    "zip folder with content": (_one(b"f/", content=b"xx"), "a folder and a file"),
    "zip file that is a folder": (_one(b"f", mode=0o040755), "a folder and a file"),
    # one place twice
    "tar a file twice": (tar(tar_entry("a"), tar_entry("a", b"other")), "'a' twice"),
    "tar only the case differs": (tar(tar_entry("Cat/1"), tar_entry("cat/2")), "overwrite the other"),
    "tar only the accent's form differs": (tar(tar_entry("caf\u00e9"), tar_entry("cafe\u0301")), "overwrite"),
    "tar only a joiner differs": (tar(tar_entry("ab"), tar_entry("a\u200db")), "overwrite the other"),
    "tar file then folder": (tar(tar_entry("a"), tar_entry("a/b")), "overwrite the other"),
    "tar folder then file": (tar(tar_entry("a/b"), tar_entry("a")), "overwrite the other"),
    "zip a file twice": (zipped([ZipEntry(b"a"), ZipEntry(b"a", b"other")]), "'a' twice"),
    "zip file then folder": (zipped([ZipEntry(b"a"), ZipEntry(b"A/b")]), "overwrite the other"),
    # too much
    "tar bomb": (gzip.compress(_bomb(190_000)), "more than 50 times its size"),
    "tar of bombs in bombs": (gzip.compress(gzip.compress(_bomb(10**6)) + _bomb(10**6)), "no archive"),
    "tar too large": (_bomb(250_000), "more than 200000 bytes"),
    "tar promises the world": (tar(tar_entry("a", size=8**11 - 1)), "more than 200000 bytes"),
    "tar promises more by base 256": (tar(tar_entry("a", size=b"\x80" + b"\xff" * 11)), "more than 200000"),
    "tar size below nothing": (tar(tar_entry("a", size=b"\xff" * 12)), "a size of -1"),
    "tar size below nothing by pax": (tar(pax({"size": "-1"}), tar_entry("a")), "a size of"),
    "tar size of many digits": (tar(pax({"size": "9" * 4_000}), tar_entry("a")), "a size of"),
    "tar huge extended header": (tar(tar_entry("x", b"", b"x", size=2**30)), "a header of 1073741824 bytes"),
    "tar huge long name": (tar(long_name(b"a" * 5_000), NORMAL), "a header of 5001 bytes"),
    "tar many extended headers": (tar(*[pax({"comment": "x"})] * 3_000, NORMAL), "more than 200000 bytes"),
    "tar many files": (tar(*(tar_entry(f"f{n}", b"") for n in range(60))), "more than 50 files and folders"),
    "tar many folders by a few files": (
        tar(*(tar_entry(f"{n}/{n}/{n}/{n}/x", b"") for n in range(15))),
        "more than 50 files and folders",
    ),
    "tar deep": (tar(tar_entry("/".join("abcdefgh"))), "deeper than 6"),
    "tar long part": (tar(tar_entry("a" * 61)), "a part longer than 60 bytes"),
    "tar long path": (tar(long_name(b"/".join([b"a" * 50] * 5)), NORMAL), "longer than 200 bytes"),
    "tar endless padding": (gzip.compress(tar(NORMAL) + bytes(10**6)), "more than 200000 bytes"),
    "zip bomb": (_one(b"z", content=bytes(190_000)), "more than 50 times its size"),
    "zip bomb that understates": (_one(b"z", content=bytes(10**6), size=10), "damaged"),
    "zip overlapping entries": (_quine_like(), "overlaps"),
    "zip promises the world": (_one(b"z", size=2**32 - 2), "more than 200000 bytes"),
    "zip promises more by zip64": (_one(b"z", size=2**32 - 1, extra=_zip64(2**62)), "more than 200000 bytes"),
    "zip many files": (zipped([ZipEntry(b"f%d" % n, b"") for n in range(60)]), "60 entries, more than 50"),
    "zip many files said to be few": (
        zipped([ZipEntry(b"f%d" % n, b"") for n in range(60)], count=1),
        "60 entries",
    ),
    "zip large directory": (
        zipped([ZipEntry(b"%0200d" % n, b"") for n in range(300)]),
        "a directory of over",
    ),
    "zip deep": (_one(b"a/b/c/d/e/f/g/h"), "deeper than 6"),
    # damaged
    "tar cut off in a file": (tar(tar_entry("a", b"x" * 900))[:900], "cut off"),
    "tar cut off in a header": (tar(NORMAL)[:300], "no archive"),
    "tar without its end": (tar(NORMAL, end=b""), "cut off"),
    "tar with a second one behind": (tar(NORMAL) + tar(tar_entry("b")), "goes on after its end mark"),
    "tar wrong checksum": (tar(NORMAL, tar_entry("b", checksum=1)), "damaged or no tar"),
    "tar no header in between": (tar(NORMAL, b"hello".ljust(512)), "damaged or no tar"),
    "tar pax that is none": (tar(tar_entry("x", b"99 path=a\n", b"x"), NORMAL), "a pax header that is none"),
    "tar pax of length 0": (tar(tar_entry("x", b"0 path=a\n", b"x"), NORMAL), "a pax header that is none"),
    "tar a name for all": (tar(pax({"path": "../x"}, b"g"), NORMAL), "for all of its entries"),
    "tar.gz cut off": (gzip.compress(tar(NORMAL))[:-12], "damaged or cut off"),
    "tar.gz wrong checksum": (gzip.compress(tar(NORMAL))[:-8] + bytes(8), "damaged or cut off"),
    "tar.gz rubbish behind": (gzip.compress(tar(NORMAL)) + b"rubbish", "damaged or cut off"),
    "zip cut off": (_one(b"a")[:-5], "damaged"),
    "zip wrong checksum": (_one(b"a", crc=1), "damaged"),
    "zip broken deflate": (_one(b"a", stored=b"\xff" * 9, content=b"x" * 9), "damaged"),
    "zip directory elsewhere": (zipped([ZipEntry(b"a")], directory_offset=2**31), "damaged"),
    "zip offset beyond the end": (_one(b"a", offset=2**31), "damaged"),
    "zip encrypted": (_one(b"a", flags=0x801), "is encrypted"),
    "zip by bzip2": (_one(b"a", method=12), "compressed by bzip2"),
    "zip by lzma": (_one(b"a", method=14), "compressed by lzma"),
    "zip unknown method": (_one(b"a", method=77), "compressed by 77"),
    "zip broken extra field": (_one(b"a", extra=b"\1\0\xff\xff"), "damaged"),
    # nothing
    "tar empty": (bytes(10_240), "holds no files"),
    "tar only folders": (tar(tar_entry("a/", b"", FOLDER)), "holds no files"),
    "zip empty": (zipped([]), "holds no files"),
}


def test_there_are_more_than_60() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_ends_in_one_sentence_and_leaves_nothing_outside(case: str, tmp_path: Path) -> None:
    content, sentence = HOSTILE[case]
    assert sentence in outcome(content, tmp_path)


HARMLESS: dict[str, bytes] = {
    "setuid file": tar(tar_entry("a", mode=0o6755)),
    "sticky folder": tar(tar_entry("a/", b"", FOLDER, mode=0o1777), tar_entry("a/b")),
    "zip setuid": _one(b"a", mode=0o104755),
    "dot slash": tar(tar_entry("./", b"", FOLDER), tar_entry("./a/b")),
    "a folder said twice": tar(tar_entry("a/", b"", FOLDER), tar_entry("a/b"), tar_entry("a/", b"", FOLDER)),
    "old tar": tar(tar_entry("a", kind=b"\0")),
    "pax time only": tar(pax({"mtime": "1.5", "SCHILY.xattr.user.x": b"\xff\0"}), NORMAL),
    "a comment for all": tar(pax({"comment": "0" * 40}, b"g"), NORMAL),
    "persian": tar(tar_entry("می\u200cخواهم/1.png")),
    "an archive within": tar(tar_entry("inner.zip", zipped([ZipEntry(b"../outside/canary")]))),
    "two gzip members and padding": gzip.compress(NORMAL) + gzip.compress(bytes(1024)) + bytes(100),
    "a zip with a comment": zipped([ZipEntry(b"a")], comment=b"hello"),
    "a zip behind something": b"PK\3\4 something" + zipped([ZipEntry(b"a")]),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_only_looks_odd_is_unpacked_without_modes_and_owners(case: str, tmp_path: Path) -> None:
    assert outcome(HARMLESS[case], tmp_path) == "fine"


def test_an_archive_within_an_archive_stays_closed(tmp_path: Path) -> None:
    assert outcome(HARMLESS["an archive within"], tmp_path) == "fine"
    assert [path.name for path in (tmp_path / "data" / "unpacked").iterdir()] == ["inner.zip"]


def test_a_link_that_lies_where_is_unpacked_to_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "data" / "unpacked").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "unpacked" / "a").symlink_to(tmp_path / "elsewhere")
    for content in (tar(tar_entry("a/b")), tar(tar_entry("a"))):
        with pytest.raises(OSError, match=r"Not a directory|File exists|symbolic links"):
            unpack.unpack(io.BytesIO(content), "tar", len(content), "it", tmp_path / "data" / "unpacked")
    assert list((tmp_path / "elsewhere").iterdir()) == []
