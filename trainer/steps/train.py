"""The train step: data and parameters in, a SavedModel out."""

import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from trainer import data, output, reading, recipe
from trainer.errors import redacted
from trainer.progress import Progress, say

RECORD = ".training.json"


def run(
    data_dir: Path,
    model_dir: Path,
    entrypoint: str,
    parameters: Mapping[str, Any],
    packages: Sequence[str] = (),
    retrain_token: str | None = None,
) -> None:
    """Train with the recipe that `entrypoint` names and write its SavedModel straight into `model_dir`.

    Raises
    ------
    WrongInput
        If recipe, parameters or data are at fault; parameters are looked at first, then the data.
    """
    loaded, how, complete = check(entrypoint, parameters)
    found, said = data.read(data_dir, how).data_set()
    say(f"{len(found.train)} examples to train on, {len(found.test)} to test; {said}")
    began, progress = datetime.now(UTC), Progress()
    with output.folder(model_dir, RECORD) as record:
        loaded.train(found, complete, model_dir, progress)
        ended = datetime.now(UTC)
        record.update(
            entrypoint=entrypoint,
            parameters={**{name: parameters[name] for name in how.given}, **complete},
            packages=[redacted(package) for package in packages],
            retrainToken=retrain_token,
            classes=len(found.class_names),
            examples={"train": len(found.train), "test": len(found.test)},
            python=platform.python_version(),
            tensorflow=_tensorflow_version(),
            startedAt=began.isoformat(timespec="seconds").replace("+00:00", "Z"),
            finishedAt=ended.isoformat(timespec="seconds").replace("+00:00", "Z"),
            seconds=round((ended - began).total_seconds(), 3),
            history=progress.strict_history(),
        )
    say(f"trained in {(ended - began).total_seconds():.1f} s")


def check(
    entrypoint: str, parameters: Mapping[str, Any]
) -> tuple[recipe.Recipe, reading.Reading, dict[str, Any]]:
    """Return the recipe, how to read the data, and the recipe's parameters complete.

    Raises
    ------
    WrongInput
        If there is no such recipe, or a parameter is unknown or ill-typed.
    """
    loaded = recipe.load(entrypoint)
    how, own = reading.separated(parameters)
    return loaded, how, loaded.complete(own)


def _tensorflow_version() -> str | None:
    if "tensorflow" in sys.modules:
        return str(sys.modules["tensorflow"].__version__)
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
