"""Pictures that any classifier tells apart: ten patterns of 12x12 pixels, under noise."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from tests.cluster.predictor import Instance

SIDE, CLASSES = 12, 10
TRAIN, TEST = 600, 200
_NOISE = 100


def data(seed: int = 0) -> bytes:
    """The data set as one `.npz`."""
    random = np.random.default_rng(seed)
    x_train, y_train = _pictures(TRAIN, random)
    x_test, y_test = _pictures(TEST, random)
    file = io.BytesIO()
    np.savez_compressed(file, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return file.getvalue()


def unseen(count: int) -> tuple[list[Instance], list[int]]:
    """Pictures that are in no data set, as a model server takes them, and what they show."""
    pictures, labels = _pictures(count, np.random.default_rng(987_654))
    return pictures[..., np.newaxis].tolist(), labels.tolist()


def _pictures(count: int, random: np.random.Generator) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    patterns = np.random.default_rng(1).integers(0, 2, (CLASSES, SIDE, SIDE)) * (255 - _NOISE)
    labels = np.arange(count) % CLASSES
    noise = random.integers(0, _NOISE + 1, (count, SIDE, SIDE))
    return (patterns[labels] + noise).astype(np.uint8), labels.astype(np.uint8)
