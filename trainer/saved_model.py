"""A SavedModel as a server sees it: its signature `serving_default`, and nothing of the code that made it."""

import json
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.errors import WrongInput
from trainer.table import Table
from trainer.tf import tensorflow

LABELS = "labels.json"
_BATCH = 256
_MOST_KEPT = 256 * 2**20  # bytes of predictions
_WARM_UP_CALLS = 10
_FILE_CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency


class ServedModel:
    """A loaded model's `serving_default`.

    Raises
    ------
    WrongInput
        If the folder holds no SavedModel with a signature `serving_default`.
    """

    def __init__(self, model_dir: Path) -> None:
        if not (model_dir / "saved_model.pb").is_file():
            raise WrongInput(f"{model_dir} holds no saved_model.pb")
        tf = tensorflow()
        self._model = tf.saved_model.load(str(model_dir))  # kept: the signature does not keep it alive
        if "serving_default" not in self._model.signatures:
            raise WrongInput(f"the model in {model_dir} has no signature serving_default")
        self._signature = self._model.signatures["serving_default"]
        self._inputs = self._signature.structured_input_signature[1]
        self._name, self._spec = next(iter(self._inputs.items()))
        self.answered: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None

    def _check(self, inputs: npt.NDArray[Any]) -> None:
        if len(self._inputs) != 1:
            raise WrongInput(
                f"the model's serving_default takes {len(self._inputs)} inputs ({', '.join(self._inputs)}), not one"
            )
        if not self._spec.shape.is_compatible_with((None, *inputs.shape[1:])):
            takes = "x".join(str(length) for length in self._spec.shape[1:])
            given = "x".join(str(length) for length in inputs.shape[1:])
            raise WrongInput(f"the model takes inputs of the shape {takes}, the data has {given}")

    def outputs(self, inputs: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Return every output by name, each [n, ...], for `inputs` [n, ...], computed in batches.

        A table feeds each of the signature's inputs from the column of its name; other columns are passed over.

        Raises
        ------
        WrongInput
            If the model takes inputs of another shape, or columns that are not there or not numbers.
        """
        batches = []
        if not isinstance(inputs, Table):
            self._check(inputs)
        for begin in range(0, len(inputs), _BATCH):
            found = self._signature(**self._fed(inputs[begin : begin + _BATCH]))
            batches.append({name: output.numpy() for name, output in found.items()})
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    def _fed(self, inputs: Any) -> dict[str, Any]:
        tf = tensorflow()
        if not isinstance(inputs, Table):
            batch = np.asarray(inputs).astype(self._spec.dtype.as_numpy_dtype)
            return {self._name: tf.constant(batch)}
        # What a column is, the model says: data to evaluate with may look otherwise.
        return {
            name: tf.constant(inputs.texts(name).tolist(), tf.string)
            if spec.dtype == tf.string
            else tf.cast(inputs.numbers(name), spec.dtype)
            for name, spec in self._inputs.items()
        }


def predictions(model_dir: Path, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what the model in `model_dir` predicts for `inputs`, [n, ...]; for a model of one output.

    The last answer of each model is kept, so that whoever asks the same again (the step that draws the report,
    after a recipe's `evaluate`) does not compute it again. Do not write into it.

    Raises
    ------
    WrongInput
        If there is no such model there, or it takes or returns something else.
    """
    served = load(model_dir)
    if (kept := served.answered) and kept[0] is inputs:
        return kept[1]
    outputs = served.outputs(inputs)
    if len(outputs) != 1:
        raise WrongInput(
            f"the model's serving_default returns {len(outputs)} outputs ({', '.join(outputs)}), not one"
        )
    found = next(iter(outputs.values()))
    served.answered = (inputs, found) if found.nbytes <= _MOST_KEPT else None
    return found


def load(model_dir: Path) -> ServedModel:
    """Return the model in `model_dir`, loaded once as long as its file is the same; the two last ones are kept."""
    graph = model_dir / "saved_model.pb"
    stamp = (graph.stat().st_mtime_ns, graph.stat().st_size) if graph.is_file() else None
    return _loaded(model_dir.absolute(), stamp)


@lru_cache(maxsize=2)
def _loaded(model_dir: Path, stamp: tuple[int, int] | None) -> ServedModel:
    return ServedModel(model_dir)


def latencies(
    model_dir: Path, inputs: npt.NDArray[Any], seconds: float = 2.0, count: int = 200
) -> list[float]:
    """Return how long single predictions take, in milliseconds: at most `count` or about `seconds` of them.

    One input a call, one call after the other, in this process: what a server's network and queue add is not in it.
    The first calls, which compile and fill caches, are not counted.
    """
    served, found = load(model_dir), []
    until = time.perf_counter() + seconds
    for number in range(_WARM_UP_CALLS + count if len(inputs) else 0):
        at = number % len(inputs)
        one = inputs[at : at + 1]
        began = time.perf_counter()
        served.outputs(one)
        ended = time.perf_counter()
        if number >= _WARM_UP_CALLS:
            found.append(1000 * (ended - began))
        if found and ended > until:
            break
    return found


def v1_predictions(model_dir: Path, inputs: npt.NDArray[Any]) -> list[Any]:
    """Return what a V1 server answers as "predictions": one each, by name where outputs are several."""
    outputs = load(model_dir).outputs(inputs)
    if len(outputs) == 1:
        found: list[Any] = next(iter(outputs.values())).tolist()
        return found
    return [{name: output[row].tolist() for name, output in outputs.items()} for row in range(len(inputs))]


def write_classifier(network: Any, shape: Sequence[int], model_dir: Path) -> None:
    """Write an image classifier with the signatures that servers offer.

    ``serving_default`` takes ``instances``, float32 [n, height, width, channels] with pixel values 0-255;
    ``serving_bytes`` takes ``image_bytes``, strings [n] that are PNG or JPEG files of any size, sent to a V1
    server as ``{"b64": "…"}``. Both answer probabilities, [n, classes]. Images of 2 or more than 4 channels have no
    such files, and their models no second signature.

    Parameters
    ----------
    network
        Keras; returns logits [n, classes] of pixel values.
    shape
        Of an image: height, width, channels.
    """
    tf = tensorflow()

    def probabilities(instances: Any) -> Any:
        return tf.nn.softmax(network(instances, training=False))

    def decoded(content: Any) -> Any:
        image = tf.io.decode_image(content, channels=shape[-1], expand_animations=False)
        fitted = tf.image.resize(image, shape[:2], antialias=True)
        return tf.ensure_shape(fitted, shape)

    def probabilities_of_files(image_bytes: Any) -> Any:
        return probabilities(tf.map_fn(decoded, image_bytes, fn_output_signature=tf.float32))

    module = tf.Module()
    module.network = network
    signatures = {"serving_default": _signature(probabilities, [None, *shape], "float32", "instances")}
    if shape[-1] in _FILE_CHANNELS:
        signatures["serving_bytes"] = _signature(probabilities_of_files, [None], "string", "image_bytes")
    tf.saved_model.save(module, str(model_dir), signatures=signatures)


def _signature(function: Any, shape: Sequence[int | None], kind: str, name: str) -> Any:
    tf = tensorflow()
    spec = tf.TensorSpec(shape, tf.as_dtype(kind), name=name)
    return tf.function(function, input_signature=[spec], autograph=False)


def write_labels(model_dir: Path, class_names: Sequence[str]) -> None:
    """Write the names of the model's classes beside it, in the order of its probabilities."""
    (model_dir / LABELS).write_text(
        json.dumps({"classes": list(class_names)}, ensure_ascii=False, indent=1) + "\n"
    )


def class_names(model_dir: Path) -> tuple[str, ...] | None:
    """Return the names of the model's classes, None where nothing is said about them."""
    path = model_dir / LABELS
    return tuple(json.loads(path.read_text())["classes"]) if path.is_file() else None
