"""At most so many in a second."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.builders import NOW
from trainandserve.rate_limit import Rate


def taken(rate: Rate, at: float, tries: int) -> int:
    """How many of so many tries at that second were within the rate."""
    count = 0
    for _ in range(tries):
        if rate.free(NOW + timedelta(seconds=at)):
            rate.take()
            count += 1
    return count


def test_what_a_second_brings_may_come_at_once_and_no_more() -> None:
    rate = Rate(10)
    assert [taken(rate, at, 25) for at in (0, 0.5, 1, 60)] == [10, 5, 5, 10]


def test_less_than_one_in_a_second_is_possible() -> None:
    rate = Rate(0.1)
    assert [taken(rate, at, 3) for at in (0, 5, 10, 100)] == [1, 0, 1, 1]


def test_what_could_not_wait_is_paid_for_by_the_others() -> None:
    rate = Rate(2)
    for _ in range(4):
        rate.take()
    assert [taken(rate, at, 9) for at in (0, 1, 2)] == [0, 0, 2]


def test_a_clock_that_goes_back_brings_nothing() -> None:
    rate = Rate(1)
    assert [taken(rate, at, 3) for at in (10, 0, 0.5)] == [1, 0, 0]
