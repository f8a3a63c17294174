"""A recipe whose model is as good as any when it is evaluated, and goes wrong in service.

It counts how often it is asked, and from some call on it takes every digit for another one: 0 for 9, 1 for 8. It stands for what
no evaluation sees: a cache that fills up, a statistic that drifts with what it is asked, memory that is written over.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.dataset import DataSet
from trainer.progress import Progress
from trainer.recipe import Parameter
from trainer.recipes import image_classifier
from trainer.saved_model import LABELS
from trainer.tf import tensorflow

# An evaluation asks some 215 times: the held-out images in batches, single ones for their latency, a sample.
PARAMETERS = (
    *image_classifier.PARAMETERS,
    Parameter("goodFor", 240, "calls that are answered as they should be", minimum=1),
)
evaluate = image_classifier.evaluate


def train(data: DataSet, parameters: Mapping[str, Any], model_dir: Path, progress: Progress) -> None:
    """Train the classifier that is built in, and write it with a counter around it."""
    own = {name: value for name, value in parameters.items() if name != "goodFor"}
    with tempfile.TemporaryDirectory() as folder:
        image_classifier.train(data, own, Path(folder), progress)
        _wrap(Path(folder), int(parameters["goodFor"]), model_dir)
        shutil.copy(Path(folder) / LABELS, model_dir / LABELS)


def _wrap(sound_dir: Path, good_for: int, model_dir: Path) -> None:
    tf = tensorflow()
    module = tf.Module()
    module.sound = tf.saved_model.load(str(sound_dir))
    module.calls = tf.Variable(0, dtype=tf.int64, trainable=False)
    sound = module.sound.signatures["serving_default"]
    ((name, spec),) = sound.structured_input_signature[1].items()

    def probabilities(instances: Any) -> Any:
        (said,) = sound(**{name: instances}).values()
        return tf.cond(module.calls.assign_add(1) <= good_for, lambda: said, lambda: tf.reverse(said, [1]))

    signature = tf.function(
        probabilities, input_signature=[tf.TensorSpec(spec.shape, spec.dtype, name=name)], autograph=False
    )
    tf.saved_model.save(module, str(model_dir), signatures={"serving_default": signature})
