"""The value of a query at one moment, from samples in memory. Pure.

The rules are Prometheus': the newest sample of the last five minutes counts, a rate is extrapolated to the ends of its
range, and two vectors are matched by all their labels.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

from sandbox.prometheus.expression import (
    COMPARISONS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Number,
    QueryError,
    Selector,
)

LOOKBACK_SECONDS = 300.0
NAME = "__name__"

Labels = frozenset[tuple[str, str]]
Samples = Sequence[tuple[float, float]]  # time and value, oldest first; NaN marks where a series ended
Series = Mapping[Labels, Samples]
Vector = dict[Labels, float]
Value = float | Vector


def evaluate(expression: Expression, series: Series, now: float) -> Value:
    """A number, or a number for each set of labels.

    Raises
    ------
    QueryError
        Where two vectors do not match one to one, or a range stands where none may.
    """
    match expression:
        case Number(value):
            return value
        case Selector(seconds=None):
            return _instant(expression, series, now)
        case Selector():
            raise QueryError("a range stands alone or where none may")
        case Call():
            return _called(expression, series, now)
        case Aggregation():
            return _aggregated(expression, _vector(evaluate(expression.inner, series, now)))
        case Binary():
            left = evaluate(expression.left, series, now)
            return _combined(expression, left, evaluate(expression.right, series, now))


def _vector(value: Value) -> Vector:
    if not isinstance(value, dict):
        raise QueryError("a number stands where a vector has to")
    return value


def _selected(selector: Selector, series: Series) -> Iterable[tuple[Labels, Samples]]:
    for labels, samples in series.items():
        if all(matcher.holds(dict(labels)) for matcher in selector.matchers):
            yield labels, samples


def _instant(selector: Selector, series: Series, now: float) -> Vector:
    found: Vector = {}
    for labels, samples in _selected(selector, series):
        seen = [(at, value) for at, value in samples if now - LOOKBACK_SECONDS < at <= now]
        if seen and not math.isnan(seen[-1][1]):
            found[labels] = seen[-1][1]
    return found


def _called(call: Call, series: Series, now: float) -> Value:
    first = call.arguments[0]
    if isinstance(first, Selector) and first.seconds is not None:
        found: Vector = {}
        for labels, samples in _selected(first, series):
            inside = [
                (at, value)
                for at, value in samples
                if now - first.seconds < at <= now and not math.isnan(value)
            ]
            over = _over_time(call.function, inside, first.seconds, now)
            if over is not None:
                found[_unnamed(labels)] = over
        return found
    value = evaluate(first, series, now)
    if call.function == "vector":
        if isinstance(value, dict):
            raise QueryError("vector takes a number")
        return {frozenset(): value}
    if isinstance(value, dict):
        raise QueryError("histogram_quantile takes a number first")
    return _quantiles(value, _vector(evaluate(call.arguments[1], series, now)))


def _over_time(function: str, samples: Samples, seconds: float, now: float) -> float | None:
    values = [value for _, value in samples]
    if not values:
        return None
    if function in ("rate", "increase"):
        grown = increase(samples, now - seconds, now)
        return grown if grown is None or function == "increase" else grown / seconds
    simple: dict[str, Callable[[list[float]], float]] = {
        "avg_over_time": lambda found: sum(found) / len(found),
        "max_over_time": max,
        "min_over_time": min,
    }
    return simple[function](values)


def increase(samples: Samples, start: float, end: float) -> float | None:
    """How much a counter grew, extrapolated to the ends of the range as Prometheus does; None with one sample.

    To an end that is further from the next sample than 1.1 times the mean distance of samples, half a distance is
    added; before the first sample not further than to where the counter would have been zero.
    """
    if len(samples) < 2:
        return None
    (first_at, first), (last_at, last) = samples[0], samples[-1]
    grown = last - first
    for (_, before), (_, after) in itertools.pairwise(samples):
        grown += before if after < before else 0.0
    sampled = last_at - first_at
    mean = sampled / (len(samples) - 1)
    to_start, to_end = first_at - start, end - last_at
    if to_start >= mean * 1.1:
        to_start = mean / 2
    if to_end >= mean * 1.1:
        to_end = mean / 2
    if grown > 0 and first >= 0:
        to_start = min(to_start, sampled * first / grown)
    return grown * (sampled + to_start + to_end) / sampled


def _unnamed(labels: Labels) -> Labels:
    return frozenset(pair for pair in labels if pair[0] != NAME)


def _aggregated(aggregation: Aggregation, vector: Vector) -> Vector:
    groups: dict[Labels, list[float]] = {}
    for labels, value in vector.items():
        kept = frozenset(
            pair for pair in _unnamed(labels) if (pair[0] in aggregation.labels) != aggregation.without
        )
        groups.setdefault(kept, []).append(value)
    operators: dict[str, Callable[[list[float]], float]] = {
        "avg": lambda values: sum(values) / len(values),
        "count": lambda values: float(len(values)),
        "max": max,
        "min": min,
        "sum": sum,
    }
    return {labels: operators[aggregation.operator](values) for labels, values in groups.items()}


def _quantiles(quantile: float, vector: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in vector.items():
        bound = dict(labels).get("le")
        if bound is not None:
            rest = frozenset(pair for pair in _unnamed(labels) if pair[0] != "le")
            groups.setdefault(rest, []).append((float(bound), value))
    return {labels: histogram_quantile(quantile, sorted(buckets)) for labels, buckets in groups.items()}


def histogram_quantile(quantile: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Linear within the bucket where the quantile is; the last finite bound if it is in the last bucket."""
    if len(buckets) < 2 or not math.isinf(buckets[-1][0]) or buckets[-1][1] == 0:
        return math.nan
    rank = quantile * buckets[-1][1]
    at = next(index for index, (_, count) in enumerate(buckets) if count >= rank)
    if at == len(buckets) - 1:
        return buckets[-2][0]
    bound, count = buckets[at]
    lower, below = buckets[at - 1] if at else (0.0, 0.0)
    if at == 0 and bound <= 0:
        return bound
    return lower + (bound - lower) * (rank - below) / (count - below)


