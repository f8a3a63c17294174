"""Reading a folder of data: which format it is in is seen from its files, unless a parameter says it."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from trainer.archives import unpack
from trainer.dataset import Parts
from trainer.errors import WrongInput
from trainer.formats import idx, images, npz, table, tfrecord
from trainer.reading import Reading

UNDERSTOOD = (
    "MNIST's IDX files (train-images…, train-labels…, t10k-images…, t10k-labels…), .npz, class-named folders of PNG"
    " and JPEG images, TFRecord files and CSV"
)
_FORMATS: dict[str, ModuleType] = {
    "idx": idx,
    "npz": npz,
    "tfrecord": tfrecord,
    "images": images,
    "csv": table,
}
_FOREIGN = ("__MACOSX",)


def read(directory: Path, reading: Reading = Reading()) -> Parts:  # noqa: B008  (it is frozen)
    """Return the data set in `directory`.

    Raises
    ------
    WrongInput
        If there is none, or it is broken: what was found where.
    """
    names = _names(directory)
    data_format = reading.data_format if reading.data_format != "detect" else _detected(directory, names)
    module = _FORMATS[data_format]
    reading.check_meant_for(data_format, module.PARAMETERS)
    found: Parts = module.read(directory, names, reading)
    return found


def _detected(directory: Path, names: Sequence[str]) -> str:
    seen = {
        "idx": idx.recognised(names),
        "npz": npz.recognised(directory, names),
        "tfrecord": tfrecord.recognised(names),
        "images": images.recognised(directory, names),
        "csv": table.recognised(names),
    }
    found = [name for name, is_there in seen.items() if is_there]
    if len(found) > 1:
        raise WrongInput(
            f"{directory} holds data of several formats ({', '.join(found)}); say which to read by the parameter"
            " dataFormat"
        )
    if found:
        return found[0]
    shown = ", ".join(name.rpartition("/")[2] for name in names[:3]) + (", …" if len(names) > 3 else "")
    if any(unpack.named_like_one(name) for name in names):
        raise WrongInput(
            f"{directory} holds only {shown}; archives are unpacked by the download step: run it first"
        )
    raise WrongInput(
        f"{directory} holds no data set that is understood, only {shown}; understood are {UNDERSTOOD}"
    )


def _names(directory: Path) -> list[str]:
    """Return the files below `directory`, as texts: there may be millions."""
    if not directory.is_dir():
        raise WrongInput(f"{directory} is not a folder of data; give the download step's output")
    found: list[str] = []
    for above, folders, files in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _FOREIGN)
        at = Path(above).relative_to(directory).as_posix()
        prefix = "" if at == "." else f"{at}/"
        found += [prefix + name for name in files if not name.startswith(".")]
    if not found:
        raise WrongInput(f"{directory} is empty; understood are {UNDERSTOOD}")
    return sorted(found)
