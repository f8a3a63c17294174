"""Real handwriting for the demo: scikit-learn's 1,797 digits, scaled to 28x28, in MNIST's own file format.

    python -m sandbox.digits --output DIR [--seed N] [--share 0.8] [--augment N]

The files are the same, byte for byte, whenever they are written with the same arguments.
"""

import argparse
import gzip
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 28
_BRIGHTEST = 16  # the digits come with values 0-16
_FILES = {
    "train-images-idx3-ubyte.gz": ("train", "images"),
    "train-labels-idx1-ubyte.gz": ("train", "labels"),
    "t10k-images-idx3-ubyte.gz": ("test", "images"),
    "t10k-labels-idx1-ubyte.gz": ("test", "labels"),
}


def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return all images, uint8 [1797, 28, 28] (0 is paper, 255 is ink), and their labels, uint8 [1797]."""
    from sklearn.datasets import load_digits

    found = load_digits()
    weights = _interpolation(found.images.shape[1], SIDE)
    scaled = np.einsum("yi,nij,xj->nyx", weights, found.images / _BRIGHTEST * 255, weights)
    return np.rint(scaled).clip(0, 255).astype(np.uint8), found.target.astype(np.uint8)


def _interpolation(source: int, target: int) -> npt.NDArray[np.float64]:
    """Return the weights [target, source] of linear interpolation between pixel centres, edges repeated."""
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    distance = np.abs(centres.clip(0, source - 1)[:, np.newaxis] - np.arange(source))
    return np.maximum(0.0, 1.0 - distance)


def split(seed: int, share: float, augment: int) -> dict[str, dict[str, npt.NDArray[np.uint8]]]:
    """Return images and labels of "train" (`share` of all, plus `augment` shifted copies of each) and "test".

    Shifted copies are made of training images only, by up to two pixels each way. The test part depends on
    `seed` and `share` alone, so that more data is judged on the same images.
    """
    images, labels = digits()
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    train, test = np.split(order, [round(share * len(order))])
    copies = [images[train]] + [_shifted(images[train], random) for _ in range(augment)]
    return {
        "train": {"images": np.concatenate(copies), "labels": np.tile(labels[train], 1 + augment)},
        "test": {"images": images[test], "labels": labels[test]},
    }


def _shifted(images: npt.NDArray[np.uint8], random: np.random.Generator) -> npt.NDArray[np.uint8]:
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    offsets = random.integers(0, 5, (len(images), 2))
    return np.stack(
        [image[y : y + SIDE, x : x + SIDE] for image, (y, x) in zip(padded, offsets, strict=True)]
    )


def write_digits(directory: Path, seed: int = 0, share: float = 0.8, augment: int = 0) -> None:
    """Write the four files to `directory`, which is made if it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    parts = split(seed, share, augment)
    for name, (part, kind) in _FILES.items():
        (directory / name).write_bytes(_idx(parts[part][kind]))


def _idx(values: npt.NDArray[np.uint8]) -> bytes:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return gzip.compress(header + values.tobytes(), compresslevel=6, mtime=0)


def held_out(directory: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the test images, uint8 [n, 28, 28], and labels, uint8 [n], of what `write_digits` wrote."""
    images, labels = (_values(directory / f"t10k-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    return images, labels


def _values(path: Path) -> npt.NDArray[Any]:
    content = gzip.decompress(path.read_bytes())
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def main(arguments: list[str] | None = None) -> int:
    """Write the files and say what they are."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.digits", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="which images are held out (0)")
    parser.add_argument("--share", type=float, default=0.8, help="share of the images to train on (0.8)")
    parser.add_argument("--augment", type=int, default=0, help="shifted copies of each training image (0)")
    given = parser.parse_args(arguments)
    if not 0 < given.share < 1 or given.augment < 0:
        parser.error("--share lies between 0 and 1, --augment is 0 or more")
    write_digits(given.output, given.seed, given.share, given.augment)
    images, _ = held_out(given.output)
    print(f"{given.output}: digits of {SIDE}x{SIDE} pixels, {len(images)} of them held out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
