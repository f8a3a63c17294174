"""What a recipe is given to learn from, and the checks that every format's reader ends with."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer import rows
from trainer.errors import WrongInput

MAX_CLASSES = 65_536
_HASHED_BITS = 8


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs with what they should be recognised as.

    Attributes
    ----------
    inputs
        Images: uint8 [n, height, width, channels], pixel values 0-255. May be a memory-mapped file, or a
        `trainer.rows.Rows`, which reads files as it is indexed: index it in pieces, by a slice or by numbers,
        rather than converting the whole. Tables: a `trainer.table.Table`.
    labels
        int64 [n], each an index into the data set's class names.
    """

    inputs: Any
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, indices: npt.NDArray[Any] | slice) -> "Examples":
        """Return the examples at `indices`; what may be larger than memory is not read for it."""
        return Examples(rows.selected(self.inputs, indices), self.labels[indices])

    def in_memory(self) -> "Examples":
        """Return the same, read into memory where it takes little."""
        return Examples(rows.in_memory(self.inputs), self.labels)


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set as a recipe's functions get it: both parts are there.

    Attributes
    ----------
    train, test
        What to learn from, and what was kept back to judge by. `evaluate` uses `test` only.
    class_names
        The name of class i at index i.
    """

    train: Examples
    test: Examples
    class_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Parts:
    """What a reader found: a data set that may lack one of its parts."""

    source: str
    train: Examples | None
    test: Examples | None
    class_names: tuple[str, ...]

    def data_set(self, share: float = 0.2, seed: int = 0) -> tuple[DataSet, str]:
        """Return a data set to train with, and a line that says where its test part comes from.

        Where the data has no test part, `share` of it becomes one. Which examples go there depends on nothing
        but the example's own bytes and `seed`: when data is added later, no example changes sides, so a model
        of an earlier version has never seen what a later one is compared with it on.

        Raises
        ------
        WrongInput
            If there is nothing to train on, or only one class.
        """
        if self.train is None:
            raise WrongInput(
                f"{self.source} holds a test part but nothing to train on; add training examples"
            )
        data, said = DataSet(self.train, self.train, self.class_names), "test part: the data's own"
        if self.test is not None:
            data = replace(data, test=self.test)
        else:
            kept_back = _hashes(self.train.inputs, seed) < share * 2**_HASHED_BITS
            train, test = self.train.at(np.flatnonzero(~kept_back)), self.train.at(np.flatnonzero(kept_back))
            if not len(test) or not len(train):
                raise WrongInput(
                    f"{self.source} holds {len(self.train)} examples: too few to keep a test part back"
                )
            data = replace(data, train=train, test=test)
            said = (
                f"test part: the data has none, {len(test)} of {len(self.train)} are kept back (seed {seed})"
            )
        if len(classes := np.unique(data.train.labels)) < 2:
            raise WrongInput(
                f"{self.source} holds training examples of one class only ({self.class_names[classes[0]]});"
                " at least two are needed"
            )
        return replace(data, train=data.train.in_memory(), test=data.test.in_memory()), said

    def held_out(self) -> DataSet:
        """Return a data set to evaluate with: its test part, or all of it where it has only a train part."""
        test = self.test if self.test is not None else self.train
        assert test is not None
        return DataSet(test.at(slice(0, 0)), test.in_memory(), self.class_names)


def _hashes(inputs: Any, seed: int) -> npt.NDArray[np.uint8]:
    salt = str(seed).encode()
    stored = rows.contents(inputs)
    digests = (hashlib.blake2b(content, digest_size=1, salt=salt).digest() for content in stored)
    return np.frombuffer(b"".join(digests), dtype=np.uint8)


def images(found: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    """Return `found` as uint8 [n, height, width, channels].

    Raises
    ------
    WrongInput
        If it has another number of dimensions, is empty, or holds anything but whole pixel values from 0 to
        255.
    """
    if found.ndim not in (3, 4):
        raise WrongInput(
            f"{where} has the shape {found.shape}; images are [n, height, width] or [n, height, width, channels]"
        )
    if 0 in found.shape:
        raise WrongInput(f"{where} holds no images (shape {found.shape})")
    if found.ndim == 3:
        found = found[..., np.newaxis]
    return found if found.dtype == np.uint8 else _pixels(found, where)


def _pixels(found: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    if found.dtype.kind not in "iufb":
        raise WrongInput(f"{where} holds {found.dtype} where pixel values 0-255 are expected")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        broken = int(np.flatnonzero(~np.isfinite(found).reshape(len(found), -1).all(axis=1))[0])
        raise WrongInput(
            f"{where} holds a value that is not a number (NaN or infinite), first in image {broken}"
        )
    low, high = float(found.min()), float(found.max())
    pixels = found.astype(np.uint8) if low >= 0 and high <= 255 else None
    if pixels is None or not np.array_equal(pixels, found):
        raise WrongInput(
            f"{where} holds values from {low:g} to {high:g} that are not whole pixel values 0-255; scale them"
        )
    return pixels


def labels(found: npt.NDArray[Any], where: str) -> npt.NDArray[np.int64]:
    """Return `found` as int64 [n]; a second dimension of length 1 is dropped.

    Raises
    ------
    WrongInput
        If these are not class numbers.
    """
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        raise WrongInput(f"{where} has the shape {found.shape}; labels are one class number an image")
    if not len(found):
        raise WrongInput(f"{where} holds no labels")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise WrongInput(
            f"{where} holds a label that is not a number (NaN), first at {int(np.argmin(np.isfinite(found)))}"
        )
    if found.dtype.kind not in "iuf" or (
        found.dtype.kind == "f" and not np.array_equal(found, np.floor(found))
    ):
        raise WrongInput(f"{where} holds labels of the type {found.dtype}; class numbers from 0 are expected")
    if found.min() < 0 or found.max() >= MAX_CLASSES:
        raise WrongInput(
            f"{where} holds labels from {found.min()} to {found.max()}; 0 to {MAX_CLASSES - 1} are possible"
        )
    return found.astype(np.int64)


def examples(inputs: Any, found: npt.NDArray[np.int64], where: str) -> Examples:
    """Return one part of a data set; raise `WrongInput` if inputs and labels do not pair up."""
    if len(inputs) != len(found):
        raise WrongInput(f"{where} holds {len(inputs)} images but {len(found)} labels")
    return Examples(inputs, found)


def numbered(source: str, train: Examples | None, test: Examples | None) -> Parts:
    """Return a data set whose classes are numbers; raise `WrongInput` if its parts differ in shape."""
    found = [part for part in (train, test) if part is not None]
    if train is not None and test is not None and train.inputs.shape[1:] != test.inputs.shape[1:]:
        raise WrongInput(
            f"{source}: training images have the shape {train.inputs.shape[1:]} but test images"
            f" {test.inputs.shape[1:]} (height, width, channels)"
        )
    classes = 1 + max(int(part.labels.max()) for part in found)
    return Parts(source, train, test, tuple(str(number) for number in range(classes)))
