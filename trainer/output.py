"""A folder that a step writes: complete when its record is there, begun anew when it is not."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainer.errors import WrongInput

_UNFINISHED = ".unfinished"


@contextmanager
def folder(directory: Path, record: str) -> Iterator[dict[str, Any]]:
    """Yield a record to fill while `directory` is written; it is stored as `directory`/`record`, last of all.

    What an earlier try of the same step left there is removed first; it is known by its record or by the mark
    of an unfinished one.

    Raises
    ------
    WrongInput
        If the folder holds something else: a step deletes nothing that it did not write.
    """
    mark = directory / _UNFINISHED
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = list(directory.iterdir())
        if found and not mark.exists() and not (directory / record).exists():
            raise WrongInput(
                f"{directory} already holds other files ({found[0].name}); give an empty or a new folder"
            )
        mark.touch()
        for path in found:
            if path != mark:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError as error:
        raise WrongInput(f"{directory} cannot be written to: {error.strerror}") from error
    filled: dict[str, Any] = {}
    yield filled
    (directory / record).write_text(json.dumps(filled, indent=1, allow_nan=False) + "\n")
    mark.unlink()


def record(directory: Path, name: str) -> Mapping[str, Any]:
    """Return what an earlier step recorded in `directory`, nothing if it was made by other means."""
    path = directory / name
    try:
        found = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise WrongInput(f"{path} is not JSON ({error}); run the step before again") from error
    if not isinstance(found, dict):
        raise WrongInput(f"{path} is not a JSON object; run the step before again")
    return found
