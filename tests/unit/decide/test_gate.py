"""Which versions may be served."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.unit.builders import NOW, SILENT, Situation, a_result, a_situation, problem, run_id
from tests.unit.decide.table import Row, follows, row, table
from trainandserve.decide.bounds import Before, check
from trainandserve.hashes import training_hash
from trainandserve.resource import Metric

MIN = [{"name": "accuracy", "min": 0.9}]
REGRESSION = [{"name": "accuracy", "min": 0.9, "maxRegression": 0.005}]


def trained(metrics: list[dict[str, Any]] = MIN, **seen: Any) -> Situation:
    """A first run succeeded, and this is seen of its result."""
    return (
        a_situation(evaluation={"metrics": metrics}).sees(preflight=None).with_run("Succeeded").sees(**seen)
    )


def second(metrics: list[dict[str, Any]] = REGRESSION, **fields: Any) -> Situation:
    """Version 1 serves, and the run of version 2 that was compared with it succeeded."""
    first = a_situation(evaluation={"metrics": metrics}).sees(preflight=None).judged(1).serving(1)
    result = a_result(2, **{"incumbent": 1, "incumbent_metrics": {"accuracy": 0.95}} | fields)
    return first.with_run("Succeeded", 2, incumbent=1).sees(result=result)


JUDGE = [
    row("a good result is accepted and served", trained(result=a_result(1)), "Apply 1 over nothing",
        then={"candidate.verdict.accepted": True, "candidate.verdict.reason": "Accepted", "served.target.version": 1,
              "history.0.verdict": "Accepted", "ModelAccepted.status": "True", "phase": "RollingOut"}, events=["VersionAccepted"]),
    row("a bad one is rejected and touches nothing", trained(result=a_result(1, metrics={"accuracy": 0.5})),
        then={"candidate.verdict.reason": "Rejected", "candidate.verdict.message": "accuracy 0.5 is below min 0.9", "served": None,
              "history.0.verdict": "Rejected", "phase": "Failed", "Stalled.status": "True", "ModelAccepted.status": "False"},
        events=["VersionRejected"], wake=None, again=False),
    row("a metric that is missing rejects", trained(result=a_result(1, metrics={"loss": 0.1})),
        then={"candidate.verdict.message": "accuracy is missing or not a number"}, events=["VersionRejected"]),
    row("without bounds everything is accepted", trained([], result=a_result(1, metrics={})), "Apply 1 over nothing",
        then={"candidate.verdict.accepted": True}, events=["VersionAccepted"]),
    row("a result that nobody looked for is looked for", trained(), then={"candidate": None}, wake=0),
    row("a result that nobody can read waits", trained(result=SILENT), then={"candidate": None, "run.state": "Succeeded"}, again=True),
    row("a result that does not hold is a failed run", trained(result=problem("NoResult")),
        then={"candidate": None, "run.state": "Failed", "run.failures": 1}, events=["RunFailed"], wake=30),
    row("a small regression is accepted", second(metrics=REGRESSION, incumbent_metrics={"accuracy": 0.955}), "ApplyCandidate 2 over nothing",
        then={"served.target.version": 2, "served.version": 1, "candidate.incumbent.version": 1}, events=["VersionAccepted"]),
    row("a larger one is rejected, and the old version serves on", second(incumbent_metrics={"accuracy": 0.96}),
        then={"served.target.version": 1, "candidate.verdict.accepted": False, "phase": "Serving", "Ready.status": "True"},
        events=["VersionRejected"]),
    row("an incumbent that could not be evaluated rejects where it is asked for",
        second(incumbent_metrics=None, incumbent_error="it is of another shape"),
        then={"candidate.verdict.message": "accuracy 0.95 cannot be compared: it is of another shape"}, events=["VersionRejected"]),
    row("and does not where it is not", second(MIN, incumbent_metrics=None, incumbent_error="it is of another shape"),
        "ApplyCandidate 2 over nothing", events=["VersionAccepted"]),
    row("an incumbent without that metric is no bar", second(incumbent_metrics={"loss": 1.0}), "ApplyCandidate 2 over nothing",
        events=["VersionAccepted"]),
    row("another version serves than the one it was compared with: no verdict before it was evaluated again",
        second().with_run("Succeeded", 2, incumbent=None).sees(result=a_result(2)),
        then={"run.state": "Succeeded", "candidate.version": 2, "candidate.verdict.reason": "IncumbentChanged", "phase": "Training",
              "ModelTrained.status": "True", "ModelAccepted.status": "Unknown", "served.target.version": 1}, wake=0),
    row("without bounds on regression that does not matter", second(MIN).with_run("Succeeded", 2, incumbent=None).sees(result=a_result(2)),
        "ApplyCandidate 2 over nothing", events=["VersionAccepted"]),
    row("a run that compared with another version than it was told to has failed: once more would be for ever",
        second().sees(result=a_result(2)), then={"run.state": "Failed", "run.failures": 1}, events=["RunFailed"]),
]  # fmt: skip


@table(JUDGE)
def test_judge(given: Row) -> None:
    follows(given)


REJECTED = a_situation().sees(preflight=None).judged(1, accepted=False)
ACCEPTED = a_situation().sees(preflight=None).judged(1).serving(1)


def bounds(*metrics: dict[str, Any]) -> dict[str, Any]:
    return {"metrics": list(metrics)}


AGAIN = [
    row("lower bounds accept a rejected version without a run", REJECTED.spec(evaluation=bounds({"name": "accuracy", "min": 0.4})),
        "Apply 1 over nothing", then={"candidate.verdict.accepted": True, "run.version": 1, "served.target.version": 1},
        events=["VersionAccepted"]),
    row("bounds that still reject say nothing new", REJECTED.spec(evaluation=bounds({"name": "accuracy", "min": 0.8})),
        then={"candidate.verdict.accepted": False, "candidate.verdict.at": NOW}),
    row("higher bounds reject the version that serves, and it serves on",
        ACCEPTED.spec(evaluation=bounds({"name": "accuracy", "min": 0.99})),
        then={"candidate.verdict.accepted": False, "served.target.version": 1, "Ready.status": "True", "Ready.reason": "Rejected",
              "ModelAccepted.status": "False", "Stalled": None, "phase": "Serving"}, events=["VersionRejected"]),
    row("bounds in another order are the same", a_situation(evaluation=bounds({"name": "a", "min": 1}, {"name": "b", "min": 1}))
        .sees(preflight=None).judged(1, accepted=False).spec(evaluation=bounds({"name": "b", "min": 1}, {"name": "a", "min": 1})),
        then={"candidate.verdict.message": "accuracy 0.5 is below min 0.9"}),
    row("a suspended resource judges and does not serve", REJECTED.spec(evaluation=bounds({"name": "accuracy", "min": 0.4}), suspend=True),
        then={"candidate.verdict.accepted": True, "served": None}, events=["VersionAccepted"]),
    row("a version that failed to serve is not judged again",
        a_situation().sees(preflight=None).judged(1, accepted=False, reason="FailedToServe")
        .spec(evaluation=bounds({"name": "accuracy", "min": 0.1})),
        then={"candidate.verdict.reason": "FailedToServe", "served": None}),
    row("a bound on regression against a version that no longer serves asks for a new comparison",
        a_situation().sees(preflight=None).judged(1).serving(1).judged(2, False, training_hash=training_hash(a_situation().resource))
        .spec(evaluation=bounds({"name": "accuracy", "min": 0.4, "maxRegression": 0.1})),
        then={"candidate.verdict.reason": "IncumbentChanged", "last_training_hash": training_hash(a_situation().resource),
              "plan.steps.0.action": "Evaluate", "served.target.version": 1}, wake=0),
    row("of a version that was not made from what is asked for now it takes a new version",
        a_situation().sees(preflight=None).judged(1).serving(1).judged(2, accepted=False)
        .spec(evaluation=bounds({"name": "accuracy", "min": 0.4, "maxRegression": 0.1})),
        then={"candidate.verdict.reason": "IncumbentChanged", "last_training_hash": "", "served.target.version": 1}, wake=0),
]  # fmt: skip


@table(AGAIN)
def test_judge_again(given: Row) -> None:
    follows(given)


def test_a_new_comparison_is_a_new_version_where_the_old_one_was_made_from_something_else() -> None:
    asked = AGAIN[-1].situation.after().sees(preflight=a_situation().seen["preflight"])
    follows(row("", asked, "SubmitRun 3/1", then={"run.incumbent": 1, "run.kind": None}))


def test_history_keeps_as_many_versions_as_the_user_wants_newest_first() -> None:
    situation = a_situation(historyLimit=2).sees(preflight=None)
    for version in (1, 2, 3):
        situation = (
            situation.with_run("Succeeded", version).sees(result=a_result(version, incumbent=None)).after()
        )
    assert [entry.version for entry in situation.resource.status.history] == [3, 2]
    assert situation.resource.status.history[0].run_id == run_id(3)


@pytest.mark.parametrize(
    ("bounds", "value", "before", "passed"),
    [
        ({"min": 0.9}, 0.9, None, True),
        ({"min": 0.9}, 0.8999999, None, False),
        ({"max": 0.2}, 0.2, None, True),
        ({"max": 0.2}, 0.2000001, None, False),
        ({"min": 0.1, "max": 0.2}, 0.15, None, True),
        ({"min": 0.1, "max": 0.2}, 0.05, None, False),
        ({"min": 0.1, "max": 0.2}, 0.25, None, False),
        ({"min": 0.0}, None, None, False),
        (
            {"min": 0.0, "maxRegression": 0.01},
            0.97,
            0.98,
            True,
        ),  # 0.98 - 0.97 is above 0.01 in floating point
        ({"min": 0.0, "maxRegression": 0.01}, 0.9699, 0.98, False),
        ({"min": 0.0, "maxRegression": 0.01}, 0.99, 0.98, True),
        ({"min": 0.0, "maxRegression": 0.0}, 0.98, 0.98, True),
        ({"min": 0.0, "maxRegression": 0.0}, 0.9799, 0.98, False),
        ({"max": 1.0, "maxRegression": 0.1}, 0.3, 0.2, True),
        ({"max": 1.0, "maxRegression": 0.1}, 0.31, 0.2, False),
        ({"max": 1.0, "maxRegression": 0.1}, 0.01, 0.2, True),
        ({"max": 1e12, "maxRegression": 0.0}, 1e9, 1e9, True),
        ({"min": -5.0, "maxRegression": 1.0}, -3.0, -2.0, True),
        ({"min": -5.0, "maxRegression": 1.0}, -3.5, -2.0, False),
        ({"min": 0.5, "maxRegression": 0.1}, 0.6, None, True),
    ],
)
def test_a_bound_that_is_met_exactly_is_met(
    bounds: dict[str, float], value: float | None, before: float | None, passed: bool
) -> None:
    metric = Metric.model_validate({"name": "m", **bounds})
    found = check(
        metric,
        {"m": value} if value is not None else {},
        Before({"m": before} if before is not None else None),
    )
    assert found.passed is passed
    assert found.message.startswith("m ")


def test_a_miss_is_said_with_digits_enough_to_see_it() -> None:
    found = check(Metric(name="m", min=0.97), {"m": 0.9699999999}, Before())
    assert found.message == "m 0.9699999999 is below min 0.97"


@pytest.mark.parametrize("value", [math.nan, None])
def test_what_is_no_number_never_passes(value: float | None) -> None:
    assert not check(Metric(name="m", max=1.0), {"m": value}, Before()).passed
