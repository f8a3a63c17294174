"""Whether a model server answers what the version answered when it was evaluated."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainandserve.predictions import disagreement

SAME: list[tuple[Any, Any]] = [
    ([0.1, 0.7, 0.2], [0.1, 0.7, 0.2]),
    ([0.1, 0.7, 0.2], [0.105, 0.69, 0.205]),
    ([0.000001, 0.999999], [0.0, 1.0]),
    (120.0, 118.0),
    (7, 7.0),
    ({"class": "seven", "score": [0.2, 0.8]}, {"class": "seven", "score": [0.2, 0.8]}),
    ({"large": [1000.0], "small": [0.001]}, {"large": [1010.0], "small": [0.001]}),
    ([[[1.0], [2.0]]], [[[1.0], [2.01]]]),
    (None, float("nan")),
    (0.0, 1e-9),
]
OTHER: list[tuple[Any, Any]] = [
    ([0.1, 0.7, 0.2], [0.2, 0.1, 0.7]),
    ([0.1, 0.7, 0.2], [0.1, 0.7]),
    (120.0, 110.0),
    ({"class": "seven"}, {"class": "one"}),
    ({"class": "seven"}, {"klass": "seven"}),
    ({"large": [1000.0], "small": [0.001]}, {"large": [1000.0], "small": [0.002]}),
    ([0.5], 0.5),
    (0.5, None),
    (None, 0.5),
    (True, 1),
    ("1", 1),
    (0.0, 0.1),
    (1.0, 10**400),
]


@pytest.mark.parametrize(("expected", "found"), SAME)
def test_the_same_answer_may_be_a_little_off(expected: Any, found: Any) -> None:
    assert disagreement([expected], [found], 0.02) is None


@pytest.mark.parametrize(("expected", "found"), OTHER)
def test_another_answer_is_told(expected: Any, found: Any) -> None:
    assert disagreement([expected], [found], 0.02)


def test_what_is_told_names_the_sample_and_nothing_of_the_answer() -> None:
    """The answer comes from an address that others may have written, and many read a condition."""
    words = disagreement([[1.0], [2.0], [3.0]], [[1.0], ["secret"], [3.0]], 0.02)
    assert words == "sample 2 of 3 has another prediction than at its evaluation"
    assert disagreement([1.0], [], 0.02) == "0 predictions for 1 samples"


ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(ANY, ANY)
def test_whatever_a_server_answers_can_be_compared(one: Any, other: Any) -> None:
    disagreement([one], [other], 0.02)
    read_back = json.loads(json.dumps(one))
    assert disagreement([one], [read_back], 0.0) is None
