"""How good a classifier's probabilities are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.errors import WrongInput

_SMALLEST = 1e-7  # as Keras clips: one certain mistake must not make the mean infinite


def classification(probabilities: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy, cross entropy (`loss`, in nats) and the unweighted mean F1 of the classes.

    Parameters
    ----------
    probabilities
        float [n, classes]; not-a-number in it makes the loss not a number.
    labels
        int64 [n], the right columns.
    """
    predicted = probabilities.argmax(axis=1)
    right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "accuracy": float(np.mean(predicted == labels)),
        "loss": float(-np.log(np.clip(right, _SMALLEST, 1.0)).mean()),
        "macro_f1": _macro_f1(predicted, labels, probabilities.shape[1]),
    }


def _macro_f1(predicted: npt.NDArray[Any], labels: npt.NDArray[np.int64], classes: int) -> float:
    # F1 = 2 TP / (predicted + actual), over the classes that occur on either side.
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    total = np.bincount(predicted, minlength=classes) + np.bincount(labels, minlength=classes)
    return float(np.mean(2 * hits[total > 0] / total[total > 0]))


def as_columns(
    labels: npt.NDArray[np.int64], names: Sequence[str], model_names: Sequence[str] | None, columns: int
) -> npt.NDArray[np.int64]:
    """Return `labels` (indices into `names`) as columns of a model's probabilities.

    Raises
    ------
    WrongInput
        If the model does not know one of the classes.
    """
    known = {name: column for column, name in enumerate(model_names or names) if column < columns}
    present = {int(label): names[label] for label in np.unique(labels)}
    if unknown := [name for name in present.values() if name not in known]:
        raise WrongInput(
            f"the model knows {len(known)} classes; class {unknown[0]} of the data is not one of them"
        )
    column_of = np.zeros(len(names), np.int64)
    for label, name in present.items():
        column_of[label] = known[name]
    return column_of[labels]
