"""How sure a metric is: 95% confidence intervals, the same for the same input."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trainer import metrics

Interval = tuple[float, float]
_Z = 1.959963984540054  # the normal distribution's 97.5% point
_RESAMPLES = 1_000
_MOST_CELLS = 20_000  # of a confusion matrix that is resampled: 160 MB


def wilson(hits: int, count: int) -> Interval:
    """Return Wilson's score interval of a share (Wilson 1927): right for few examples and close to 0 and 1."""
    if not count:
        return 0.0, 1.0
    share, square = hits / count, _Z**2 / count
    middle = (share + square / 2) / (1 + square)
    width = _Z * float(np.sqrt(share * (1 - share) / count + square / (4 * count))) / (1 + square)
    # By the formula exactly 0 and 1 at the ends; rounding must not leave them.
    return (0.0 if hits == 0 else max(0.0, middle - width)), (
        1.0 if hits == count else min(1.0, middle + width)
    )


def mean(values: npt.NDArray[Any]) -> Interval | None:
    """Return the normal interval of a mean; None where there are too few values or one is no number."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    middle = float(values.mean())
    width = _Z * float(values.std(ddof=1)) / float(np.sqrt(len(values)))
    return middle - width, middle + width


def macro_f1(
    predicted: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], seed: int = 0
) -> Interval | None:
    """Return the bootstrap interval of the mean F1: the confusion matrix drawn again a thousand times."""
    actual, other, counts = metrics.confusion(predicted, labels)
    if len(counts) > _MOST_CELLS:
        return None
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(labels), counts / len(labels), size=_RESAMPLES)
    low, high = np.quantile(metrics.macro_f1(actual, other, drawn), (0.025, 0.975))
    return float(low), float(high)


def of_classification(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[np.int64]
) -> dict[str, list[float]]:
    """Return the intervals, as [low, high], of those metrics of `metrics.classification` that can have one."""
    predicted = probabilities.argmax(axis=1)
    found = {
        "accuracy": wilson(int((predicted == labels).sum()), len(labels)),
        "loss": mean(metrics.losses(probabilities, labels)),
        "macro_f1": macro_f1(predicted, labels),
    }
    # No metric here can be negative, though half of a normal interval may.
    return {name: [max(interval[0], 0.0), interval[1]] for name, interval in found.items() if interval}
