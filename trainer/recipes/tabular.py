"""Predicts the class of a row of a table: numbers and categories of any number of columns, some values missing.

All preprocessing is in the model: a client sends rows as they stand in the file,
``{"instances": [{"age": 31, "job": "clerk"}, …]}``, every column of the training data but the label by its name
(letters, digits and _: other characters became _). A missing category is "". A missing number is NaN, where the
server's JSON takes it (TensorFlow Serving's does); strict JSON cannot say it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer import metrics, saved_model
from trainer.dataset import DataSet, Examples
from trainer.errors import WrongInput
from trainer.fit import Fit, balanced, fit
from trainer.progress import Progress
from trainer.recipe import Parameter
from trainer.table import Table
from trainer.tf import tensorflow

PARAMETERS = (
    Parameter("epochs", 30, "times that every row is seen", minimum=1, maximum=10_000),
    Parameter("batchSize", 64, "rows a step", minimum=1, maximum=65_536),
    Parameter("learningRate", 0.003, "Adam's, the highest of the cycle", minimum=1e-8, maximum=10),
    Parameter("hiddenUnits", 64, "width of each hidden layer", minimum=1, maximum=65_536),
    Parameter("hiddenLayers", 2, "0: a linear model", minimum=0, maximum=16),
    Parameter("dropout", 0.1, "share of each hidden layer left out in each step", minimum=0, maximum=0.95),
    Parameter(
        "maxCategories",
        1_000,
        "categories of a column that are told apart, the most frequent; all others count as one",
        minimum=1,
        maximum=1_000_000,
    ),
    Parameter("classWeights", "none", "how much each class counts", choices=("none", "balanced")),
    Parameter("earlyStopping", 5, "epochs without improvement before it ends, 0: never", minimum=0),
    Parameter("seed", 0, "the same seed gives the same model, bit for bit, on one machine", minimum=0),
)
_WIDEST = 32  # of what a category is turned into
_AT_ONCE = 8_192
_CLIPPED = 10.0  # standard deviations: a mistyped number must not drown all others


@dataclass(frozen=True)
class Numeric:
    """A column of numbers: its mean and standard deviation over the rows to train on."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Categorical:
    """A column of categories, the most frequent first."""

    vocabulary: tuple[str, ...]

    @property
    def codes(self) -> int:
        """How many codes there are: 0 is missing, the last is any category not in the vocabulary."""
        return len(self.vocabulary) + 2

    @property
    def width(self) -> int:
        return min(_WIDEST, 1 + self.codes // 2)


Columns = dict[str, Numeric | Categorical]


def train(data: DataSet, parameters: Mapping[str, Any], model_dir: Path, progress: Progress) -> None:
    """Train a classifier and write it as a SavedModel; see `trainer.recipe` for the contract."""
    table = _table(data.train)
    tf = tensorflow()
    tf.keras.backend.clear_session()  # names of layers are counted per process, and written into the model
    tf.keras.utils.set_random_seed(parameters["seed"] % 2**32)
    tf.config.experimental.enable_op_determinism()
    columns = {name: _learned(table, name, parameters["maxCategories"]) for name in table.columns}
    network = _network(columns, parameters, len(data.class_names))
    numeric = sum(isinstance(column, Numeric) for column in columns.values())
    progress.say(
        f"{len(table)} rows of {numeric} numeric and {len(columns) - numeric} categorical columns,"
        f" {len(data.class_names)} classes, {network.count_params()} weights"
    )
    encode = _encoder(columns)
    encoded = Examples(_encoded(encode, table, columns), data.train.labels)
    fit(network, encoded, _settings(parameters, data), progress)
    _write(encode, network, columns, model_dir)
    saved_model.write_labels(model_dir, data.class_names)


def evaluate(model_dir: Path, data: DataSet) -> dict[str, float]:
    """Return the metrics of `trainer.metrics.classification` of any classifier of these columns on the test part."""
    found = saved_model.predictions(model_dir, _table(data.test))  # type: ignore[arg-type]
    columns = metrics.as_columns(
        data.test.labels, data.class_names, saved_model.class_names(model_dir), found.shape[1]
    )
    return metrics.classification(found, columns)


def _table(examples: Examples) -> Table:
    if not isinstance(examples.inputs, Table):
        shape = "x".join(map(str, examples.inputs.shape[1:]))
        raise WrongInput(
            f"trainer.recipes.tabular learns from CSV files, but the data are images of {shape}; use"
            " trainer.recipes.image_classifier"
        )
    return examples.inputs


def _learned(table: Table, name: str, most: int) -> Numeric | Categorical:
    if table.kinds[name] == "numeric":
        numbers = table.numbers(name).astype(np.float64)
        present = numbers[~np.isnan(numbers)]
        mean = float(present.mean()) if len(present) else 0.0
        return Numeric(mean, float(present.std()) if len(present) else 0.0)
    texts = table.texts(name)
    values, counts = np.unique(texts[texts != ""], return_counts=True)
    order = np.lexsort((np.arange(len(values)), -counts))[:most]
    return Categorical(tuple(str(values[index]) for index in order))


def _encoder(columns: Columns) -> Any:
    """Return the module that turns columns [n] into what the network takes, float32 [n, inputs].

    Numbers become two values: how many standard deviations they are from the mean, 0 where missing; and 1 where
    missing. Categories become their codes.
    """
    tf = tensorflow()
    module = tf.Module()
    module.lookups = {
        name: tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                ["", *column.vocabulary], np.arange(column.codes - 1, dtype=np.int64)
            ),
            default_value=column.codes - 1,
        )
        for name, column in columns.items()
        if isinstance(column, Categorical)
    }

    def encode(given: Mapping[str, Any]) -> Any:
        found = []
        for name, column in columns.items():
            if isinstance(column, Categorical):
                found.append(tf.cast(module.lookups[name].lookup(tf.strings.strip(given[name])), tf.float32))
                continue
            missing = tf.math.is_nan(given[name])
            scaled = (given[name] - column.mean) / (column.deviation or 1.0)
            scaled = tf.clip_by_value(scaled, -_CLIPPED, _CLIPPED)
            found += [tf.where(missing, 0.0, scaled), tf.cast(missing, tf.float32)]
        return tf.stack(found, axis=1)

    module.encode = encode
    return module


