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
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer import dataset
from trainer.dataset import Examples, Parts
from trainer.errors import WrongInput
from trainer.folder import File, Folder
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


def read(folder: Folder, names: Sequence[str], reading: Reading) -> Parts:
    """Return the data set in the IDX files among `names`."""
    named: dict[tuple[str, str], File] = {}
    for file in map(folder.file, names):
        if match := _NAME.match(file.path.name):
            role = ("train" if match[1] == "train" else "test", match[2])
            if role in named:
                raise WrongInput(f"there are both {named[role]} and {file}; keep one of them")
            named[role] = file
    if not named:
        raise WrongInput(f"{folder} holds no IDX files (train-images…, train-labels…), only {names[0]}, …")
    return dataset.numbered(str(folder), _part(folder, named, "train"), _part(folder, named, "test"))


def _part(folder: Folder, named: dict[tuple[str, str], File], name: str) -> Examples | None:
    images, labels = named.get((name, "images")), named.get((name, "labels"))
    if images is None and labels is None:
        return None
    if labels is None:
        assert images is not None
        raise WrongInput(f"{folder} holds {images.path.name} but no labels for it; add the file of labels")
    if images is None:
        raise WrongInput(f"{folder} holds {labels.path.name} but no images for it; add the file of images")
    return dataset.examples(
        dataset.images(_array(images), str(images)),
        dataset.labels(_array(labels), str(labels)),
        f"{folder} ({images.path.name}, {labels.path.name})",
    )


def _array(file: File) -> npt.NDArray[Any]:
    with file.path.open("rb") as stream:
        zipped = stream.read(2) == _GZIP_MAGIC
    return _zipped(file) if zipped else _plain(file)


def _plain(file: File) -> npt.NDArray[Any]:
    with file.path.open("rb") as stream:
        shape = _shape(file, stream.read(4 + 4 * _MAX_DIMENSIONS))
    begin, promised, there = 4 + 4 * len(shape), _product(shape), file.path.stat().st_size
    if there - begin != promised:
        raise _other_size(file, promised, there - begin)
    if not promised:
        return np.zeros(shape, np.uint8)
    return np.memmap(file.path, dtype=np.uint8, mode="r", offset=begin, shape=shape)


def _zipped(file: File) -> npt.NDArray[Any]:
    try:
        with gzip.open(file.path) as stream:
            shape = _shape(file, head := stream.read(4 + 4 * _MAX_DIMENSIONS))
            promised, rest = _product(shape), head[4 + 4 * len(shape) :]
            if promised > _MAX_RATIO * file.path.stat().st_size:
                raise WrongInput(f"{file} promises {promised} bytes, more than a file of its size can hold")
            # One byte more than promised is asked for, and no more however much there is.
            content = rest + stream.read(max(promised + 1 - len(rest), 0))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise WrongInput(f"{file} is a damaged or truncated gzip file ({error}); upload it again") from error
    if len(content) != promised:
        raise _other_size(file, promised, len(content))
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(file: File, head: bytes) -> tuple[int, ...]:
    if not head:
        raise WrongInput(f"{file} is empty")
    if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= _MAX_DIMENSIONS:
        raise WrongInput(f"{file} is not an IDX file (it starts with {head[:8]!r}); check what was uploaded")
    if head[2] != _UNSIGNED_BYTE:
        raise WrongInput(
            f"{file} holds values of the IDX type 0x{head[2]:02x}; unsigned bytes (0x08) are read"
        )
    if len(head) < 4 + 4 * head[3]:
        raise WrongInput(f"{file} is truncated within its header; upload it again")
    return struct.unpack_from(f">{head[3]}I", head, 4)


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def _other_size(file: File, promised: int, there: int) -> WrongInput:
    if there < promised:
        return WrongInput(f"{file} is truncated: its header promises {promised} bytes, {there} are there")
    return WrongInput(
        f"{file} holds more than the {promised} bytes that its header promises; upload it again"
    )