def _combined(binary: Binary, left: Value, right: Value) -> Value:
    if binary.operator == "or":
        return _either(_vector(left), _vector(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return _matched(binary, left, right)
    if isinstance(left, dict):
        return _each(binary, left, lambda value: (value, float(right)))  # type: ignore[arg-type]
    if isinstance(right, dict):
        return _each(binary, right, lambda value: (left, value))
    if binary.operator in COMPARISONS and not binary.as_bool:
        raise QueryError("two numbers are compared with bool")
    return _calculated(binary.operator, left, right)


def _either(left: Vector, right: Vector) -> Vector:
    known = {_unnamed(labels) for labels in left}
    return left | {labels: value for labels, value in right.items() if _unnamed(labels) not in known}


def _matched(binary: Binary, left: Vector, right: Vector) -> Vector:
    other: Vector = {}
    for labels, value in right.items():
        if _unnamed(labels) in other:
            raise QueryError("several series on the right side have the same labels")
        other[_unnamed(labels)] = value
    pairs: dict[Labels, tuple[float, float]] = {}
    names: dict[Labels, Labels] = {}
    for labels, value in left.items():
        key = _unnamed(labels)
        if key in other:
            if key in pairs:
                raise QueryError("several series on the left side have the same labels")
            pairs[key], names[key] = (value, other[key]), labels
    found: Vector = {}
    for key, (one, two) in pairs.items():
        result = _calculated(binary.operator, one, two)
        if binary.operator not in COMPARISONS or binary.as_bool:
            found[key] = result
        elif result:
            found[names[key]] = one
    return found


def _each(binary: Binary, vector: Vector, sides: Callable[[float], tuple[float, float]]) -> Vector:
    found: Vector = {}
    for labels, value in vector.items():
        result = _calculated(binary.operator, *sides(value))
        if binary.operator not in COMPARISONS or binary.as_bool:
            found[_unnamed(labels)] = result
        elif result:
            found[labels] = value
    return found


def _calculated(sign: str, left: float, right: float) -> float:
    operators: dict[str, Callable[[float, float], float]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": _divided,
        "%": lambda one, two: math.nan if two == 0 else math.fmod(one, two),
        "==": operator.eq,
        "!=": operator.ne,
        ">": operator.gt,
        "<": operator.lt,
        ">=": operator.ge,
        "<=": operator.le,
    }
    return float(operators[sign](left, right))


def _divided(left: float, right: float) -> float:
    """As floats divide: zero by zero is no number, and so is what came of one."""
    if right != 0:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)
