"""The download step: the data, archives unpacked, with a name for exactly the bytes that are stored."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from trainer import output
from trainer.archives import unpack
from trainer.digest import StoredObject, data_digest
from trainer.errors import WrongInput
from trainer.progress import say
from trainer.storage import Place, place, safe_target

RECORD = ".data.json"


def run(uri: str, directory: Path, expected_digest: str | None) -> None:
    """Copy what lies at `uri` to `directory` and record its digest there.

    An archive is unpacked while it comes in, to a folder of its name without the suffix, and not kept. The
    digest is that of the objects as they are stored.

    Raises
    ------
    WrongInput
        If there is nothing, if it cannot be read, if an archive is not one to be unpacked, or if it is other
        data than expected ("DataChanged: …").
    """
    source = place(uri)
    objects = source.objects()
    if not objects:
        raise WrongInput(
            f"{uri} holds no objects; check the address (a prefix ends with /) and what was uploaded"
        )
    if reserved := [each.key for each in objects if each.key == RECORD]:
        raise WrongInput(
            f"{uri} holds an object named {reserved[0]}, which this step writes itself; remove it"
        )
    digest, size = data_digest(objects), sum(each.size for each in objects)
    if expected_digest and digest != expected_digest:
        raise WrongInput(
            f"DataChanged: {uri} has the digest {digest}, but the run was planned for {expected_digest}"
        )
    say(f"downloading {len(objects)} objects, {size / 1e6:.1f} MB, from {uri}")
    with output.folder(directory, RECORD) as record:
        _fetch(source, objects, directory)
        record.update(uri=uri, digest=digest, objects=len(objects), bytes=size)
    say(f"downloaded, digest {digest}")


def _fetch(source: Place, objects: list[StoredObject], directory: Path) -> None:
    # An object alone is looked into whatever its name; of many, those that are named like archives.
    candidates = {each.key for each in objects if unpack.named_like_one(each.key) or len(objects) == 1}
    folders = _folders(candidates, objects)
    copied = [each for each in objects if each.key not in candidates]
    for each in objects:
        if each.key in candidates and not _unpacked(source, each, safe_target(directory, folders[each.key])):
            copied.append(each)
    source.download(copied, directory)


def _folders(archives: Iterable[str], objects: Iterable[StoredObject]) -> dict[str, str]:
    """Return the folder of each archive; raise `WrongInput` if something else is to lie there too."""
    folders = {key: unpack.folder_name(key) for key in archives}
    taken: Counter[str] = Counter()
    for each in objects:
        path = PurePosixPath(folders.get(each.key, each.key))
        taken.update(map(str, (path, *path.parents)))
    for key, folder in sorted(folders.items()):
        if taken[folder] > 1 or folder == RECORD:
            raise WrongInput(
                f"{key} would be unpacked to {folder}, where something else is written; rename it"
            )
    return folders


def _unpacked(source: Place, stored: StoredObject, folder: Path) -> bool:
    with source.open(stored) as stream:
        kind = unpack.kind(stream, stored.key)
        if kind is None and unpack.named_like_one(stored.key):
            start = stream.read(8)
            raise WrongInput(
                f"{stored.key} is named like an archive, but is none (it starts with {start!r});"
                " upload it again"
            )
        if kind in (None, "npz"):
            return False
        found = unpack.unpack(stream, kind, stored.size, stored.key, folder)
    say(f"unpacked {stored.key}: {found.files} files, {found.bytes / 1e6:.1f} MB")
    return True
