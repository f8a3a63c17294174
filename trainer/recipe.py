"""What a recipe is: the contract between the trainer and the code that learns, ours or yours.

A recipe is an importable Python module, named by `entrypoint` (``mypackage.mymodule``), with two functions::

    def train(data: DataSet, parameters: Mapping[str, Any], model_dir: Path, progress: Progress) -> None
    def evaluate(model_dir: Path, data: DataSet) -> Mapping[str, float]

`train` learns from ``data.train`` (images: ``inputs`` uint8 [n, height, width, channels], pixel values 0-255;
``labels`` int64 [n], indices into ``data.class_names``) and writes a TensorFlow SavedModel straight into
`model_dir`, an existing empty folder: ``saved_model.pb`` must lie in it afterwards. Its signature
``serving_default`` has one input; what it takes is what clients send: pixel values 0-255 as float32 [n,
height, width, channels]. Preprocessing belongs inside. It may look at ``data.test``, but what it learns from
there makes its own metrics worthless. `progress` takes ``progress.epoch(1, 20, loss=0.3)``,
``progress.step(...)`` and ``progress.say("a line")``.

`evaluate` returns metrics by name (numbers; not-a-number is stored as null, and a bound on it then rejects
the model) of the model in `model_dir` on ``data.test`` (``data.train`` may be empty). It is called for the
model just trained *and* for the one serving now, which an older recipe may have made: it goes through the
signature ``serving_default`` and nothing else (`trainer.saved_model.predictions` does). Raise any exception
where a model cannot take the data.

Where the data is a CSV file, ``inputs`` is a `trainer.table.Table` of named columns, and the signature has one
input a column (`trainer.recipes.tabular` is an example). Images that may not fit into memory come as
`trainer.rows.Rows`, which reads them as it is indexed: take slices or numbers of it, not all at once.

A module may also hold ``PARAMETERS``, a sequence of `Parameter`. With it, `parameters` arrives complete with
defaults, and unknown or ill-typed ones end the step before any work is done; without it, they arrive as the
user wrote them. Parameters that say how to read the data (``dataFormat``, ``labelColumn``, … in `trainer.reading`)
are not the recipe's: they are taken out before, whatever the recipe.

Both functions run in a fresh process, in steps of their own and possibly on different machines: nothing
passes from one to the other but the files in `model_dir`.
"""

import importlib
import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from trainer.dataset import DataSet
from trainer.errors import WrongInput, nearest
from trainer.progress import Progress

BUILT_IN = ("trainer.recipes.image_classifier", "trainer.recipes.tabular")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a recipe.

    Attributes
    ----------
    name
        As the user writes it, in camelCase like the rest of the resource.
    default
        Its value where none is given; its type is the type that is asked for (bool, int, float or str).
    description
        One line, with the unit.
    minimum, maximum
        Inclusive bounds of a number.
    choices
        The only values allowed.
    """

    name: str
    default: bool | int | float | str
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def value(self, given: Any) -> bool | int | float | str:
        """Return `given` as this parameter's type; raise `WrongInput` if it cannot be that."""
        value = self._typed(given)
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            raise WrongInput(f"parameter {self.name} is {given!r}; {self._wanted()}")
        too_low = self.minimum is not None and not isinstance(value, str) and value < self.minimum
        too_high = self.maximum is not None and not isinstance(value, str) and value > self.maximum
        if too_low or too_high or (self.choices and value not in self.choices):
            near = nearest(str(value), self.choices)
            raise WrongInput(f"parameter {self.name} is {given!r}; {self._wanted()}{near}")
        return value

    def _typed(self, given: Any) -> bool | int | float | str | None:
        wanted = type(self.default)
        if isinstance(given, bool) or wanted is bool or wanted is str:
            return given if type(given) is wanted else None
        if wanted is int:  # JSON on its way through KFP knows only floating point
            whole = isinstance(given, int) or (isinstance(given, float) and given.is_integer())
            return int(given) if whole else None
        return float(given) if isinstance(given, int | float) else None

    def _wanted(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)} is expected"
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[
            type(self.default)
        ]
        low = f" from {self.minimum:g}" if self.minimum is not None else ""
        high = f" up to {self.maximum:g}" if self.maximum is not None else ""
        return f"{kind}{low}{high} is expected"


