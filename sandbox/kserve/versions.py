"""Which folder of a downloaded model is served."""

from __future__ import annotations

from pathlib import Path


class NoVersionError(Exception):
    """The storage URI does not point at the parent of a numbered folder."""


def newest_version(folder: Path) -> Path:
    """The highest numbered folder, as TensorFlow Serving picks it.

    Raises
    ------
    NoVersionError
        No folder with a number for its name. TensorFlow Serving would wait for one; here the server ends.
    """
    versions = [one for one in folder.iterdir() if one.is_dir() and one.name.isdigit()]
    if not versions:
        raise NoVersionError(
            "No versions of servable found under base path /mnt/models. Is your storage URI the parent?"
        )
    return max(versions, key=lambda one: int(one.name))
