"""The download step: the data as it is, with a name for exactly these bytes."""

from pathlib import Path

from trainer import output
from trainer.digest import data_digest
from trainer.errors import WrongInput
from trainer.progress import say
from trainer.storage import place

RECORD = ".data.json"


def run(uri: str, directory: Path, expected_digest: str | None) -> None:
    """Copy what lies at `uri` to `directory` and record its digest there.

    Raises
    ------
    WrongInput
        If there is nothing, if it cannot be read, or if it is other data than expected ("DataChanged: …").
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
        source.download(objects, directory)
        record.update(uri=uri, digest=digest, objects=len(objects), bytes=size)
    say(f"downloaded, digest {digest}")
