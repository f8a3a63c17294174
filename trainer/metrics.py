"""How good a classifier's probabilities are: one number per question, for gates and comparisons."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.errors import WrongInput

_SMALLEST = 1e-7  # as Keras clips: one certain mistake must not make the mean infinite
CALIBRATION_BINS = 15


def classification(probabilities: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy, cross entropy (`loss`, in nats), the classes' unweighted mean F1, calibration error.

    Parameters
    ----------
    probabilities
        float [n, classes]; not-a-number in it makes loss and calibration error not a number.
    labels
        int64 [n], the right columns.
    """
    predicted = probabilities.argmax(axis=1)
    cells = confusion(predicted, labels)
    return {
        "accuracy": float(np.mean(predicted == labels)),
        "loss": float(losses(probabilities, labels).mean()),
        "macro_f1": float(macro_f1(*cells[:2], cells[2][np.newaxis])[0]),
        "calibration_error": calibration_error(probabilities, labels),
    }


def losses(probabilities: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return each example's cross entropy in nats, [n]."""
    right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    found: npt.NDArray[np.float64] = -np.log(np.clip(right, _SMALLEST, 1.0))
    return found


def confusion(
    predicted: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the confusion matrix without its zeros: actual class, predicted class and count, each [cells]."""
    width = 1 + int(max(predicted.max(), labels.max()))
    cells, counts = np.unique(labels * width + predicted, return_counts=True)
    return cells // width, cells % width, counts


def macro_f1(
    actual: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], counts: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Return the unweighted mean F1 of the classes for each row of `counts` [rows, cells], [rows].

    F1 = 2 TP / (predicted + actual), over the classes that occur on either side.
    """
    classes = 1 + int(max(actual.max(), predicted.max()))
    hits, total = np.zeros((2, classes, len(counts)))
    right = actual == predicted
    np.add.at(hits, actual[right], counts.T[right])
    np.add.at(total, actual, counts.T)
    np.add.at(total, predicted, counts.T)
    with np.errstate(invalid="ignore"):
        each = np.where(total > 0, 2 * hits / total, 0.0)
    found: npt.NDArray[np.float64] = each.sum(axis=0) / (total > 0).sum(axis=0)
    return found


def calibration(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return count, mean confidence and accuracy, each [15], of the predictions by confidence.

    The bins are of equal width (Guo et al., "On Calibration of Modern Neural Networks", 2017); an empty bin's
    mean confidence and accuracy are 0.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    right = np.bincount(bins, weights=probabilities.argmax(axis=1) == labels, minlength=CALIBRATION_BINS)
    told = np.bincount(bins, weights=confidence, minlength=CALIBRATION_BINS)
    filled = np.maximum(count, 1)
    return count, told / filled, right / filled


def calibration_error(probabilities: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> float:
    """Return the expected calibration error: how far confidence is from accuracy, 0 (best) to 1."""
    if not np.isfinite(probabilities).all():
        return float("nan")
    count, confidence, accuracy = calibration(probabilities, labels)
    return float(np.sum(count * np.abs(confidence - accuracy)) / len(labels))


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
