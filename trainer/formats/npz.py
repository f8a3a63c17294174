"""numpy's .npz, never unpickled; arrays named as Keras' own data sets name them, or `images` and `labels`."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer import dataset
from trainer.dataset import Examples, Parts
from trainer.errors import WrongInput
from trainer.reading import Reading

_TRAIN = (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("x", "y"))
_TEST = (("x_test", "y_test"), ("test_images", "test_labels"))
PARAMETERS: tuple[str, ...] = ()
_MAX_RATIO = 1032
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def recognised(directory: Path, names: Sequence[str]) -> bool:
    """Tell whether one of the files is, or calls itself, an .npz."""
    if any(name.lower().endswith(".npz") for name in names):
        return True
    # One file alone is looked into; of many, these would all have to be opened.
    return len(names) == 1 and _is_npz(directory / names[0])


def _is_npz(path: Path) -> bool:
    if path.suffix.lower() == ".npz":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _UNREADABLE:
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def read(directory: Path, names: Sequence[str], reading: Reading) -> Parts:
    """Return the data set in the one .npz among `names`."""
    found = [path for path in (directory / name for name in names) if _is_npz(path)]
    if not found:
        raise WrongInput(f"{directory} holds no .npz file, only {names[0]}, …")
    if len(found) > 1:
        raise WrongInput(
            f"{directory} holds {len(found)} .npz files ({found[0].name}, {found[1].name}, …); keep one"
        )
    path = found[0]
    try:
        with zipfile.ZipFile(path) as archive:
            return _parts(path, archive)
    except _UNREADABLE as error:
        with path.open("rb") as stream:
            start = stream.read(16)
        raise WrongInput(
            f"{path.name} is not a readable .npz file (it starts with {start!r}): {error}"
        ) from error


def _parts(path: Path, archive: zipfile.ZipFile) -> Parts:
    keys = [name.removesuffix(".npy") for name in archive.namelist()]
    train, test = (_part(path, archive, keys, names) for names in (_TRAIN, _TEST))
    if train is None and test is None:
        known = "x_train, y_train, x_test, y_test, or images, labels"
        raise WrongInput(
            f"{path.name} holds the arrays {', '.join(keys[:8]) or '(none)'}; expected are {known}"
        )
    return dataset.numbered(path.name, train, test)


def _part(
    path: Path, archive: zipfile.ZipFile, keys: list[str], names: tuple[tuple[str, str], ...]
) -> Examples | None:
    for images, labels in names:
        if images in keys and labels in keys:
            return dataset.examples(
                dataset.images(_array(path, archive, images), f"{images} in {path.name}"),
                dataset.labels(_array(path, archive, labels), f"{labels} in {path.name}"),
                f"{path.name} ({images}, {labels})",
            )
        if images in keys or labels in keys:
            there, missing = (images, labels) if images in keys else (labels, images)
            raise WrongInput(f"{path.name} holds {there} but no {missing}; add it")
    return None


def _array(path: Path, archive: zipfile.ZipFile, key: str) -> npt.NDArray[Any]:
    where = f"{key} in {path.name}"
    entry = archive.getinfo(f"{key}.npy")
    try:
        with archive.open(entry) as stream:
            version = np.lib.format.read_magic(stream)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = header(stream)
            promised, there = (
                int(np.prod(shape, dtype=object)) * dtype.itemsize,
                entry.file_size - stream.tell(),
            )
    except ValueError as error:
        raise WrongInput(f"{where} is not a numpy array: {error}") from error
    if dtype.hasobject:
        raise WrongInput(f"{where} holds pickled Python objects, which are never loaded; save plain numbers")
    # Checked before numpy sees it: it would allocate whatever the header promises.
    if promised != there or there > _MAX_RATIO * max(entry.compress_size, 1):
        raise WrongInput(
            f"{where} is truncated or damaged: its header promises {promised} bytes, {there} are there"
        )
    with archive.open(entry) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
