"""A version that a person pinned: which version is to be served, whatever is trained."""

from __future__ import annotations

from tests.unit.builders import (
    NOW,
    READY_TO_RUN,
    SILENT,
    Situation,
    a_result,
    a_situation,
    in_bucket,
    problem,
    run_id,
)
from tests.unit.decide.table import Row, follows, row, table
from trainandserve.decide.looks import Known, Look, first_looks
from trainandserve.observation import ABSENT
from trainandserve.plan import SubmitRun

idle = a_situation().sees(preflight=None)
third = idle.judged(1).judged(2).judged(3).serving(3)
"""Versions 1 to 3 were accepted, and version 3 serves."""

bad = idle.judged(1).judged(2, accepted=False).serving(1)
"""Version 1 serves, version 2 was rejected."""

missing = problem("NoResult")


def proven(situation: Situation, version: int) -> Situation:
    """Later, with what was pinned proven to serve."""
    return situation.after().serving(version).sees(pinned=None)


one = third.pinned(1, found=in_bucket(1))
pinned = proven(one, 1)
GONE = {"served.target.version": 3, "pin": None, "phase": "Serving", "Ready.status": "True"}

PIN = [
    row("a pinned version becomes the target and starts no run", one.sees(preflight=READY_TO_RUN), "ApplyCandidate 1 over nothing",
        then={"served.target.version": 1, "served.target.run_id": run_id(1), "served.version": 3, "pin.version": 1, "pin.before.version": 3,
              "phase": "RollingOut", "Ready.status": "True"}, events=["VersionPinned"]),
    row("once it is proven there is nothing to do", pinned.sees(preflight=READY_TO_RUN),
        then={"served.version": 1, "served.target.version": 1, "phase": "Serving", "Ready.reason": "Serving",
              "Ready.message": "version 1 serves, as pinned"}, wake=None, again=False),
    row("it is looked for before anything is changed", third.pinned(1), then=GONE, wake=0),
    row("one that is not there, or not whole, changes nothing, and that is said", third.pinned(1, found=missing),
        then=GONE | {"Ready.reason": "PinnedVersionUnavailable", "Stalled": None}, again=True),
    row("one that nobody can tell of changes nothing", third.pinned(1, found=SILENT), then=GONE | {"Ready.reason": "PipelinesUnreachable"}, again=True),
    row("with nothing that serves that is said as well", idle.pinned(7, found=missing),
        then={"served": None, "Ready.status": "False", "Ready.reason": "PinnedVersionUnavailable", "Stalled": None}, again=True),
    row("a pin on what serves changes nothing", third.pinned(3), then=GONE | {"pin": third.pinned(3).after().resource.status.pin, "pin.version": 3},
        wake=None, again=False),
    row("a rejected version is served if it is pinned", bad.pinned(2, found=in_bucket(2)), "ApplyCandidate 2 over nothing",
        then={"served.target.version": 2, "candidate.verdict.reason": "Rejected"}, events=["VersionPinned"]),
    row("one that waits for approval as well, and nobody is asked any more",
        idle.judged(1).judged(2, accepted=False, reason="AwaitingApproval").serving(1).pinned(2, found=in_bucket(2)), "ApplyCandidate 2 over nothing",
        then={"served.target.version": 2, "phase": "RollingOut"}, events=["VersionPinned"]),
    row("one that failed to serve is tried once more if it is pinned",
        idle.judged(1).judged(2, accepted=False, reason="FailedToServe").serving(1).pinned(2, found=in_bucket(2)), "ApplyCandidate 2 over nothing",
        then={"served.target.version": 2}, events=["VersionPinned"]),
    row("an accepted version is recorded, not promoted", pinned.judged(4), then={"candidate.version": 4, "history.0.verdict": "Accepted",
        "served.target.version": 1, "phase": "Serving", "ModelAccepted.status": "True"}, wake=None, again=False),
    row("a suspended resource is not pinned", third.suspended().pinned(1, found=in_bucket(1)), then={"served.target.version": 3, "pin": None}),
    row("a version whose run is on is not pinned before it was judged",
        third.with_run("Running", 4).kfp_says("RUNNING").pinned(4, found=in_bucket(4)),
        then={"served.target.version": 3, "Ready.reason": "PinnedVersionUnavailable"}),
    row("while a first version is coming up, the pin waits for its proof", idle.judged(1).judged(2).rolling_to(2).pinned(1, found=in_bucket(1)),
        then={"served.target.version": 2, "pin": None}),
    row("a pin on a version that is coming up leaves it to come up", idle.judged(1).rolling_to(1).pinned(1),
        then={"served.target.version": 1, "pin.version": 1}),
    row("another pin takes its place and remembers what was before", pinned.pinned(2, found=in_bucket(2)), "ApplyCandidate 2 over nothing",
        then={"served.target.version": 2, "pin.version": 2, "pin.before.version": 3}, events=["VersionPinned"]),
    row("what is pinned is put right like any other", pinned.sees(inference_service=ABSENT), "Apply 1 over nothing"),
    row("an edit of the training trains on", pinned.spec(training={"image": "b"}).sees(preflight=READY_TO_RUN), "SubmitRun 4/1",
        then={"served.target.version": 1, "run.incumbent": 1}),
]  # fmt: skip


