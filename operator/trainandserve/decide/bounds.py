"""One metric of a new version against its bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..resource import Check, Metric


@dataclass(frozen=True)
class Before:
    """The version that serves, evaluated on the same data."""

    values: Mapping[str, float | None] | None = None
    error: str | None = None
    """Why it could not be evaluated."""
    on_error: str = "Reject"
    """What that means for a bound on regression: Reject, Hold or Ignore."""


def check(
    metric: Metric, values: Mapping[str, float | None], before: Before, samples: int | None = None
) -> Check:
    """One metric of the candidate against its absolute bounds and against the incumbent's value.

    Parameters
    ----------
    samples
        How many samples the metrics were taken on; None where the recipe does not say.
    """
    value = _number(values.get(metric.name))
    other = _number(before.values.get(metric.name)) if before.values else None
    doubt = _doubt(metric, value, before, samples)
    wrong = None if doubt else _missed(metric, value, other, before)
    return Check(
        name=metric.name,
        value=value,
        min=metric.min,
        max=metric.max,
        max_regression=metric.max_regression,
        incumbent=other,
        difference=value - other if value is not None and other is not None else None,
        passed=wrong is None and doubt is None,
        inconclusive=True if doubt else None,
        message=f"{metric.name} {_shown(metric, value, wrong)}{doubt or wrong or _kept(metric, other, before)}",
    )


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _shown(metric: Metric, value: float | None, wrong: str | None) -> str:
    if value is None:
        return ""
    shown = f"{value:.6g}"
    if wrong and float(shown) in (metric.min, metric.max):
        shown = repr(value)  # else it would read as if the bound was met
    return f"{shown} "


def _doubt(metric: Metric, value: float | None, before: Before, samples: int | None) -> str | None:
    """Why the metric says neither yes nor no; None where it does."""
    if value is None:
        return None  # what is missing is missing on any number of samples
    if metric.min_samples is not None and (samples is None or samples < metric.min_samples):
        counted = "an unknown number of" if samples is None else str(samples)
        return f"was taken on {counted} samples, fewer than minSamples {metric.min_samples}"
    absolute = _outside(metric, value)
    if absolute is None and metric.max_regression is not None and before.error and before.on_error == "Hold":
        return f"cannot be compared: {before.error}"
    return None


def _missed(metric: Metric, value: float | None, other: float | None, before: Before) -> str | None:
    if value is None:
        return "is missing or not a number"
    if absolute := _outside(metric, value):
        return absolute
    if metric.max_regression is None:
        return None
    if before.error is not None:
        return None if before.on_error == "Ignore" else f"cannot be compared: {before.error}"
    if other is None:
        return None
    worse = other - value if metric.min is not None else value - other
    # The difference of two decimal fractions carries a rounding error; a bound that is met exactly is met.
    if worse > metric.max_regression + 1e-12 * max(1.0, abs(other)):
        return f"is {worse:.6g} worse than the version serving ({other:.6g}); maxRegression is {metric.max_regression:g}"
    return None


def _outside(metric: Metric, value: float) -> str | None:
    if metric.min is not None and value < metric.min:
        return f"is below min {metric.min:.12g}"
    if metric.max is not None and value > metric.max:
        return f"is above max {metric.max:.12g}"
    return None


def _kept(metric: Metric, other: float | None, before: Before) -> str:
    bounds = [
        f"min {metric.min:.12g}" if metric.min is not None else "",
        f"max {metric.max:.12g}" if metric.max is not None else "",
    ]
    words = "meets " + " and ".join(bound for bound in bounds if bound)
    if metric.max_regression is None:
        return words
    if before.error is not None:
        return f"{words} (not compared: {before.error})"
    return words if other is None else f"{words} (serving: {other:.6g})"
