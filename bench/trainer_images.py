"""Images to measure training on, as many and as large as MNIST's: distorted handwriting from scikit-learn.

MNIST's own files are not assumed to be there. These are 60,000 and 10,000 images of 28x28, made from the 1,797
digits inside scikit-learn by seeded affine distortions (turn, scale, shear, shift). No original is in both parts.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 28
TRAIN, TEST = 60_000, 10_000
_HELD_OUT = 0.2  # of the originals
_BRIGHTEST = 16

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def images(folder: Path, train: int = TRAIN, test: int = TEST) -> dict[str, npt.NDArray[Any]]:
    """Return x_train, y_train, x_test, y_test; kept in `folder`, so that only the first call makes them."""
    kept = folder / f"distorted-digits-{train}-{test}.npz"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with (unfinished := kept.with_suffix(".unfinished")).open("wb") as stream:
            np.savez(stream, **_made(train, test))
        unfinished.replace(kept)
    with np.load(kept, allow_pickle=False) as found:
        return dict(found)


def _made(train: int, test: int) -> dict[str, npt.NDArray[Any]]:
    from sklearn.datasets import load_digits

    found = load_digits()
    random = np.random.default_rng(0)
    order = random.permutation(len(found.target))
    held_out = order[: round(_HELD_OUT * len(order))]
    learned = order[len(held_out) :]
    made = {}
    for part, originals, count in (("train", learned, train), ("test", held_out, test)):
        chosen = random.choice(originals, count)
        made[f"x_{part}"] = _distorted(found.images[chosen], random)
        made[f"y_{part}"] = found.target[chosen].astype(np.int64)
    return made


def _distorted(originals: npt.NDArray[np.float64], random: np.random.Generator) -> Images:
    from scipy.ndimage import affine_transform

    out = np.empty((len(originals), SIDE, SIDE), np.uint8)
    pixels = originals.shape[1] / SIDE
    for index, image in enumerate(originals):
        angle, shear = random.normal(0, 0.12), random.normal(0, 0.15)
        scale = pixels * np.exp(random.normal(0, 0.08, 2))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(scale)
        centre_in, centre_out = (image.shape[0] - 1) / 2, (SIDE - 1) / 2
        shift = centre_in - matrix @ np.full(2, centre_out) + random.normal(0, 0.35, 2)
        drawn = affine_transform(image, matrix, shift, (SIDE, SIDE), order=1)
        out[index] = np.rint(drawn / _BRIGHTEST * 255).clip(0, 255)
    return out
