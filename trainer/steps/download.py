"""The download step: the data, archives unpacked, with a name for exactly the bytes that are stored."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from trainer import output
from trainer.archives import unpack
from trainer.digest import StoredObject, data_digest
from trainer.errors import WrongInput
from trainer.folder import ARCHIVES, RECORD, address
from trainer.progress import say
from trainer.report.text import bytes_
from trainer.storage import Place, place, safe_target

__all__ = ["RECORD", "run"]


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
        raise WrongInput(_nothing(uri))
    if reserved := [each.key for each in objects if each.key in (RECORD, ARCHIVES)]:
        raise WrongInput(
            f"{uri} holds an object named {reserved[0]}, which this step writes itself; remove it"
        )
    digest, size = data_digest(objects), sum(each.size for each in objects)
    if expected_digest and digest != expected_digest:
        raise WrongInput(
            f"DataChanged: {uri} has the digest {digest}, but the run was planned for {expected_digest}"
        )
    say(f"downloading {_counted(len(objects), 'object')}, {bytes_(size)}, from {uri}")
    with output.folder(directory, RECORD) as record:
        if archives := _fetch(source, objects, directory):
            (directory / ARCHIVES).write_text(json.dumps(archives))
        record.update(uri=uri, digest=digest, objects=len(objects), bytes=size)
    say(f"downloaded, digest {digest}")


def _nothing(uri: str) -> str:
    if uri.startswith("s3://"):
        return f"{uri} holds no objects; check the address (a prefix ends with /) and what was uploaded"
    return f"{uri} holds no files" if Path(uri).exists() else f"there is no file or folder {uri}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _fetch(source: Place, objects: list[StoredObject], directory: Path) -> dict[str, str]:
    """Copy and unpack; return the keys of what was unpacked by the folders below `directory`."""
    told = {each.key: address(source.uri, each.key, len(objects)) for each in objects}
    # An object alone is looked into whatever its name; of many, those that are named like archives.
    candidates = {key for key in told if unpack.named_like_one(told[key]) or len(objects) == 1}
    folders = _folders(candidates, told)
    archives = {
        folders[each.key]: each.key
        for each in objects
        if each.key in candidates
        and _unpacked(source, each, told[each.key], safe_target(directory, folders[each.key]))
    }
    unpacked = set(archives.values())
    source.download([each for each in objects if each.key not in unpacked], directory)
    return archives


def _folders(archives: Iterable[str], told: Mapping[str, str]) -> dict[str, str]:
    """Return the folder of each archive; raise `WrongInput` if something else is to lie there too."""
    folders = {key: unpack.folder_name(key) for key in archives}
    taken: Counter[str] = Counter()
    for key in told:
        path = PurePosixPath(folders.get(key, key))
        taken.update(map(str, (path, *path.parents)))
    for key, folder in sorted(folders.items()):
        if taken[folder] > 1 or folder in (RECORD, ARCHIVES):
            raise WrongInput(
                f"{told[key]} would be unpacked to {folder}, where something else is written; rename it"
            )
    return folders


def _unpacked(source: Place, stored: StoredObject, told: str, folder: Path) -> bool:
    with source.open(stored) as stream:
        kind = unpack.kind(stream, told)
        if kind is None and unpack.named_like_one(told):
            start = stream.read(8)
            raise WrongInput(
                f"{told} is named like an archive, but is none (it starts with {start!r}); upload it again"
            )
        if kind in (None, "npz"):
            return False
        found = unpack.unpack(stream, kind, stored.size, told, folder)
    say(f"unpacked {told}: {_counted(found.files, 'file')}, {bytes_(found.bytes)}")
    return True