def _encoded(encode: Any, table: Table, columns: Columns) -> npt.NDArray[np.float32]:
    tf, pieces = tensorflow(), []
    call = tf.function(encode.encode, autograph=False, reduce_retracing=True)
    for begin in range(0, len(table), _AT_ONCE):
        some = table[begin : begin + _AT_ONCE]
        given = {
            name: tf.constant(some.texts(name).tolist(), tf.string)
            if isinstance(column, Categorical)
            else tf.constant(some.numbers(name))
            for name, column in columns.items()
        }
        pieces.append(call(given).numpy())
    found: npt.NDArray[np.float32] = np.concatenate(pieces)
    return found


def _network(columns: Columns, parameters: Mapping[str, Any], classes: int) -> Any:
    tf = tensorflow()
    layers = tf.keras.layers
    width = sum(2 if isinstance(column, Numeric) else 1 for column in columns.values())
    inputs = layers.Input((width,))
    features, at = [], 0
    for column in columns.values():
        if isinstance(column, Numeric):
            features.append(inputs[:, at : at + 2])
            at += 2
        else:
            features.append(
                layers.Embedding(column.codes, column.width)(tf.keras.ops.cast(inputs[:, at], "int32"))
            )
            at += 1
    found = layers.Concatenate()(features) if len(features) > 1 else features[0]
    for number in range(parameters["hiddenLayers"]):
        found = layers.Dense(parameters["hiddenUnits"], activation="relu")(found)
        found = layers.Dropout(parameters["dropout"], seed=parameters["seed"] + number)(found)
    return tf.keras.Model(inputs, layers.Dense(classes)(found))


def _settings(parameters: Mapping[str, Any], data: DataSet) -> Fit:
    weighed = parameters["classWeights"] == "balanced"
    return Fit(
        epochs=parameters["epochs"],
        batch_size=parameters["batchSize"],
        learning_rate=parameters["learningRate"],
        patience=parameters["earlyStopping"],
        seed=parameters["seed"],
        class_weights=balanced(data.train.labels, len(data.class_names)) if weighed else None,
    )


def _write(encode: Any, network: Any, columns: Columns, model_dir: Path) -> None:
    tf = tensorflow()

    def probabilities(**given: Any) -> Any:
        return tf.nn.softmax(network(encode.encode(given), training=False))

    module = tf.Module()
    module.encode, module.network = encode, network
    specs = {
        name: tf.TensorSpec([None], tf.float32 if isinstance(column, Numeric) else tf.string, name=name)
        for name, column in columns.items()
    }
    serve = tf.function(probabilities, autograph=False).get_concrete_function(**specs)
    tf.saved_model.save(module, str(model_dir), signatures={"serving_default": serve})
