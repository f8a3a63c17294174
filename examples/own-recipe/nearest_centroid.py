"""A recipe of one's own: an image belongs to the class whose mean image is nearest.

What a recipe is: ``python -m pydoc trainer.recipe``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import metrics, saved_model
from trainer.dataset import DataSet, Examples
from trainer.progress import Progress
from trainer.recipe import Parameter

PARAMETERS = (
    Parameter("sharpness", 20.0, "how fast probability falls with distance", minimum=0.01, maximum=1_000),
)
_AT_ONCE = 256  # images; the data may be larger than memory


def train(data: DataSet, parameters: Mapping[str, Any], model_dir: Path, progress: Progress) -> None:
    """Write a SavedModel that takes pixel values 0-255, float32 [n, height, width, channels]."""
    centroids = _centroids(data.train, len(data.class_names), progress)
    _write(centroids, parameters["sharpness"], model_dir)
    saved_model.write_labels(model_dir, data.class_names)


def evaluate(model_dir: Path, data: DataSet) -> dict[str, float]:
    """Return metrics of this model, or of the one serving now, which another recipe may have made."""
    probabilities = saved_model.predictions(model_dir, data.test.inputs)
    known = saved_model.class_names(model_dir)
    columns = metrics.as_columns(data.test.labels, data.class_names, known, probabilities.shape[1])
    return metrics.classification(probabilities, columns)


def _centroids(examples: Examples, classes: int, progress: Progress) -> np.ndarray:
    """Return the mean image of each class, [classes, height, width, channels]."""
    total = np.zeros((classes, *examples.inputs.shape[1:]))
    for begin in range(0, len(examples), _AT_ONCE):
        some = examples.at(slice(begin, begin + _AT_ONCE))
        np.add.at(total, some.labels, np.asarray(some.inputs, np.float64))
        progress.step(1, 1, min(begin + _AT_ONCE, len(examples)), len(examples))
    counts = np.maximum(np.bincount(examples.labels, minlength=classes), 1)
    return total / counts.reshape(-1, 1, 1, 1)


def _write(centroids: np.ndarray, sharpness: float, model_dir: Path) -> None:
    module = tf.Module()
    module.centroids = tf.Variable(centroids / 255, dtype=tf.float32)

    def probabilities(instances: tf.Tensor) -> tf.Tensor:
        difference = instances[:, tf.newaxis] / 255 - module.centroids
        return tf.nn.softmax(-sharpness * tf.reduce_mean(difference**2, axis=[2, 3, 4]))

    spec = tf.TensorSpec([None, *centroids.shape[1:]], tf.float32, name="instances")
    serve = tf.function(probabilities, input_signature=[spec])
    tf.saved_model.save(module, str(model_dir), signatures={"serving_default": serve})
