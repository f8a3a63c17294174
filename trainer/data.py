"""Reading a folder of data: which format it is in is seen from its files, unless a parameter says it."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from trainer.archives import unpack
from trainer.dataset import Parts
from trainer.errors import WrongInput
from trainer.folder import Folder
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
    folder = Folder.of(directory)
    names = _names(folder)
    data_format = reading.data_format if reading.data_format != "detect" else _detected(folder, names)
    module = _FORMATS[data_format]
    reading.check_meant_for(data_format, module.PARAMETERS)
    found: Parts = module.read(folder, names, reading)
    return found


def _detected(folder: Folder, names: Sequence[str]) -> str:
    seen = {
        "idx": idx.recognised(names),
        "npz": npz.recognised(folder, names),
        "tfrecord": tfrecord.recognised(names),
        "images": images.recognised(folder, names),
        "csv": table.recognised(names),
    }
    found = [name for name, is_there in seen.items() if is_there]
    if len(found) > 1:
        raise WrongInput(
            f"{folder} holds data of several formats ({', '.join(found)}); say which to read by the parameter"
            " dataFormat"
        )
    if found:
        return found[0]
    shown = ", ".join(name.rpartition("/")[2] for name in names[:3]) + (", …" if len(names) > 3 else "")
    if any(unpack.named_like_one(name) for name in names):
        raise WrongInput(
            f"{folder} holds only {shown}; archives are unpacked by the download step: run it first"
        )
    raise WrongInput(
        f"{folder} holds no data set that is understood, only {shown}; understood are {UNDERSTOOD}"
    )


def _names(folder: Folder) -> list[str]:
    """Return the files below `directory`, as texts: there may be millions."""
    if not folder.path.is_dir():
        raise WrongInput(f"{folder} is not a folder of data; give the download step's output")
    found: list[str] = []
    for above, below, files in os.walk(folder.path):
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in _FOREIGN)
        at = Path(above).relative_to(folder.path).as_posix()
        prefix = "" if at == "." else f"{at}/"
        found += [prefix + name for name in files if not name.startswith(".")]
    if not found:
        raise WrongInput(f"{folder} is empty; understood are {UNDERSTOOD}")
    return sorted(found)
