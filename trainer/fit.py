"""Fitting a classifier's weights: many steps per call, on pieces of the data gathered in numpy.

Feeding MNIST-sized data through tf.data (map, cache, shuffle, batch) into Keras' fit costs more than the
arithmetic. Here a piece of the shuffled examples is gathered as bytes, and one compiled function does all its
steps: less than half of the time, whatever is fed may be larger than memory, and the order depends on the
seed alone.

The learning rate follows one cycle (Smith & Topin, "Super-Convergence", 2018): up over the first tenth of the
steps, then down to 0 as half a cosine. It may be higher than a constant one, and ends more accurate after as many
epochs.
"""

import math
from collections.abc import Callable, Iterator
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
_WARM_UP = 0.1  # of all steps
_COLD = 0.1  # of the highest rate: where it begins
_ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}

Change = Callable[[Any, Any], Any]
"""Given a batch of inputs, float32 [batch, ...], and a seed, int32 [2]: the batch to learn from instead."""


@dataclass(frozen=True)
class Fit:
    """How to fit.

    Attributes
    ----------
    learning_rate
        The highest of the cycle, at its tenth.
    patience
        Epochs without a better validation loss after which fitting ends and the best weights come back; 0:
        never, and nothing is held back for validation.
    class_weights
        float32 [classes]: how much an example of each class counts; None: all the same.
    augment
        Changes each batch on its way into the network, in training only.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    seed: int
    class_weights: npt.NDArray[np.float32] | None = None
    augment: Change | None = None


def fit(network: Any, examples: Examples, settings: Fit, progress: Progress) -> None:
    """Fit `network` (Keras, returns logits [n, classes]) to `examples`, in place."""
    order = np.random.default_rng(settings.seed)
    learned, validation = _divided(len(examples), settings, order)
    batch = min(settings.batch_size, len(learned))
    steps = len(learned) // batch
    run = _compiled(network, settings, settings.epochs * steps)
    validated = _validation(network, settings)
    best = _Best(network, settings.patience)
    for epoch in range(1, settings.epochs + 1):
        done, loss, hits = 0, 0.0, 0.0
        for piece in _pieces(order.permutation(learned), batch, steps, examples):
            found = run(piece.inputs, piece.labels)
            done, loss, hits = done + len(piece), loss + float(found[0]), hits + float(found[1])
            progress.step(epoch, settings.epochs, done, steps, loss=loss / done)
        values = {"loss": loss / steps, "accuracy": hits / (steps * batch)}
        if len(validation):
            values.update(validated(examples, validation, batch))
        progress.epoch(epoch, settings.epochs, **values)
        if not math.isfinite(loss):
            progress.say("the loss is not a number any more: training ends; try a smaller learningRate")
            break
        if len(validation) and best.reached(values["validation_loss"]):
            progress.say(f"no better validation loss for {settings.patience} epochs: training ends")
            break
    best.restore()


def balanced(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    """Return weights [classes] with which every class that occurs counts as much as any other; mean over examples 1."""
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return weights.astype(np.float32)


def rates(highest: float, steps: int) -> npt.NDArray[np.float32]:
    """Return the learning rate of every step, [steps]."""
    at = np.arange(steps) / max(steps, 1)
    rising = _COLD + (1 - _COLD) * at / _WARM_UP
    falling = 0.5 * (1 + np.cos(np.pi * (at - _WARM_UP) / (1 - _WARM_UP)))
    return (highest * np.where(at < _WARM_UP, rising, falling)).astype(np.float32)


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


def _compiled(network: Any, settings: Fit, all_steps: int) -> Any:
    """Return the function that does the steps of one piece: total loss and right answers of inputs and labels."""
    tf = tensorflow()
    update = _adam(network.trainable_variables, rates(settings.learning_rate, all_steps))
    loss_of, number = _loss(settings.class_weights), tf.Variable(0)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def run(inputs: Any, labels: Any) -> Any:
        total, hits = tf.constant(0.0), tf.constant(0.0)
        for index in tf.range(tf.shape(inputs)[0]):
            batch = tf.cast(inputs[index], tf.float32)
            if settings.augment:
                batch = settings.augment(batch, tf.stack([settings.seed % 2**31, number]))
            with tf.GradientTape() as tape:
                logits = network(batch, training=True)
                loss = loss_of(labels[index], logits)
            update(tape.gradient(loss, network.trainable_variables), number)
            number.assign_add(1)
            total += loss
            right = tf.argmax(logits, axis=1) == labels[index]
            hits += tf.reduce_sum(tf.cast(right, tf.float32))
        return total, hits

    return run


def _loss(class_weights: npt.NDArray[np.float32] | None) -> Any:
    tf = tensorflow()

    def loss_of(labels: Any, logits: Any) -> Any:
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(each if class_weights is None else each * tf.gather(class_weights, labels))

    return loss_of


def _adam(variables: Any, all_rates: npt.NDArray[np.float32]) -> Any:
    """Return the update of Adam (Kingma & Ba, 2015) for gradients and a step's number, one fused operation a variable."""
    tf = tensorflow()
    weights = [variable.value for variable in variables]
    first = [tf.Variable(tf.zeros_like(weight)) for weight in weights]
    second = [tf.Variable(tf.zeros_like(weight)) for weight in weights]
    rate = tf.constant(all_rates)

    def update(gradients: Any, number: Any) -> None:
        step = tf.cast(number + 1, tf.float32)
        power = {"beta1_power": _ADAM["beta1"] ** step, "beta2_power": _ADAM["beta2"] ** step}
        for weight, m, v, gradient in zip(weights, first, second, gradients, strict=True):
            handles = {"var": weight.handle, "m": m.handle, "v": v.handle}
            tf.raw_ops.ResourceApplyAdam(**handles, **power, **_ADAM, lr=rate[number], grad=gradient)

    return update


def _validation(network: Any, settings: Fit) -> Any:
    tf = tensorflow()
    loss_of = _loss(settings.class_weights)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def look(inputs: Any, labels: Any) -> Any:
        logits = network(tf.cast(inputs, tf.float32), training=False)
        right = tf.cast(tf.argmax(logits, axis=1) == labels, tf.float32)
        return loss_of(labels, logits), tf.reduce_mean(right)

    def validated(examples: Examples, chosen: npt.NDArray[np.int64], batch: int) -> dict[str, float]:
        loss, hits = 0.0, 0.0
        for begin in range(0, len(chosen), batch):
            some = chosen[begin : begin + batch]
            found = look(examples.inputs[some], examples.labels[some])
            loss, hits = loss + len(some) * float(found[0]), hits + len(some) * float(found[1])
        return {"validation_loss": loss / len(chosen), "validation_accuracy": hits / len(chosen)}

    return validated


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
