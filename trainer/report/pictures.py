"""Inputs as they are shown in a page: images as PNG data addresses, anything else as a few values."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

_LONGEST_SIDE = 64
_VALUES = 6
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's, by number of channels


def is_image(one: npt.NDArray[Any]) -> bool:
    """Tell whether an input [height, width, channels] can be shown as a picture."""
    return one.ndim == 3 and one.dtype == np.uint8 and one.shape[2] in _COLOUR_TYPES


def data_address(image: npt.NDArray[np.uint8]) -> str:
    """Return an image [height, width, 1 to 4 channels] as a data address, at most 64 pixels a side."""
    every = -(-max(image.shape[:2]) // _LONGEST_SIDE)
    content = base64.b64encode(png(_smaller(image, every)))
    return f"data:image/png;base64,{content.decode()}"


def _smaller(image: npt.NDArray[np.uint8], every: int) -> npt.NDArray[np.uint8]:
    if every == 1:
        return image
    height, width = (max(length // every, 1) for length in image.shape[:2])
    tall, wide = min(every, image.shape[0]), min(every, image.shape[1])
    cut = image[: height * tall, : width * wide].reshape(height, tall, width, wide, -1)
    smaller: npt.NDArray[np.uint8] = cut.mean(axis=(1, 3)).astype(np.uint8)
    return smaller


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """Return an image [height, width, 1 to 4 channels] as a PNG file (W3C's PNG specification, third edition)."""
    height, width, channels = image.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = image.reshape(height, -1)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def as_values(one: npt.NDArray[Any]) -> str:
    """Return the first values of an input as text."""
    flat = one.reshape(-1)
    shown = ", ".join(_value(value) for value in flat[:_VALUES].tolist())
    return f"{shown}, … ({len(flat)} values)" if len(flat) > _VALUES else shown


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)[:40]