@table(PIN)
def test_pin(given: Row) -> None:
    follows(given)


late = one.after().proving(3, 1, since=300).sees(pinned=None)
tried = late.after().serving(3).sees(pinned=in_bucket(1), candidate_service=ABSENT)

FAILED = [
    row("a pinned version that does not come up is taken back like any other", late, "DeleteCandidateService",
        then={"served.target.version": 3, "pin.failed": "not proven to serve within 5m", "history.2.verdict": "FailedToServe"},
        events=["RolledBack"]),
    row("and is not tried again by itself", tried.later(60), then={"served.target.version": 3, "Ready.status": "True",
        "Ready.reason": "FailedToServe", "phase": "Serving"}, wake=None, again=False),
    row("another one may be pinned", tried.pinned(2, found=in_bucket(2)), "ApplyCandidate 2 over nothing",
        then={"served.target.version": 2, "pin.failed": None, "pin.before.version": 3}, events=["VersionPinned"]),
    row("after the pin was taken away, the same one too", tried.pinned(None).after().pinned(1, found=in_bucket(1)), "ApplyCandidate 1 over nothing",
        then={"served.target.version": 1, "pin.failed": None}, events=["VersionPinned"]),
    row("where nothing was ever proven, it is taken down",
        idle.judged(1, accepted=False).pinned(1, found=in_bucket(1)).after().rolling_to(1, since=300), "DeleteInferenceService",
        then={"served.target": None, "pin.failed": "not proven to serve within 5m", "Ready.status": "False"}, events=["RolledBack"]),
]  # fmt: skip


@table(FAILED)
def test_a_pinned_version_that_does_not_serve(given: Row) -> None:
    follows(given)


