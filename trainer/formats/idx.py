"""MNIST's IDX files, gzipped or not.

An IDX file is two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit
number, and the values, row by row (http://yann.lecun.com/exdb/mnist/). Only unsigned bytes (type code 8) are
read.
"""

import gzip
import re
import struct
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

_NAME = re.compile(r"^(train|t10k|test)-(images|labels)([-.]idx[1-4]-ubyte)?(\.gz)?$")
PARAMETERS: tuple[str, ...] = ()
_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 8
_MAX_DIMENSIONS = 4
_MAX_RATIO = 1032  # what deflate can do at best: a header that promises more than this lies


def recognised(names: Sequence[str]) -> bool:
    """Tell whether one of the files is named as MNIST's are."""
    return any(_NAME.match(name.rpartition("/")[2]) for name in names)


def read(directory: Path, names: Sequence[str], reading: Reading) -> Parts:
    """Return the data set in the IDX files among `names`."""
    named: dict[tuple[str, str], Path] = {}
    for path in (directory / name for name in names):
        if match := _NAME.match(path.name):
            role = ("train" if match[1] == "train" else "test", match[2])
            if role in named:
                raise WrongInput(
                    f"{directory} holds both {named[role].name} and {path.name}; keep one of them"
                )
            named[role] = path
    if not named:
        raise WrongInput(f"{directory} holds no IDX files (train-images…, train-labels…), only {names[0]}, …")
    return dataset.numbered(str(directory), _part(directory, named, "train"), _part(directory, named, "test"))


def _part(directory: Path, named: dict[tuple[str, str], Path], name: str) -> Examples | None:
    images, labels = named.get((name, "images")), named.get((name, "labels"))
    if images is None and labels is None:
        return None
    if labels is None:
        assert images is not None
        raise WrongInput(f"{directory} holds {images.name} but no labels for it; add the file of labels")
    if images is None:
        raise WrongInput(f"{directory} holds {labels.name} but no images for it; add the file of images")
    return dataset.examples(
        dataset.images(_array(images), images.name),
        dataset.labels(_array(labels), labels.name),
        f"{images.name} and {labels.name}: the {name} part",
    )


def _array(path: Path) -> npt.NDArray[Any]:
    with path.open("rb") as stream:
        zipped = stream.read(2) == _GZIP_MAGIC
    return _zipped(path) if zipped else _plain(path)


def _plain(path: Path) -> npt.NDArray[Any]:
    with path.open("rb") as stream:
        shape = _shape(path, stream.read(4 + 4 * _MAX_DIMENSIONS))
    begin, promised, there = 4 + 4 * len(shape), _product(shape), path.stat().st_size
    if there - begin != promised:
        raise _other_size(path, promised, there - begin)
    if not promised:
        return np.zeros(shape, np.uint8)
    return np.memmap(path, dtype=np.uint8, mode="r", offset=begin, shape=shape)


def _zipped(path: Path) -> npt.NDArray[Any]:
    try:
        with gzip.open(path) as stream:
            shape = _shape(path, head := stream.read(4 + 4 * _MAX_DIMENSIONS))
            promised, rest = _product(shape), head[4 + 4 * len(shape) :]
            if promised > _MAX_RATIO * path.stat().st_size:
                raise WrongInput(
                    f"{path.name} promises {promised} bytes, more than a file of its size can hold"
                )
            # One byte more than promised is asked for, and no more however much there is.
            content = rest + stream.read(max(promised + 1 - len(rest), 0))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise WrongInput(
            f"{path.name} is a damaged or truncated gzip file ({error}); upload it again"
        ) from error
    if len(content) != promised:
        raise _other_size(path, promised, len(content))
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(path: Path, head: bytes) -> tuple[int, ...]:
    if not head:
        raise WrongInput(f"{path.name} is empty")
    if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= _MAX_DIMENSIONS:
        raise WrongInput(
            f"{path.name} is not an IDX file (it starts with {head[:8]!r}); check what was uploaded"
        )
    if head[2] != _UNSIGNED_BYTE:
        raise WrongInput(
            f"{path.name} holds values of the IDX type 0x{head[2]:02x}; unsigned bytes (0x08) are read"
        )
    if len(head) < 4 + 4 * head[3]:
        raise WrongInput(f"{path.name} is truncated within its header; upload it again")
    return struct.unpack_from(f">{head[3]}I", head, 4)


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def _other_size(path: Path, promised: int, there: int) -> WrongInput:
    if there < promised:
        return WrongInput(
            f"{path.name} is truncated: its header promises {promised} bytes, {there} are there"
        )
    return WrongInput(
        f"{path.name} holds more than the {promised} bytes that its header promises; upload it again"
    )
