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
from trainer.folder import File, Folder
from trainer.reading import Reading

_TRAIN = (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("x", "y"))
_TEST = (("x_test", "y_test"), ("test_images", "test_labels"))
PARAMETERS: tuple[str, ...] = ()
_MAX_RATIO = 1032
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def recognised(folder: Folder, names: Sequence[str]) -> bool:
    """Tell whether one of the files is, or calls itself, an .npz."""
    if any(name.lower().endswith(".npz") for name in names):
        return True
    # One file alone is looked into; of many, these would all have to be opened.
    return len(names) == 1 and _is_npz(folder / names[0])


def _is_npz(path: Path) -> bool:
    if path.suffix.lower() == ".npz":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _UNREADABLE:
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def read(folder: Folder, names: Sequence[str], reading: Reading) -> Parts:
    """Return the data set in the one .npz among `names`."""
    found = [file for file in map(folder.file, names) if _is_npz(file.path)]
    if not found:
        raise WrongInput(f"{folder} holds no .npz file, only {names[0]}, …")
    if len(found) > 1:
        raise WrongInput(
            f"{folder} holds {len(found)} .npz files ({found[0].path.name}, {found[1].path.name}, …); keep one"
        )
    file = found[0]
    try:
        with zipfile.ZipFile(file.path) as archive:
            return _parts(file, archive)
    except _UNREADABLE as error:
        with file.path.open("rb") as stream:
            start = stream.read(16)
        raise WrongInput(f"{file} is not a readable .npz file (it starts with {start!r}): {error}") from error


def _parts(file: File, archive: zipfile.ZipFile) -> Parts:
    keys = [name.removesuffix(".npy") for name in archive.namelist()]
    train, test = (_part(file, archive, keys, names) for names in (_TRAIN, _TEST))
    if train is None and test is None:
        known = "x_train, y_train, x_test, y_test, or images, labels"
        raise WrongInput(f"{file} holds the arrays {', '.join(keys[:8]) or '(none)'}; expected are {known}")
    return dataset.numbered(str(file), train, test)


def _part(
    file: File, archive: zipfile.ZipFile, keys: list[str], names: tuple[tuple[str, str], ...]
) -> Examples | None:
    for images, labels in names:
        if images in keys and labels in keys:
            return dataset.examples(
                dataset.images(_array(file, archive, images), f"{images} in {file}"),
                dataset.labels(_array(file, archive, labels), f"{labels} in {file}"),
                f"{file} ({images}, {labels})",
            )
        if images in keys or labels in keys:
            there, missing = (images, labels) if images in keys else (labels, images)
            raise WrongInput(f"{file} holds {there} but no {missing}; add it")
    return None


def _array(file: File, archive: zipfile.ZipFile, key: str) -> npt.NDArray[Any]:
    where = f"{key} in {file}"
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