UNPIN = [
    row("the newest accepted version is served again", pinned.pinned(None), "ApplyCandidate 3 over nothing",
        then={"served.target.version": 3, "served.version": 1, "pin": None}, events=["PinRemoved"]),
    row("also one that was accepted meanwhile", pinned.judged(4).pinned(None), "ApplyCandidate 4 over nothing",
        then={"served.target.version": 4, "pin": None}, events=["PinRemoved"]),
    row("not one that was rejected meanwhile", pinned.judged(4, accepted=False).pinned(None), "ApplyCandidate 3 over nothing",
        then={"served.target.version": 3}, events=["PinRemoved"]),
    row("nor one that waits for approval", pinned.judged(4, accepted=False, reason="AwaitingApproval").pinned(None), "ApplyCandidate 3 over nothing",
        then={"served.target.version": 3, "phase": "RollingOut"}, events=["PinRemoved"]),
    row("back from a rejected version to an older one", proven(bad.pinned(2, found=in_bucket(2)), 2).pinned(None), "ApplyCandidate 1 over nothing",
        then={"served.target.version": 1, "served.version": 2}, events=["PinRemoved"]),
    row("never to one that failed to serve", pinned.judged(4, accepted=False, reason="FailedToServe").pinned(None), "ApplyCandidate 3 over nothing",
        then={"served.target.version": 3}, events=["PinRemoved"]),
    row("where no version was ever accepted, what serves stays",
        idle.judged(1, accepted=False).serving(1).pinned(1).after().pinned(None).status(history=[]), then={"served.target.version": 1, "pin": None}),
    row("a pin on what serves anyway is taken away without a change", third.pinned(3).after().pinned(None), then={"pin": None,
        "served.target.version": 3}, wake=None, again=False),
    row("also where bounds that were edited find fault with it",
        third.pinned(3).after().spec(evaluation={"metrics": [{"name": "accuracy", "min": 0.99}]}).after().pinned(None),
        then={"pin": None, "served.target.version": 3}),
    row("the version before the pin is remembered beyond the history", pinned.status(history=[], candidate=None).pinned(None), "ApplyCandidate 3 over nothing",
        then={"served.target.version": 3}, events=["PinRemoved"]),
    row("a suspended resource keeps its pin until it goes on", pinned.suspended().pinned(None), then={"served.target.version": 1, "pin.version": 1}),
]  # fmt: skip


@table(UNPIN)
def test_unpin(given: Row) -> None:
    follows(given)


def test_pinning_and_unpinning_submits_nothing_also_where_the_inputs_are_those_of_another_version() -> None:
    """Version 2 was trained from other parameters than version 1: neither way is a new training due."""
    first = idle.judged(1).serving(1).made_from_its_inputs()
    edited = (
        first.spec(training={"image": "b"})
        .judged(2)
        .serving(2)
        .made_from_its_inputs()
        .sees(preflight=READY_TO_RUN)
    )
    down = edited.pinned(1, found=in_bucket(1))
    for situation in (down, proven(down, 1), proven(down, 1).pinned(None)):
        assert not [
            one
            for one in situation.sees(preflight=READY_TO_RUN).decide().actions
            if isinstance(one, SubmitRun)
        ]


def test_a_regression_is_measured_against_the_version_that_is_pinned() -> None:
    bounds = {"metrics": [{"name": "accuracy", "min": 0.5, "maxRegression": 0.005}]}
    base = proven(
        a_situation(evaluation=bounds)
        .sees(preflight=None)
        .judged(1)
        .judged(2)
        .serving(2)
        .pinned(1, found=in_bucket(1)),
        1,
    )
    run = base.with_run("Succeeded", 3, incumbent=1)
    good = a_result(3, incumbent=1, incumbent_metrics={"accuracy": 0.95})
    follows(
        row("", run.sees(result=good), then={"candidate.verdict.accepted": True}, events=["VersionAccepted"])
    )
    follows(row("", run.sees(result=a_result(3, incumbent=1, incumbent_metrics={"accuracy": 0.97})),
        then={"candidate.verdict.accepted": False}, events=["VersionRejected"]))  # fmt: skip
    before = base.with_run("Succeeded", 3, incumbent=2).sees(result=a_result(3, incumbent=2))
    follows(row("", before, then={"candidate.version": 3, "candidate.verdict.reason": "IncumbentChanged", "plan.steps.0.action": "Evaluate"}))  # fmt: skip


def test_the_bucket_is_looked_at_only_while_a_pin_is_not_fulfilled() -> None:
    def looked(situation: Situation) -> bool:
        return Look.PINNED in first_looks(situation.observation(), Known(), NOW)

    assert looked(third.pinned(1)) and looked(idle.pinned(7))
    assert (
        not looked(pinned)
        and not looked(third)
        and not looked(tried)
        and not looked(third.suspended().pinned(1))
    )


def test_the_history_keeps_the_newest_good_version_whatever_came_after() -> None:
    situation = a_situation(historyLimit=3).sees(preflight=None).judged(1).judged(2)
    for version in (3, 4, 5, 6):
        situation = situation.judged(version, accepted=False)
    assert [entry.version for entry in situation.resource.status.history] == [6, 5, 2]
