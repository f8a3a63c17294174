"""Are a model server's predictions those that the version made when it was evaluated? Pure.

Both computed the same thing, on other machines and perhaps by other kernels: numbers differ a little, and what matters is how much of
the largest number of a prediction that is. A class that has another probability by that little is the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NOISE = 1e-6
"""Difference that never counts: where all numbers of a prediction are zero there is nothing to measure by."""


def disagreement(expected: Sequence[Any], found: Sequence[Any], tolerance: float) -> str | None:
    """The first prediction that is another one, in words without what it says; None where all agree.

    Parameters
    ----------
    expected, found
        Predictions as the V1 protocol gives them: numbers, texts, lists, and maps by output's name. `None` stands for what is
        no number.
    tolerance
        How far a number may be off, as a part of the largest number in its prediction (its output, where there are several).
    """
    if len(found) != len(expected):
        return f"{len(found)} predictions for {len(expected)} samples"
    for number, (one, other) in enumerate(zip(expected, found, strict=True), 1):
        if not _agree(one, other, tolerance, _largest(one)):
            return f"sample {number} of {len(expected)} has another prediction than at its evaluation"
    return None


def _agree(one: Any, other: Any, tolerance: float, largest: float) -> bool:
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and one.keys() == other.keys()
            and all(_agree(one[name], other[name], tolerance, _largest(one[name])) for name in one)
        )
    if isinstance(one, list | tuple):
        return (
            isinstance(other, list | tuple)
            and len(one) == len(other)
            and all(_agree(mine, its, tolerance, largest) for mine, its in zip(one, other, strict=True))
        )
    if _is_number(one) or _is_number(other):
        near = _is_number(one) and _is_number(other) and abs(one - other) <= tolerance * largest + _NOISE
        return bool(near)
    return bool(_text(one) == _text(other))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more digits than any model has a use for
        return False


def _text(value: Any) -> Any:
    """A number that is none (JSON cannot say it, and the result file has null for it) is no number in either."""
    return None if isinstance(value, float) else value


def _largest(value: Any) -> float:
    return max((abs(number) for number in _numbers(value)), default=0.0)


def _numbers(value: Any) -> Iterator[float]:
    if _is_number(value):
        yield float(value)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one)
