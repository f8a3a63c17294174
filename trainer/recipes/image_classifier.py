"""Recognises images of any size, channel count and number of classes: a dense or a convolutional network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer import metrics, saved_model
from trainer.augmentation import affine
from trainer.dataset import DataSet
from trainer.errors import WrongInput
from trainer.fit import Fit, balanced, fit
from trainer.progress import Progress
from trainer.recipe import Parameter
from trainer.tf import tensorflow

PARAMETERS = (
    Parameter("network", "convolutional", "what to train", choices=("convolutional", "dense")),
    Parameter(
        "epochs",
        0,
        "times that every image is seen, 0: by their number, from 40 for 5,000 or fewer to 3 for 60,000 or more",
        minimum=0,
        maximum=10_000,
    ),
    Parameter("batchSize", 64, "images a step", minimum=1, maximum=65_536),
    Parameter(
        "learningRate",
        0.004,
        "Adam's, the highest; it rises for a tenth of all steps, then falls to 0 as a cosine",
        minimum=1e-8,
        maximum=10,
    ),
    Parameter("hiddenUnits", 128, "width of the last hidden layer", minimum=1, maximum=65_536),
    Parameter("dropout", 0.2, "share of the hidden layer left out in each step", minimum=0, maximum=0.95),
    Parameter(
        "augmentation",
        0.05,
        "how far images are moved, turned and scaled at random in training, as a share of their size; 0: not",
        minimum=0,
        maximum=0.5,
    ),
    Parameter(
        "classWeights",
        "none",
        "balanced: every class counts as much as any other, however many images it has",
        choices=("none", "balanced"),
    ),
    Parameter("earlyStopping", 0, "epochs without improvement before it ends, 0: never", minimum=0),
    Parameter("seed", 0, "the same seed gives the same model, bit for bit, on one machine", minimum=0),
)
_FILTERS = (16, 32, 64, 64, 128)
_IMAGES_SEEN, _FEWEST_EPOCHS, _MOST_EPOCHS = 200_000, 3, 40
_SMALL_ENOUGH = 7  # pixels a side, after which pooling ends


def train(data: DataSet, parameters: Mapping[str, Any], model_dir: Path, progress: Progress) -> None:
    """Train a classifier and write it as a SavedModel; see `trainer.recipe` for the contract."""
    if data.train.inputs.ndim != 4:
        raise WrongInput(
            f"{__name__} learns from images, but the data are tables; use trainer.recipes.tabular"
        )
    tf = tensorflow()
    tf.keras.backend.clear_session()  # names of layers are counted per process, and written into the model
    tf.keras.utils.set_random_seed(parameters["seed"] % 2**32)
    tf.config.experimental.enable_op_determinism()
    shape = data.train.inputs.shape[1:]
    network = _network(parameters, shape, len(data.class_names))
    progress.say(
        f"{len(data.train)} images of {'x'.join(map(str, shape))}, {len(data.class_names)} classes,"
        f" {network.count_params()} weights"
    )
    fit(network, data.train, _settings(parameters, data), progress)
    saved_model.write_classifier(network, shape, model_dir)
    saved_model.write_labels(model_dir, data.class_names)


def evaluate(model_dir: Path, data: DataSet) -> dict[str, float]:
    """Return the metrics of `trainer.metrics.classification` of any classifier's SavedModel on the test part."""
    found = saved_model.predictions(model_dir, data.test.inputs)
    if found.ndim != 2:
        raise WrongInput(
            f"the model returns the shape {found.shape[1:]} an image, not one probability a class"
        )
    columns = metrics.as_columns(
        data.test.labels, data.class_names, saved_model.class_names(model_dir), found.shape[1]
    )
    return metrics.classification(found, columns)


def _settings(parameters: Mapping[str, Any], data: DataSet) -> Fit:
    weighed, strength = parameters["classWeights"] == "balanced", parameters["augmentation"]
    return Fit(
        epochs=parameters["epochs"] or _epochs(len(data.train)),
        batch_size=parameters["batchSize"],
        learning_rate=parameters["learningRate"],
        patience=parameters["earlyStopping"],
        seed=parameters["seed"],
        class_weights=balanced(data.train.labels, len(data.class_names)) if weighed else None,
        augment=affine(strength, data.train.inputs.shape[1:]) if strength else None,
    )


def _epochs(images: int) -> int:
    return min(max(round(_IMAGES_SEEN / images), _FEWEST_EPOCHS), _MOST_EPOCHS)


def _network(parameters: Mapping[str, Any], shape: tuple[int, ...], classes: int) -> Any:
    tf = tensorflow()
    layers = tf.keras.layers
    # The division lives in the network: what it takes, in training as in serving, is pixel values 0-255.
    stack = [layers.Input(shape), layers.Rescaling(1 / 255)]
    if parameters["network"] == "convolutional":
        side = max(shape[:2])
        for filters in _FILTERS:
            stack += [layers.Conv2D(filters, 3, padding="same", activation="relu")]
            stack += [layers.MaxPooling2D(2, padding="same")]
            side = (side + 1) // 2
            if side <= _SMALL_ENOUGH:
                break
    stack += [layers.Flatten(), layers.Dense(parameters["hiddenUnits"], activation="relu")]
    stack += [layers.Dropout(parameters["dropout"], seed=parameters["seed"]), layers.Dense(classes)]
    return tf.keras.Sequential(stack)
