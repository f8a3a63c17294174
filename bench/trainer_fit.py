"""One training, timed in a process of its own: ours, or the tutorial's way with tf.data and Keras' fit.

    python -m bench.trainer_fit ours|tutorial SEED FOLDER

Both learn the same 60,000 images for 5 epochs in batches of 128 with one hidden layer of 128, and are judged on the same
10,000. Time runs from the bare arrays to the end of the last epoch; import, data and export are in neither.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.trainer_images import images
from trainer.tf import tensorflow

EPOCHS, BATCH, HIDDEN = 5, 128, 128


def tutorial(found: dict[str, Any], seed: int) -> tuple[float, float]:
    """Return seconds and accuracy of the tutorial's script."""
    tf = tensorflow()
    began = time.perf_counter()
    tf.keras.utils.set_random_seed(seed)
    rows = tf.data.Dataset.from_tensor_slices((found["x_train"], found["y_train"]))
    rows = rows.map(lambda x, y: (tf.cast(x, tf.float32) / 255.0, y), num_parallel_calls=tf.data.AUTOTUNE)
    rows = rows.cache().shuffle(len(found["y_train"])).batch(BATCH).prefetch(tf.data.AUTOTUNE)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [layers.Input((28, 28)), layers.Flatten(), layers.Dense(HIDDEN, activation="relu"), layers.Dense(10)]
    )
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=tf.keras.optimizers.Adam(0.001), loss=loss, metrics=["accuracy"])
    model.fit(rows, epochs=EPOCHS, verbose=0)
    seconds = time.perf_counter() - began
    logits = model(found["x_test"] / np.float32(255)).numpy()
    return seconds, float((logits.argmax(axis=1) == found["y_test"]).mean())


def ours(found: dict[str, Any], seed: int) -> tuple[float, float]:
    """Return seconds and accuracy of the image classifier with its own learning rate."""
    from trainer import recipe
    from trainer.dataset import DataSet, Examples
    from trainer.progress import Progress

    class Watch(Progress):
        ended = 0.0

        def epoch(self, epoch: int, epochs: int, **values: float) -> None:
            self.ended = time.perf_counter()

    tensorflow()
    names = tuple(str(number) for number in range(10))
    parts = {
        part: Examples(found[f"x_{part}"][..., np.newaxis], found[f"y_{part}"]) for part in ("train", "test")
    }
    data, watch = DataSet(class_names=names, **parts), Watch()
    loaded = recipe.load("trainer.recipes.image_classifier")
    given = {"network": "dense", "hiddenUnits": HIDDEN, "epochs": EPOCHS, "batchSize": BATCH, "seed": seed}
    parameters = loaded.complete({**given, "augmentation": 0, "dropout": 0})
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        began = time.perf_counter()
        loaded.train(data, parameters, Path(folder), watch)
        accuracy = loaded.evaluate(Path(folder), data)["accuracy"]
    return watch.ended - began, accuracy


def main() -> None:
    """Print seconds and accuracy as JSON."""
    way, seed, folder = sys.argv[1:]
    seconds, accuracy = {"ours": ours, "tutorial": tutorial}[way](images(Path(folder)), int(seed))
    print(json.dumps({"seconds": seconds, "accuracy": accuracy}))


if __name__ == "__main__":
    main()