@dataclass(frozen=True)
class Recipe:
    """A loaded recipe."""

    entrypoint: str
    module: ModuleType
    parameters: tuple[Parameter, ...] | None

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with defaults filled in.

        Raises
        ------
        WrongInput
            If one is unknown (with the nearest right name) or ill-typed.
        """
        if self.parameters is None:
            return dict(given)
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                near = nearest(name, [*known, *_about_data()]) or f"; it has {', '.join(known)}"
                raise WrongInput(f"{self.entrypoint} has no parameter {name}{near}")
        return {name: known[name].value(given.get(name, known[name].default)) for name in known}

    def train(
        self, data: DataSet, parameters: Mapping[str, Any], model_dir: Path, progress: Progress
    ) -> None:
        """Train, and see that a model was written; raise `WrongInput` if none was."""
        self.module.train(data, parameters, model_dir, progress)
        if not (model_dir / "saved_model.pb").is_file():
            raise WrongInput(
                f"{self.entrypoint}: train left no saved_model.pb in the model folder it was given"
            )

    def evaluate(self, model_dir: Path, data: DataSet) -> dict[str, float]:
        """Return the metrics of the model in `model_dir`; raise `WrongInput` if these are none."""
        found = self.module.evaluate(model_dir, data)
        if not isinstance(found, Mapping) or not found:
            raise WrongInput(
                f"{self.entrypoint}: evaluate returned {type(found).__name__}, not metrics by name"
            )
        try:
            return {str(name): float(value) for name, value in found.items()}
        except (TypeError, ValueError) as error:
            raise WrongInput(
                f"{self.entrypoint}: evaluate returned a metric that is no number: {error}"
            ) from error


def load(entrypoint: str) -> Recipe:
    """Import the module that `entrypoint` names and check that it is a recipe.

    Raises
    ------
    WrongInput
        If it cannot be found, or lacks what a recipe must have. What a recipe itself raises when it is imported is
        passed on: its author needs the traceback.
    """
    try:
        module = importlib.import_module(entrypoint)
    except ModuleNotFoundError as error:
        if error.name and (entrypoint == error.name or entrypoint.startswith(error.name + ".")):
            near = nearest(entrypoint, BUILT_IN) or nearest(
                entrypoint, BUILT_IN, by=lambda name: name.rpartition(".")[2]
            )
            raise WrongInput(
                f"entrypoint {entrypoint}: there is no such module; bring it by image or packages{near}"
            ) from error
        raise WrongInput(
            f"entrypoint {entrypoint} needs the module {error.name}; add it to packages"
        ) from error
    except (TypeError, ValueError) as error:
        raise WrongInput(f"entrypoint {entrypoint!r} is not the name of a Python module") from error
    for name in ("train", "evaluate"):
        if not callable(getattr(module, name, None)):
            raise WrongInput(
                f"entrypoint {entrypoint} has no function {name}; a recipe has train and evaluate"
            )
    return Recipe(entrypoint, module, _described(entrypoint, getattr(module, "PARAMETERS", None)))


def _described(entrypoint: str, found: Any) -> tuple[Parameter, ...] | None:
    if found is None:
        return None
    if not isinstance(found, Sequence) or not all(isinstance(each, Parameter) for each in found):
        raise WrongInput(f"entrypoint {entrypoint}: PARAMETERS is not a sequence of trainer.recipe.Parameter")
    return tuple(found)


def _about_data() -> tuple[str, ...]:
    from trainer import reading  # which describes its parameters as recipes do

    return tuple(parameter.name for parameter in reading.PARAMETERS)
