"""One training with the image classifier's defaults, in a process of its own.

    python -m bench.trainer_accuracy digits|images|FOLDER NETWORK SEED [FOLDER_OF_MADE_IMAGES]

Prints its accuracy on held-out images and its seconds, export included, as JSON.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.trainer_images import images
from sandbox.digits import split
from trainer import data, recipe
from trainer.dataset import DataSet, Examples
from trainer.progress import Progress
from trainer.tf import tensorflow


def _found(what: str, seed: int, folder: str) -> DataSet:
    names = tuple(str(number) for number in range(10))
    if what == "digits":
        parts = split(seed=seed, share=0.8, augment=0)
        made = {part: (each["images"], each["labels"].astype(np.int64)) for part, each in parts.items()}
    elif what == "images":
        kept = images(Path(folder))
        made = {part: (kept[f"x_{part}"], kept[f"y_{part}"]) for part in ("train", "test")}
    else:
        return data.read(Path(what)).data_set()[0]
    examples = {part: Examples(inputs[..., np.newaxis], labels) for part, (inputs, labels) in made.items()}
    return DataSet(class_names=names, **examples)


def main() -> None:
    """Train, evaluate and print."""
    what, network, seed, *folder = sys.argv[1:]
    found = _found(what, int(seed), folder[0] if folder else "")
    tensorflow()
    loaded = recipe.load("trainer.recipes.image_classifier")
    parameters = loaded.complete({"network": network, "seed": int(seed)})
    with tempfile.TemporaryDirectory() as there, contextlib.redirect_stdout(io.StringIO()):
        began = time.perf_counter()
        loaded.train(found, parameters, Path(there), Progress())
        seconds = time.perf_counter() - began
        accuracy = loaded.evaluate(Path(there), found)["accuracy"]
    print(json.dumps({"accuracy": accuracy, "seconds": seconds}))


if __name__ == "__main__":
    main()
