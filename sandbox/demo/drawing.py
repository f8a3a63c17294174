"""Images as text, so that a reader sees what the model saw. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_INK = " .:-=+*#%@"
_GAP = "   "


def draw(image: npt.NDArray[np.uint8], rows: int = 7, columns: int = 14) -> list[str]:
    """Draw an image [height, width] of 0 (paper) to 255 (ink), averaged to so many lines and characters."""
    tall, wide = image.shape[0] // rows, image.shape[1] // columns
    cells = image[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide).mean(axis=(1, 3))
    shades = np.minimum(cells * len(_INK) / 256, len(_INK) - 1).astype(int)
    return ["".join(_INK[shade] for shade in line) for line in shades]


def side_by_side(drawings: Sequence[Sequence[str]], captions: Sequence[str]) -> str:
    """Put drawings of the same height beside each other, each above its caption."""
    width = max(len(line) for drawing in drawings for line in drawing)
    width = max(width, *map(len, captions))
    lines = [*zip(*drawings, strict=True), tuple(captions)]
    return "\n".join(_GAP.join(part.ljust(width) for part in line).rstrip() for line in lines)
