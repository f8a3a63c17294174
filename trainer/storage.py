"""The one door to where data sets and models are kept: a local folder or file, or S3.

Both kinds of place answer to the same calls; S3's is in `trainer.s3`, imported when the first s3:// address
is used.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from trainer.digest import StoredObject
from trainer.errors import WrongInput

PARALLEL = 16


class Place(Protocol):
    """A folder of objects. Keys are relative to it."""

    uri: str

    def objects(self) -> list[StoredObject]:
        """Return what lies here, sorted by key, or the one object that the address names."""

    def download(self, objects: Iterable[StoredObject], directory: Path) -> None:
        """Copy `objects` to `directory`; raise `WrongInput` if one has changed since its listing."""

    def open(self, stored: StoredObject) -> AbstractContextManager[BinaryIO]:
        """Return an object as a seekable stream that is read as it is needed.

        Leaving the context raises `WrongInput` if it has changed since its listing.
        """

    def upload(self, files: Mapping[str, Path], present: Iterable[StoredObject] = ()) -> list[StoredObject]:
        """Copy local files to the keys given and return what is stored, ETags as the store returned them.

        What is `present` there already, as its ETag tells, may be left as it is: an upload that was cut short
        goes on where it ended.
        """

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None if there is none."""

    def write(self, key: str, content: bytes) -> None:
        """Store a small object whole or not at all."""

    def remove(self, keys: Iterable[str]) -> None:
        """Delete the objects given."""


def place(uri: str) -> Place:
    """Return the place that `uri` (s3://bucket/prefix/, s3://bucket/object, or a local path) names.

    Raises
    ------
    WrongInput
        If the address is none of these.
    """
    if uri.startswith("s3://"):
        from trainer.s3 import S3Place

        return S3Place(uri)
    if "://" in uri:
        raise WrongInput(
            f"{uri}: this kind of address is not supported; give s3://bucket/prefix/ or a local path"
        )
    if not uri:
        raise WrongInput("an address is empty; give s3://bucket/prefix/ or a local path")
    return LocalPlace(uri)


def safe_target(directory: Path, key: str) -> Path:
    """Return the path below `directory` that an object's relative key stands for.

    Raises
    ------
    WrongInput
        If the key would lead out of the folder, or cannot be a file's name.
    """
    parts = PurePosixPath(key).parts
    if not parts or key.startswith("/") or ".." in parts or "\0" in key or "//" in key:
        raise WrongInput(
            f"the object key {key!r} cannot be a file below the output folder; rename the object"
        )
    return directory.joinpath(*parts)


def sha256(path: Path) -> str:
    """Return the hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class LocalPlace:
    """A folder on this machine, or one file."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._path = Path(uri).absolute()

    def _file(self, key: str) -> Path:
        return self._path if self._path.is_file() and key == self._path.name else safe_target(self._path, key)

    def objects(self) -> list[StoredObject]:
        if self._path.is_file():
            files = {self._path.name: self._path}
        else:
            files = {
                path.relative_to(self._path).as_posix(): path
                for path in self._path.rglob("*")
                if path.is_file()
            }
        with ThreadPoolExecutor(PARALLEL) as pool:
            etags = dict(zip(files, pool.map(_md5, files.values()), strict=True))
        return [StoredObject(key, files[key].stat().st_size, etags[key]) for key in sorted(files)]

    def download(self, objects: Iterable[StoredObject], directory: Path) -> None:
        for stored in objects:
            target = safe_target(directory, stored.key)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._file(stored.key), target)
            self._check_unchanged(target, stored)

    @contextmanager
    def open(self, stored: StoredObject) -> Iterator[BinaryIO]:
        with self._file(stored.key).open("rb") as stream:
            yield stream
        self._check_unchanged(self._file(stored.key), stored)

    def _check_unchanged(self, path: Path, stored: StoredObject) -> None:
        if _md5(path) != stored.etag:
            raise WrongInput(f"DataChanged: {self.uri} holds another {stored.key} than when it was listed")

    def upload(self, files: Mapping[str, Path], present: Iterable[StoredObject] = ()) -> list[StoredObject]:
        for key, source in files.items():
            target = safe_target(self._path, key)
            self._make_folder(target.parent)
            shutil.copyfile(source, target)
        return [StoredObject(key, path.stat().st_size, _md5(path)) for key, path in sorted(files.items())]

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WrongInput(f"{self.uri} cannot be written to: {error.strerror}") from error

    def read(self, key: str) -> bytes | None:
        path = self._file(key)
        return path.read_bytes() if path.is_file() else None

    def write(self, key: str, content: bytes) -> None:
        target = self._file(key)
        self._make_folder(target.parent)
        unfinished = target.with_name(f".{target.name}.unfinished")
        unfinished.write_bytes(content)
        unfinished.replace(target)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._file(key).unlink(missing_ok=True)
