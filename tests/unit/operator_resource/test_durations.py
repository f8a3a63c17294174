from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.operator_resource.specifications import thorough
from trainandserve.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1h30m", 5400),
        ("90m", 5400),
        ("01h00m01s", 3601),
        ("8760h", 31_536_000),
    ],
)
def test_hours_minutes_and_seconds_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0s",
        "0h0m0s",
        "-5m",
        "5",
        "1.5h",
        "5 min",
        "2d",
        "30m1h",
        "1h1h",
        "PT2H",
        " 5m",
        "5m\n",
        "5M",
        "٥m",
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write hours, minutes and seconds, like 30s, 5m, 2h or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(30, "30s"), (5400, "1h30m"), (3600, "1h"), (0, "0s"), (1.9, "1s")]
)
def test_a_duration_is_written_without_empty_parts(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@thorough
@given(st.integers(1, 10**10))
def test_a_duration_that_was_written_is_read_as_it_was(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@thorough
@given(st.text(alphabet="0123456789hms", max_size=24))
def test_a_text_is_a_duration_above_zero_or_refused(text: str) -> None:
    try:
        found = parse_duration(text)
    except ValueError:
        return
    assert found > timedelta()
    assert parse_duration(format_duration(found)) == found
