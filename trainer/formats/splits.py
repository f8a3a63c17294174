"""The names that data sets give their parts."""

import re

TRAIN, TEST, VALIDATION = "train", "test", "validation"
_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "test": TEST,
    "testing": TEST,
    "t10k": TEST,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
}


def split_of(name: str) -> str | None:
    """Return which part a folder or file of exactly this name is, None if it is not one's name."""
    return _NAMES.get(name.lower())


def split_in(name: str) -> str | None:
    """Return which part a file belongs to by a word of its name, as in ``mnist-train.tfrecord-00000-of-00001``."""
    for word in re.split(r"[^A-Za-z0-9]+", name.rpartition("/")[2]):
        if found := split_of(word):
            return found
    return None
