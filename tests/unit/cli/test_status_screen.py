"""The screen shows what one asks of a resource, on any width, in any terminal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rich.console import Console

from tests.unit.builders import NOW, Situation, a_situation, run_id
from trainandserve.cli.status_screen import screen
from trainandserve.cli.words import Marks, span, when
from trainandserve.resource import Check, Incumbent, Measured, Rollout

BOUNDS = {
    "evaluation": {
        "metrics": [{"name": "accuracy", "min": 0.97, "maxRegression": 0.005}, {"name": "loss", "max": 0.2}]
    }
}


def serving_with_a_rejected_one() -> Situation:
    situation = a_situation(**BOUNDS).judged(2).serving(2).judged(3, accepted=False)
    candidate = situation.resource.status.candidate
    served = situation.resource.status.served
    assert candidate is not None and candidate.verdict is not None and served is not None
    checks = [
        Check(
            name="accuracy",
            value=0.5,
            min=0.97,
            max_regression=0.005,
            incumbent=0.98,
            difference=-0.48,
            passed=False,
            message="accuracy 0.5 is below min 0.97",
        ),
        Check(
            name="loss",
            value=0.12,
            max=0.2,
            incumbent=0.1,
            difference=0.02,
            passed=True,
            message="loss 0.12 meets max 0.2",
        ),
    ]
    candidate = candidate.changed(
        samples=360,
        incumbent=Incumbent(version=2, metrics={"accuracy": 0.98}),
        verdict=candidate.verdict.changed(checks=checks),
    )
    address = served.changed(url="http://mnist.vision.example")
    return situation.status(candidate=candidate, served=address).after()


def drawn(situation: Situation, width: int = 80, marks: Marks | None = None) -> str:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(screen(situation.resource, NOW + timedelta(minutes=4), marks or Marks()))
    return capture.get()


def row(text: str, *words: str) -> str:
    """The one line that has all of these words, with single blanks."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    found = [line for line in lines if all(word in line for word in words)]
    assert len(found) == 1, f"{words}: {found}\n{text}"
    return found[0]


def test_it_says_what_serves_since_when_and_where() -> None:
    text = drawn(serving_with_a_rejected_one())
    assert row(text, "since").startswith("version 2 since 2026-11-20 11:00:00 UTC (1h4m)")
    assert "http://mnist.vision.example" in text
    assert "✓ Ready" in text


def test_the_verdict_has_bound_value_incumbent_and_result_of_every_metric() -> None:
    text = drawn(serving_with_a_rejected_one(), 120)
    assert row(text, "accuracy", "missed") == "accuracy ≥ 0.97, regression ≤ 0.005 0.5 0.98 -0.48 ✗ missed"
    assert row(text, "loss") == "loss ≤ 0.2 0.12 0.1 +0.02 ✓ passed"
    assert row(text, "metric", "bound") == "metric bound value version 2 change result"
    assert "version 3: Rejected, on 360 samples" in text


def test_what_the_evaluation_cannot_decide_is_marked_as_unclear() -> None:
    situation = serving_with_a_rejected_one()
    candidate = situation.resource.status.candidate
    assert candidate is not None and candidate.verdict is not None
    check = Check(
        name="accuracy", value=0.98, min=0.97, passed=False, inconclusive=True, message="on 3 samples only"
    )
    unclear = candidate.changed(verdict=candidate.verdict.changed(checks=[check]))
    assert row(drawn(situation.status(candidate=unclear)), "≥ 0.97") == "accuracy ≥ 0.97 0.98 - - ● unclear"


def test_what_is_measured_while_a_version_is_rolled_out_is_shown_and_then_what_was() -> None:
    measured = Measured(
        query="error-rate", max=0.01, measured=7, failed=1, state="Failed", value=0.25, at=NOW
    )
    soon = Measured(query="drift", next_at=NOW + timedelta(minutes=5))
    rollout = Rollout(version=3, run_id="a", stage="Canary", analysis=[measured, soon])
    situation = serving_with_a_rejected_one()
    text = drawn(situation.status(rollout=rollout))
    assert row(text, "error-rate") == "error-rate ≤ 0.01 0.25 1 of 7 Failed"
    assert row(text, "drift") == "drift - - 0 of 0 first in 1m"
    candidate = situation.resource.status.candidate
    assert candidate is not None and candidate.verdict is not None
    ended = candidate.changed(verdict=candidate.verdict.changed(analysis=[measured]))
    assert "1 of 7 Failed" in row(drawn(situation.status(candidate=ended)), "error-rate")


def test_a_finding_comes_once_with_what_to_do() -> None:
    text = drawn(serving_with_a_rejected_one(), 120)
    assert text.count("is below min 0.9") == 1
    assert row(text, "→").startswith("→ train better, or edit evaluation.metrics")


def test_a_run_shows_its_steps_and_how_long_it_takes() -> None:
    running = serving_with_a_rejected_one().with_run("Running", 4, step="train", progress="1/4")
    text = drawn(running)
    assert row(text, "1/4") == "steps ✓ download ● train evaluate export 1/4"
    assert row(text, "Running") == "state Running for 9m"


def test_versions_come_newest_first_and_the_one_that_serves_is_marked() -> None:
    lines = drawn(serving_with_a_rejected_one()).split("Last versions")[1].splitlines()[3:]
    assert [line.split()[0] for line in lines] == ["3", "2"]
    assert "● serves" in lines[1] and "serves" not in lines[0]


def test_a_resource_that_nobody_looked_at_says_so() -> None:
    fresh = a_situation()
    unseen = Situation(fresh.resource.changed(status=type(fresh.resource.status)()))
    assert "the operator has not looked at it yet" in drawn(unseen)


def test_an_edit_that_was_not_looked_at_is_said() -> None:
    assert "the newest edit was not looked at yet" in drawn(
        serving_with_a_rejected_one().metadata(generation=9)
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    running = serving_with_a_rejected_one().with_run(
        "Running", 4, step="train", progress="1/4", message="x " * 100
    )
    assert all(len(line) <= width for line in drawn(running, width).splitlines())


def test_a_terminal_without_unicode_gets_letters() -> None:
    marks = Marks.of("ascii")
    assert marks != Marks() and Marks.of("utf-8") == Marks()
    drawn(serving_with_a_rejected_one(), marks=marks).replace("─", "-").encode("ascii")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61, "1m1s"),
        (3600, "1h"),
        (90_000, "25h"),
        (172_800, "2d"),
        (-3, "0s"),
    ],
)
def test_a_span_is_said_in_one_or_two_units(seconds: int, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said


def test_times_are_said_from_now() -> None:
    assert when(NOW + timedelta(seconds=12), NOW) == "in 12s"
    assert when(NOW - timedelta(seconds=12), NOW) == "12s ago"


def test_a_run_that_only_evaluates_is_said_to_train_nothing() -> None:
    situation = serving_with_a_rejected_one().with_run(
        "Running",
        3,
        2,
        kind="Evaluate",
        evaluates=run_id(3),
        step="evaluate",
        progress="1/2",
        reason="evaluates version 3 against version 2, which serves now",
    )
    text = drawn(situation, 100)
    assert row(text, "kind") == "kind evaluation of a version that was made before; nothing is trained"
    assert row(text, "attempt 2:").endswith("evaluates version 3 against version 2, which serves now")
    assert row(text, "steps") == "steps ✓ download ● evaluate 1/2"
