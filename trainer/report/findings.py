"""What there is to show of a classifier on a test part: tables, curves and mistakes, of bounded size.

Everything is plain JSON. Class i of a table is column i of the model's answer.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer import intervals, metrics
from trainer.report import pictures

MOST_CLASSES = 100  # of the confusion matrix
MOST_ROWS = 1_000  # of the table of classes
MOST_CURVES = 8
MISTAKES = 24
_POINTS = 101
_MOST_SCORES = 2_000_000  # that a ROC curve is made from
_LONGEST_NAME = 200


def findings(
    probabilities: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    names: Sequence[str],
    inputs: npt.NDArray[Any],
) -> dict[str, Any]:
    """Return what is to be shown.

    Parameters
    ----------
    probabilities
        float [n, classes].
    labels
        int64 [n], the right columns.
    names
        Of the columns.
    inputs
        [n, ...], what was classified.
    """
    shown = [name[:_LONGEST_NAME] for name in names]
    predicted = probabilities.argmax(axis=1)
    cells = _matrix(predicted, labels, probabilities.shape[1])
    return {
        "classes": classes(cells, shown),
        "confusion": confusion(cells, shown),
        "roc": roc(probabilities, labels, shown),
        "calibration": calibration(probabilities, labels),
        "mistakes": mistakes(probabilities, labels, shown, inputs),
        "wrong": int((predicted != labels).sum()),
    }


def _matrix(
    predicted: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], count: int
) -> dict[str, npt.NDArray[np.int64]]:
    actual, other, number = metrics.confusion(predicted, labels)
    return {
        "actual": actual,
        "predicted": other,
        "count": number,
        "support": np.bincount(labels, minlength=count),
        "given": np.bincount(predicted, minlength=count),
        "hits": np.bincount(labels[predicted == labels], minlength=count),
    }


def classes(cells: dict[str, npt.NDArray[np.int64]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return precision, recall (both with Wilson's interval) and F1 of each class, None where there is none."""
    rows = []
    for column, name in enumerate(names[:MOST_ROWS]):
        hits, support, given = (int(cells[key][column]) for key in ("hits", "support", "given"))
        row: dict[str, Any] = {"name": name, "support": support}
        for metric, of in (("precision", given), ("recall", support)):
            row[metric] = _rounded(hits / of) if of else None
            row[f"{metric}Interval"] = [_rounded(end) for end in intervals.wilson(hits, of)] if of else None
        row["f1"] = _rounded(2 * hits / (support + given)) if support + given else None
        rows.append(row)
    return rows


def confusion(cells: dict[str, npt.NDArray[np.int64]], names: Sequence[str]) -> dict[str, Any]:
    """Return the confusion matrix (rows: actual, columns: predicted) of the 100 most confused classes at most."""
    wrong = cells["support"] + cells["given"] - 2 * cells["hits"]
    chosen = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    place = np.full(len(wrong), -1)
    place[chosen] = np.arange(len(chosen))
    rows, columns = place[cells["actual"]], place[cells["predicted"]]
    shown = (rows >= 0) & (columns >= 0)
    matrix = np.zeros((len(chosen), len(chosen)), np.int64)
    matrix[rows[shown], columns[shown]] = cells["count"][shown]
    return {
        "names": [names[column] for column in chosen],
        "matrix": matrix.tolist(),
        "leftOut": len(names) - len(chosen),
    }


def roc(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[np.int64], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Return ROC curves, at most 101 points each: all classes together, then the worst ones against the rest.

    Of two classes there is one curve, the second's. Where there are many answers, a seeded choice of the examples
    makes the curve.
    """
    most = max(_MOST_SCORES // probabilities.shape[1], 1)
    if len(labels) > most:
        chosen = np.random.default_rng(0).choice(len(labels), most, replace=False)
        probabilities, labels = probabilities[chosen], labels[chosen]
    if not np.isfinite(probabilities).all():
        return []
    if len(names) == 2:
        only = _curve(names[1], probabilities[:, 1], labels == 1)
        return [only] if only else []
    right = labels[:, np.newaxis] == np.arange(probabilities.shape[1])
    found = [_curve("all classes", probabilities.ravel(), right.ravel())]
    each = [_curve(name, probabilities[:, at], right[:, at]) for at, name in enumerate(names[:MOST_CLASSES])]
    worst = sorted((curve for curve in each if curve), key=lambda curve: curve["auc"])
    return [curve for curve in found if curve] + worst[: MOST_CURVES - 1]


def _curve(name: str, scores: npt.NDArray[Any], positive: npt.NDArray[np.bool_]) -> dict[str, Any] | None:
    count = int(positive.sum())
    if count in (0, len(positive)):
        return None
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.concatenate([[0], np.cumsum(positive[order])[ends]]) / count
    alarms = np.concatenate([[0], ends + 1 - np.cumsum(positive[order])[ends]]) / (len(positive) - count)
    # Finite also at the first point: strict JSON, and KFP's pages, know no infinity.
    thresholds = np.concatenate([[1.0], scores[order][ends]])
    way = hits + alarms
    kept = np.unique(np.searchsorted(way, np.linspace(0, 2, _POINTS)).clip(0, len(way) - 1))
    return {
        "name": name,
        "auc": _rounded(float(np.trapezoid(hits, alarms))),
        "fpr": [_rounded(value) for value in alarms[kept]],
        "tpr": [_rounded(value) for value in hits[kept]],
        "thresholds": [_rounded(value) for value in thresholds[kept]],
    }


def calibration(probabilities: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return the bins of the calibration error that are not empty."""
    if not np.isfinite(probabilities).all():
        return []
    rows = zip(*metrics.calibration(probabilities, labels), strict=True)
    return [
        {"count": int(count), "confidence": _rounded(confidence), "accuracy": _rounded(accuracy)}
        for count, confidence, accuracy in rows
        if count
    ]


def mistakes(
    probabilities: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    names: Sequence[str],
    inputs: npt.NDArray[Any],
) -> list[dict[str, Any]]:
    """Return the 24 wrong answers that were given with the least probability for the right one."""
    predicted = probabilities.argmax(axis=1)
    right = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(right[wrong], kind="stable")[:MISTAKES]]
    return [
        {
            "index": int(index),
            "actual": names[labels[index]],
            "predicted": names[predicted[index]],
            "confidence": _rounded(probabilities[index, predicted[index]]),
            "probabilityOfActual": _rounded(right[index]),
            **_shown(np.asarray(inputs[index])),
        }
        for index in worst
    ]


def _shown(one: npt.NDArray[Any]) -> dict[str, str]:
    if pictures.is_image(one):
        return {"picture": pictures.data_address(one)}
    return {"values": pictures.as_values(one)}


def _rounded(value: Any) -> float:
    return round(float(value), 5)
