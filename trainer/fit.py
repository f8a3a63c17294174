"""Fitting a classifier's weights: many steps per call, on pieces of the data gathered in numpy.

Feeding MNIST-sized data through tf.data (map, cache, shuffle, batch) into Keras' fit costs more than the
arithmetic. Here a piece of the shuffled examples is gathered as bytes, and one compiled function does all its
steps: a third of the time, whatever is fed may be larger than memory, and the order depends on the seed
alone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.dataset import Examples
from trainer.progress import Progress
from trainer.tf import tensorflow

_PIECE_BYTES = 32 * 2**20
_PIECE_STEPS = 64
_VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Fit:
    """How to fit.

    Attributes
    ----------
    learning_rate
        Of the first step; it falls to 0 as half a cosine over all steps.
    patience
        Epochs without a better validation loss after which fitting ends and the best weights come back; 0:
        never, and nothing is held back for validation.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    seed: int


def fit(network: Any, examples: Examples, settings: Fit, progress: Progress) -> None:
    """Fit `network` (Keras, returns logits [n, classes]) to `examples`, in place."""
    order = np.random.default_rng(settings.seed)
    learned, validation = _divided(len(examples), settings, order)
    batch = min(settings.batch_size, len(learned))
    steps = len(learned) // batch
    run, losses = _compiled(network, settings, settings.epochs * steps)
    best = _Best(network, settings.patience)
    for epoch in range(1, settings.epochs + 1):
        done, loss, hits = 0, 0.0, 0.0
        for piece in _pieces(order.permutation(learned), batch, steps, examples):
            found = run(piece.inputs, piece.labels)
            done, loss, hits = done + len(piece), loss + float(found[0]), hits + float(found[1])
            progress.step(epoch, settings.epochs, done, steps, loss=loss / done)
        values = {"loss": loss / steps, "accuracy": hits / (steps * batch)}
        if len(validation):
            values["validation_loss"] = losses(examples, validation, batch)
        progress.epoch(epoch, settings.epochs, **values)
        if not math.isfinite(loss):
            progress.say("the loss is not a number any more: training ends; try a smaller learningRate")
            break
        if len(validation) and best.reached(values["validation_loss"]):
            progress.say(f"no better validation loss for {settings.patience} epochs: training ends")
            break
    best.restore()


def _divided(
    count: int, settings: Fit, order: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if not settings.patience or count < 10:
        return np.arange(count), np.arange(0)
    shuffled = order.permutation(count)
    held_back = max(1, int(count * _VALIDATION_SHARE))
    return np.sort(shuffled[held_back:]), np.sort(shuffled[:held_back])


def _pieces(order: npt.NDArray[np.int64], batch: int, steps: int, examples: Examples) -> Iterator[Examples]:
    """Yield inputs [steps, batch, ...] and labels [steps, batch] until `steps` steps are there.

    What is left over of the last, incomplete batch waits for another epoch's order.
    """
    one_step = batch * int(np.prod(examples.inputs.shape[1:]))
    at_once = max(1, min(_PIECE_STEPS, _PIECE_BYTES // one_step))
    for begin in range(0, steps, at_once):
        count = min(at_once, steps - begin)
        chosen = order[begin * batch : (begin + count) * batch]
        inputs = examples.inputs[chosen].reshape(count, batch, *examples.inputs.shape[1:])
        yield Examples(inputs, examples.labels[chosen].reshape(count, batch))


def _compiled(network: Any, settings: Fit, all_steps: int) -> tuple[Any, Any]:
    tf = tensorflow()
    rate = tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, all_steps)
    optimizer = tf.keras.optimizers.Adam(rate)
    optimizer.build(network.trainable_variables)
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def run(inputs: Any, labels: Any) -> Any:
        total, hits = tf.constant(0.0), tf.constant(0.0)
        for index in tf.range(tf.shape(inputs)[0]):
            with tf.GradientTape() as tape:
                logits = network(tf.cast(inputs[index], tf.float32), training=True)
                loss = loss_of(labels[index], logits)
            optimizer.apply(tape.gradient(loss, network.trainable_variables))
            total += loss
            right = tf.argmax(logits, axis=1) == labels[index]
            hits += tf.reduce_sum(tf.cast(right, tf.float32))
        return total, hits

    def losses(examples: Examples, chosen: npt.NDArray[np.int64], batch: int) -> float:
        total = 0.0
        for begin in range(0, len(chosen), batch):
            some = chosen[begin : begin + batch]
            logits = network(tf.cast(examples.inputs[some], tf.float32), training=False)
            total += len(some) * float(loss_of(examples.labels[some], logits))
        return total / len(chosen)

    return run, losses


class _Best:
    """The weights with the lowest validation loss so far."""

    def __init__(self, network: Any, patience: int) -> None:
        self._network, self._patience = network, patience
        self._loss, self._waited = math.inf, 0
        self._weights: list[Any] = []

    def reached(self, loss: float) -> bool:
        """Tell whether patience is at its end."""
        if loss < self._loss:
            self._loss, self._waited, self._weights = loss, 0, self._network.get_weights()
        else:
            self._waited += 1
        return self._waited >= self._patience

    def restore(self) -> None:
        if self._weights:
            self._network.set_weights(self._weights)
