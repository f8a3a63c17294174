"""A SavedModel as a server sees it: its signature `serving_default`, and nothing of the code that made it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.errors import WrongInput
from trainer.tf import tensorflow

LABELS = "labels.json"
_BATCH = 256


class ServedModel:
    """A loaded model's `serving_default`.

    Raises
    ------
    WrongInput
        If the folder holds no SavedModel with a signature `serving_default` of one input.
    """

    def __init__(self, model_dir: Path) -> None:
        if not (model_dir / "saved_model.pb").is_file():
            raise WrongInput(f"{model_dir} holds no saved_model.pb")
        tf = tensorflow()
        self._model = tf.saved_model.load(str(model_dir))  # kept: the signature does not keep it alive
        if "serving_default" not in self._model.signatures:
            raise WrongInput(f"the model in {model_dir} has no signature serving_default")
        self._signature = self._model.signatures["serving_default"]
        inputs = self._signature.structured_input_signature[1]
        if len(inputs) != 1:
            raise WrongInput(
                f"the model's serving_default takes {len(inputs)} inputs ({', '.join(inputs)}), not one"
            )
        self._name, self._spec = next(iter(inputs.items()))

    def _check(self, inputs: npt.NDArray[Any]) -> None:
        if not self._spec.shape.is_compatible_with((None, *inputs.shape[1:])):
            takes = "x".join(str(length) for length in self._spec.shape[1:])
            given = "x".join(str(length) for length in inputs.shape[1:])
            raise WrongInput(f"the model takes inputs of the shape {takes}, the data has {given}")

    def outputs(self, inputs: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Return every output by name, each [n, ...], for `inputs` [n, ...], computed in batches.

        Raises
        ------
        WrongInput
            If the model takes inputs of another shape.
        """
        self._check(inputs)
        batches = []
        for begin in range(0, len(inputs), _BATCH):
            batch = np.asarray(inputs[begin : begin + _BATCH]).astype(self._spec.dtype.as_numpy_dtype)
            found = self._signature(**{self._name: tensorflow().constant(batch)})
            batches.append({name: output.numpy() for name, output in found.items()})
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def predictions(model_dir: Path, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what the model in `model_dir` predicts for `inputs`, [n, ...]; for a model of one output.

    Raises
    ------
    WrongInput
        If there is no such model there, or it takes or returns something else.
    """
    outputs = ServedModel(model_dir).outputs(inputs)
    if len(outputs) != 1:
        raise WrongInput(
            f"the model's serving_default returns {len(outputs)} outputs ({', '.join(outputs)}), not one"
        )
    return next(iter(outputs.values()))


def v1_predictions(model_dir: Path, inputs: npt.NDArray[Any]) -> list[Any]:
    """Return what a V1 server answers as "predictions": one each, by name where outputs are several."""
    outputs = ServedModel(model_dir).outputs(inputs)
    if len(outputs) == 1:
        found: list[Any] = next(iter(outputs.values())).tolist()
        return found
    return [{name: output[row].tolist() for name, output in outputs.items()} for row in range(len(inputs))]


def write_labels(model_dir: Path, class_names: Sequence[str]) -> None:
    """Write the names of the model's classes beside it, in the order of its probabilities."""
    (model_dir / LABELS).write_text(
        json.dumps({"classes": list(class_names)}, ensure_ascii=False, indent=1) + "\n"
    )


def class_names(model_dir: Path) -> tuple[str, ...] | None:
    """Return the names of the model's classes, None where nothing is said about them."""
    path = model_dir / LABELS
    return tuple(json.loads(path.read_text())["classes"]) if path.is_file() else None
