"""From a stream to a folder."""

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.archives import tar, zip
from trainer.archives.entry import Entry, Readable, Seekable
from trainer.archives.gunzip import Gunzip
from trainer.archives.limits import Budget, Limits
from trainer.archives.names import Claims, parts, shown
from trainer.archives.tree import Tree
from trainer.errors import WrongInput

UNDERSTOOD = ".tar.gz, .tar and .zip"
_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
_OTHER_SUFFIXES = (".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")
_HEAD = 2**16
_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")
_DEFAULTS = Limits()


@dataclass(frozen=True)
class Unpacked:
    """What came out: number of files, and their bytes."""

    files: int
    bytes: int


def named_like_one(key: str) -> bool:
    """Tell whether an object calls itself an archive.

    Raises
    ------
    WrongInput
        If it is of a kind that is not read.
    """
    lowered = key.lower()
    if lowered.endswith(_OTHER_SUFFIXES):
        raise WrongInput(f"{key} is an archive of another kind than {UNDERSTOOD}; pack it as one of these")
    return lowered.endswith(_SUFFIXES)


def folder_name(key: str) -> str:
    """Return where an archive is unpacked to: its own key without the suffix."""
    for suffix in _SUFFIXES:
        if key.lower().endswith(suffix) and len(PurePosixPath(key).name) > len(suffix):
            return key[: -len(suffix)]
    return key


def kind(stream: Seekable, name: str) -> str | None:
    """Return "tar", "tar.gz", "zip" or "npz" (a zip of numpy's, to be left as it is), None for anything else.

    The content tells, not the name.
    """
    head = stream.read(_HEAD)
    stream.seek(0)
    if head.startswith(_GZIP):
        return "tar.gz" if _starts_a_tar(_beginning(head)) else None
    if head.startswith(_ZIP):
        found = zip.names(stream, Budget(name, 0, _DEFAULTS))
        stream.seek(0)
        return "npz" if found and all(each.endswith(".npy") for each in found) else "zip"
    return "tar" if _starts_a_tar(head) else None


def _beginning(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(head, tarfile.BLOCKSIZE)
    except zlib.error:
        return b""


def _starts_a_tar(head: bytes) -> bool:
    block = head[: tarfile.BLOCKSIZE]
    if len(block) == tarfile.BLOCKSIZE and not any(block):
        return True  # an empty tar is its end mark
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def unpack(
    stream: Seekable, kind: str, size: int, name: str, directory: Path, limits: Limits = _DEFAULTS
) -> Unpacked:
    """Write the files of an archive, as it is read, below `directory`, a new folder.

    Archives within the archive stay what they are.

    Parameters
    ----------
    stream
        The archive; a tar is read once and forwards, a zip's directory first.
    kind
        As `kind` told.
    size
        The archive's own, in bytes.
    name
        For the sentence, where something is wrong.

    Raises
    ------
    WrongInput
        If the archive is damaged or empty, over one of the limits, or holds anything but files and folders
        below it. What was written until then stays, all of it below `directory`.
    """
    budget = Budget(name, size, limits)
    claims = Claims(budget)
    with Tree(directory) as tree:
        try:
            for entry in _entries(stream, kind, budget):
                _place(entry, claims, tree, name, limits)
        except (EOFError, zlib.error) as error:
            raise WrongInput(f"{name} is damaged or cut off ({error}); upload it again") from error
        if not tree.files:
            raise WrongInput(f"{name} holds no files; check what was packed")
        return Unpacked(tree.files, tree.bytes)


def _entries(stream: Seekable, kind: str, budget: Budget) -> Iterator[Entry]:
    if kind == "zip":
        return zip.entries(stream, budget)
    source: Readable = Gunzip(stream) if kind == "tar.gz" else stream
    return tar.entries(source, budget)


def _place(entry: Entry, claims: Claims, tree: Tree, archive: str, limits: Limits) -> None:
    path = parts(entry.name, archive, limits)
    if not path:  # "./", the folder itself
        if entry.content is not None:
            raise WrongInput(f"{archive} holds a file named {shown(entry.name)}; pack it again")
        return
    claims.claim(path, folder=entry.content is None)
    if entry.content is None:
        tree.folder(path)
    else:
        tree.file(path, entry.content)
