"""PNG and JPEG: their headers read here, their pixels by TensorFlow.

Headers: PNG specification (W3C), 11.2.2 IHDR; JPEG, ITU-T T.81, B.2.2 frame header.
"""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from trainer.errors import WrongInput
from trainer.tf import tensorflow

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_MAX_PIXELS = 2**26  # a small file may promise any number of pixels
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}  # by colour type, transparency left out
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # 0xC0 to 0xCF that are no frame header
_AT_ONCE = 256


@dataclass(frozen=True)
class Size:
    """Of an image as it is stored; channels are 1 (grey) or 3 (colour)."""

    height: int
    width: int
    channels: int


def size(stream: BinaryIO, where: str) -> Size:
    """Return what the header of an image says.

    Raises
    ------
    WrongInput
        If it is neither PNG nor JPEG, or promises too many pixels.
    """
    head = stream.read(33)
    try:
        if head.startswith(_PNG):
            found = _png(head)
        elif head.startswith(_JPEG):
            found = _jpeg(stream)
        else:
            what = f"it starts with {head[:12]!r}" if head else "it is empty"
            raise WrongInput(f"{where} is not a PNG or JPEG image ({what}); replace or remove it")
    except (struct.error, KeyError, IndexError) as error:
        raise WrongInput(f"{where} is a damaged or truncated image; upload it again") from error
    if not 0 < found.height * found.width <= _MAX_PIXELS:
        raise WrongInput(
            f"{where} promises {found.width}x{found.height} pixels; 1 to {_MAX_PIXELS} are read: scale it down"
        )
    return found


def is_one(head: bytes) -> bool:
    """Tell whether these are the first bytes of a PNG or JPEG."""
    return head.startswith((_PNG, _JPEG))


def _png(head: bytes) -> Size:
    width, height, _, colour = struct.unpack_from(">IIBB", head, 16)
    return Size(height, width, _PNG_CHANNELS[colour])


def _jpeg(stream: BinaryIO) -> Size:
    stream.seek(2)
    while True:
        marker = stream.read(2)
        while marker[1] == 0xFF:  # fill bytes
            marker = marker[1:] + stream.read(1)
        (length,) = struct.unpack(">H", stream.read(2))
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in _NO_FRAME:
            _, height, width, components = struct.unpack(">BHHB", stream.read(6))
            return Size(height, width, 1 if components == 1 else 3)
        stream.seek(length - 2, io.SEEK_CUR)


@dataclass(frozen=True)
class Wanted:
    """How images are to come out.

    Attributes
    ----------
    resized
        Whether images of another size are scaled to this one (bilinear, averaged where it gets smaller,
        proportions not kept).
    """

    height: int
    width: int
    channels: int
    resized: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


class Sizes:
    """What all images of a data set have in common."""

    def __init__(self) -> None:
        self._first: tuple[Size, str] | None = None
        self._other: tuple[Size, str] | None = None
        self._colour = False

    def add(self, found: Size, where: str) -> None:
        """Take one more image into account."""
        self._colour = self._colour or found.channels == 3
        if self._first is None:
            self._first = found, where
        first = self._first[0]
        if self._other is None and (found.height, found.width) != (first.height, first.width):
            self._other = found, where

    def wanted(self, asked: tuple[int, int] | None, channels: int) -> Wanted:
        """Return the size and colours of all: as asked for, else as found, in colour if one of them is.

        Raises
        ------
        WrongInput
            If they differ in size and none is asked for.
        """
        assert self._first is not None
        (first, where), channels = self._first, channels or (3 if self._colour else 1)
        if asked:
            return Wanted(*asked, channels, resized=True)
        if self._other:
            other, there = self._other
            raise WrongInput(
                f"images differ in size: {where} is {first.width}x{first.height}, {there} is"
                f" {other.width}x{other.height}; scale them, or set the parameter imageSize"
            )
        return Wanted(first.height, first.width, channels, resized=False)


def decoded(images: Sequence[bytes], wanted: Wanted, name: Callable[[int], str]) -> npt.NDArray[np.uint8]:
    """Return pixels [n, height, width, channels] of PNG and JPEG files.

    Raises
    ------
    WrongInput
        If one of them is broken: `name` tells which, given its index.
    """
    tf, found = tensorflow(), np.empty((len(images), *wanted.shape), np.uint8)
    decode = _decoder(wanted)
    for begin in range(0, len(images), _AT_ONCE):
        some = images[begin : begin + _AT_ONCE]
        try:
            found[begin : begin + len(some)] = decode(tf.constant(some, tf.string)).numpy()
        except tf.errors.InvalidArgumentError:
            for index, image in enumerate(some, begin):
                _check(image, decode, name(index))
            raise
    return found


def _check(image: bytes, decode: Any, where: str) -> None:
    tf = tensorflow()
    try:
        decode(tf.constant([image], tf.string))
    except tf.errors.InvalidArgumentError as error:
        raise WrongInput(f"{where} is a damaged or truncated image; upload it again") from error


@cache
def _decoder(wanted: Wanted) -> Any:
    tf = tensorflow()

    def one(content: Any) -> Any:
        image = tf.io.decode_image(content, wanted.channels, expand_animations=False)
        if wanted.resized:
            image.set_shape([None, None, wanted.channels])
            scaled = tf.image.resize(image, (wanted.height, wanted.width), antialias=True)
            image = tf.cast(tf.clip_by_value(tf.round(scaled), 0, 255), tf.uint8)
        return tf.ensure_shape(image, wanted.shape)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def all_of(contents: Any) -> Any:
        out = tf.TensorSpec(wanted.shape, tf.uint8)
        return tf.map_fn(one, contents, fn_output_signature=out, parallel_iterations=8)

    return all_of


def chunks(numbers: npt.NDArray[np.int64], count: int = 64) -> Iterator[npt.NDArray[np.int64]]:
    """Yield `numbers` a few at a time."""
    return (numbers[begin : begin + count] for begin in range(0, len(numbers), count))
