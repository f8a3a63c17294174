"""A version that waits for a person: by rule, or because the evaluation says neither yes nor no."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.builders import NOW, READY_TO_RUN, Situation, a_result, a_situation
from tests.unit.decide.table import Row, follows, row, table
from trainandserve.decide.bounds import Before, check
from trainandserve.resource import Metric

MIN = {"name": "accuracy", "min": 0.9}
REGRESSION = MIN | {"maxRegression": 0.005}
ENOUGH = MIN | {"minSamples": 360}
FEW = MIN | {"minSamples": 361}


def gate(*metrics: dict[str, Any], **evaluation: str) -> dict[str, Any]:
    return {"metrics": list(metrics or (MIN,)), **evaluation}


def first(*metrics: dict[str, Any], result: dict[str, Any] | None = None, **evaluation: str) -> Situation:
    """The first run succeeded and its result is read, under these bounds."""
    idle = a_situation(evaluation=gate(*metrics, **evaluation)).sees(preflight=None)
    return idle.with_run("Succeeded").sees(result=a_result(1, **result or {}))


def second(*metrics: dict[str, Any], result: dict[str, Any] | None = None, **evaluation: str) -> Situation:
    """Version 1 serves; the run of version 2, compared with it, succeeded and its result is read."""
    idle = a_situation(evaluation=gate(*metrics, **evaluation)).sees(preflight=None).judged(1).serving(1)
    found = a_result(2, **{"incumbent": 1, "incumbent_metrics": {"accuracy": 0.95}} | (result or {}))
    return idle.with_run("Succeeded", 2, incumbent=1).sees(result=found)


unlike = {"incumbent_metrics": None, "incumbent_error": "it is of another shape"}
manual = second(approval="Manual")
waits = manual.after()
HELD = {"candidate.verdict.accepted": False, "served.target.version": 1, "phase": "AwaitingApproval", "Ready.status": "True",
        "Reconciling": None, "Stalled": None, "ModelAccepted.status": "Unknown"}  # fmt: skip

JUDGED = [
    row("enough samples are believed", first(ENOUGH), "Apply 1 over nothing", then={"candidate.verdict.reason": "Accepted"},
        events=["VersionAccepted"]),
    row("too few say nothing: the version waits for a person, whatever the mode", second(FEW),
        then=HELD | {"candidate.verdict.reason": "Inconclusive", "candidate.verdict.checks.0.passed": False,
                     "candidate.verdict.checks.0.inconclusive": True, "Ready.reason": "Inconclusive", "history.0.verdict": "Inconclusive"},
        events=["ApprovalNeeded"], wake=None, again=False),
    row("nor do they reject", second(FEW, result={"metrics": {"accuracy": 0.1}}), then=HELD | {"candidate.verdict.reason": "Inconclusive"},
        events=["ApprovalNeeded"]),
    row("a number of samples that nobody said is too few", first(ENOUGH, result={"samples": None}),
        then={"candidate.verdict.reason": "Inconclusive", "served": None}, events=["ApprovalNeeded"]),
    row("a metric that is missing rejects on any number of samples", second(FEW, result={"metrics": {}}),
        then={"candidate.verdict.reason": "Rejected", "phase": "Serving"}, events=["VersionRejected"]),
    row("another metric that is sure of a no rejects", second(FEW, {"name": "loss", "max": 0.1}, result={"metrics": {"accuracy": 0.95, "loss": 0.2}}),
        then={"candidate.verdict.reason": "Rejected", "candidate.verdict.message": "loss 0.2 is above max 0.1"}, events=["VersionRejected"]),
    row("an incumbent that cannot be evaluated rejects", second(REGRESSION, result=unlike), then={"candidate.verdict.reason": "Rejected"},
        events=["VersionRejected"]),
    row("so it is said: Reject", second(REGRESSION, result=unlike, onIncumbentError="Reject"),
        then={"candidate.verdict.reason": "Rejected"}, events=["VersionRejected"]),
    row("Hold asks a person", second(REGRESSION, result=unlike, onIncumbentError="Hold"),
        then=HELD | {"candidate.verdict.reason": "Inconclusive",
                     "candidate.verdict.message": "accuracy 0.95 cannot be compared: it is of another shape"}, events=["ApprovalNeeded"]),
    row("Hold does not hold what is below the absolute bound",
        second(REGRESSION, result=unlike | {"metrics": {"accuracy": 0.5}}, onIncumbentError="Hold"),
        then={"candidate.verdict.reason": "Rejected"}, events=["VersionRejected"]),
    row("Ignore lets the absolute bound alone decide", second(REGRESSION, result=unlike, onIncumbentError="Ignore"), "ApplyCandidate 2 over nothing",
        then={"candidate.verdict.reason": "Accepted",
              "candidate.verdict.message": "accuracy 0.95 meets min 0.9 (not compared: it is of another shape)"}, events=["VersionAccepted"]),
    row("by hand: a version that met its bounds waits, and the old one serves", manual,
        then=HELD | {"candidate.verdict.reason": "AwaitingApproval", "Ready.reason": "AwaitingApproval"},
        events=["ApprovalNeeded"], wake=None, again=False),
    row("by hand: one that missed them is rejected", second(approval="Manual", result={"metrics": {"accuracy": 0.5}}),
        then={"candidate.verdict.reason": "Rejected", "phase": "Serving"}, events=["VersionRejected"]),
    row("by hand: the first version waits too, with nothing that serves", first(approval="Manual"),
        then={"served": None, "phase": "AwaitingApproval", "Ready.status": "False", "Ready.reason": "AwaitingApproval",
              "Reconciling.status": "True", "Stalled": None}, events=["ApprovalNeeded"], wake=None),
    row("Automatic, said, is what it is unsaid", first(approval="Automatic"), "Apply 1 over nothing",
        then={"candidate.verdict.reason": "Accepted"}, events=["VersionAccepted"]),
]  # fmt: skip


@table(JUDGED)
def test_who_waits(given: Row) -> None:
    follows(given)


rejected = second(approval="Manual", result={"metrics": {"accuracy": 0.5}}).after()
inconclusive = second(FEW).after()
early = a_situation(evaluation=gate(approval="Manual")).sees(preflight=None)
NAMED = "2@digest-2"

ANSWERED = [
    row("the annotation of this version with this result approves it", waits.annotated(approve=NAMED), "ApplyCandidate 2 over nothing",
        then={"candidate.verdict.accepted": True, "candidate.verdict.reason": "Approved", "candidate.verdict.approved_at": NOW,
              "served.target.version": 2, "history.0.verdict": "Approved", "last_handled_approval": NAMED, "phase": "RollingOut",
              "ModelAccepted.status": "True"}, events=["VersionAccepted"]),
    row("it stays approved where the annotation is taken away", waits.annotated(approve=NAMED).after().annotated(), "ApplyCandidate 2 over nothing",
        then={"candidate.verdict.reason": "Approved", "served.target.version": 2}),
    row("what is inconclusive can be approved", inconclusive.annotated(approve=NAMED), "ApplyCandidate 2 over nothing",
        then={"candidate.verdict.reason": "Approved"}, events=["VersionAccepted"]),
    row("that of another version does nothing and says so", waits.annotated(approve="1@digest-1"),
        then=HELD | {"last_handled_approval": "1@digest-1"}, events=["ApprovalIgnored"], wake=None),
    row("that of another result does nothing and says so", waits.annotated(approve="2@digest-1"), then=HELD, events=["ApprovalIgnored"]),
    row("a version without a digest is not enough", waits.annotated(approve="2"), then=HELD, events=["ApprovalIgnored"]),
    row("it says so once", waits.annotated(approve="2").after(), then=HELD),
    row("what was rejected is not approved", rejected.annotated(approve=NAMED),
        then={"candidate.verdict.reason": "Rejected", "served.target.version": 1}, events=["ApprovalIgnored"]),
    row("where nothing waits nothing is approved", early.annotated(approve=NAMED), then={"candidate": None}, events=["ApprovalIgnored"]),
    row("an annotation that came before the version counts once it waits",
        manual.status(last_handled_approval=NAMED).annotated(approve=NAMED), "ApplyCandidate 2 over nothing",
        then={"candidate.verdict.reason": "Approved"}, events=["ApprovalNeeded", "VersionAccepted"]),
    row("the annotation of what was approved before says nothing about the next",
        waits.annotated(approve=NAMED).after().serving(2).with_run("Succeeded", 3, incumbent=2).sees(result=a_result(3, incumbent=2)),
        then={"candidate.version": 3, "candidate.verdict.reason": "AwaitingApproval", "served.target.version": 2}, events=["ApprovalNeeded"]),
    row("a newer version takes the place of the one that waits",
        waits.with_run("Succeeded", 3, incumbent=1).sees(result=a_result(3, incumbent=1)),
        then={"candidate.version": 3, "history.0.version": 3, "history.1.verdict": "Superseded"}, events=["ApprovalNeeded"]),
    row("also one that is rejected", waits.with_run("Succeeded", 3, incumbent=1).sees(result=a_result(3, incumbent=1, metrics={})),
        then={"candidate.version": 3, "phase": "Serving", "history.1.verdict": "Superseded"}, events=["VersionRejected"]),
    row("an edit trains on while a version waits", waits.spec(training={"image": "b"}).sees(preflight=READY_TO_RUN), "SubmitRun 3/1",
        then={"phase": "Training", "Ready.status": "True", "candidate.verdict.reason": "AwaitingApproval"}),
    row("a suspended resource is approved and promotes nothing", waits.suspended().annotated(approve=NAMED),
        then={"candidate.verdict.reason": "Approved", "served.target.version": 1, "phase": "Suspended"}, events=["VersionAccepted"]),
    row("Automatic again accepts what waits", waits.spec(evaluation=gate()), "ApplyCandidate 2 over nothing",
        then={"candidate.verdict.reason": "Accepted"}, events=["VersionAccepted"]),
    row("bounds that it misses reject what waits", waits.spec(evaluation=gate(MIN | {"min": 0.99}, approval="Manual")),
        then={"candidate.verdict.reason": "Rejected", "served.target.version": 1, "phase": "Serving"}, events=["VersionRejected"]),
    row("bounds that it misses reject also what was approved and not yet promoted",
        waits.suspended().annotated(approve=NAMED).after().spec(suspend=None, evaluation=gate(MIN | {"min": 0.99}, approval="Manual")),
        then={"candidate.verdict.reason": "Rejected", "served.target.version": 1}, events=["VersionRejected"]),
    row("other bounds that it meets do not ask again", waits.suspended().annotated(approve=NAMED).after()
        .spec(evaluation=gate(MIN | {"min": 0.8}, approval="Manual")).annotated(),
        then={"candidate.verdict.reason": "Approved", "candidate.verdict.approved_at": NOW}),
    row("nobody is asked about the version that serves", second().after().serving(2).spec(evaluation=gate(approval="Manual")),
        then={"candidate.verdict.reason": "Accepted", "phase": "Serving"}),
    row("nor where new bounds find it inconclusive", second().after().serving(2).spec(evaluation=gate(FEW)),
        then={"candidate.verdict.reason": "Inconclusive", "served.target.version": 2, "phase": "Serving", "Ready.reason": "Serving"}),
    row("a version that was accepted and not yet promoted is asked about",
        second().suspended().after().spec(evaluation=gate(approval="Manual"), suspend=None),
        then={"candidate.verdict.reason": "AwaitingApproval", "served.target.version": 1}, events=["ApprovalNeeded"]),
    row("an approved version that fails to serve is not brought back by its annotation",
        waits.annotated(approve=NAMED).after().serving(1, target=2, since=300), "Apply 1 over 7",
        then={"candidate.verdict.reason": "FailedToServe", "served.target.version": 1}, events=["RolledBack"]),
]  # fmt: skip


@table(ANSWERED)
def test_approval(given: Row) -> None:
    follows(given)


def test_a_rollback_is_not_undone_by_the_annotation_that_is_still_there() -> None:
    follows(row("", ANSWERED[-1].situation.after(), "Apply 1 over 7", then={"served.target.version": 1}))


def test_the_event_and_the_condition_print_the_annotation_to_the_letter() -> None:
    asked = 'trainandserve.io/approve: "2@digest-2"'
    plan = manual.decide()
    accepted = plan.status.condition("ModelAccepted")
    assert accepted is not None and asked in accepted.message
    assert asked in plan.notes[0].message
    wrong = waits.annotated(approve="1@digest-1").decide().notes[0].message
    assert '"1@digest-1"' in wrong and '"2@digest-2"' in wrong


def test_a_foreign_value_of_any_length_can_be_stored_and_is_answered_once() -> None:
    long = waits.annotated(approve="x" * 100_000)
    assert len(long.decide().notes[0].message) < 1000
    assert len(long.after().resource.status.last_handled_approval or "") <= 253
    assert not long.after().decide().notes


def test_the_record_of_a_comparison_holds_bounds_values_and_difference() -> None:
    found = check(Metric(name="m", min=0.5, max_regression=0.1), {"m": 0.75}, Before({"m": 0.5}))
    assert (found.min, found.max, found.max_regression) == (0.5, None, 0.1)
    assert (found.value, found.incumbent, found.difference, found.passed) == (0.75, 0.5, 0.25, True)


@pytest.mark.parametrize(
    ("samples", "doubtful"), [(None, True), (0, True), (9, True), (10, False), (11, False)]
)
def test_min_samples_is_met_exactly(samples: int | None, doubtful: bool) -> None:
    found = check(Metric(name="m", min=0.5, min_samples=10), {"m": 1.0}, Before(), samples)
    assert (found.inconclusive or False, found.passed) == (doubtful, not doubtful)


def test_a_waiting_version_outlives_the_clock() -> None:
    follows(row("", waits.later(90_000), then=HELD, wake=None, again=False))
