"""Which versions are evaluated again, by a run that makes nothing, and what becomes of that."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.builders import (
    READY_TO_RUN,
    Situation,
    a_result,
    a_situation,
    at,
    prefix,
    problem,
    run_id,
    words,
)
from tests.unit.decide.table import Row, follows, row, table
from trainandserve.changes import training_fields
from trainandserve.decide.description import describe, described
from trainandserve.hashes import training_hash
from trainandserve.names import evaluation_prefix, model_uri
from trainandserve.observation import KfpRun, Preflight, Problem
from trainandserve.plan import WriteRecord
from trainandserve.resource import Evaluated

REGRESSION = {"metrics": [{"name": "accuracy", "min": 0.9, "maxRegression": 0.005}]}
MANUAL = {**REGRESSION, "approval": "Manual"}
OTHER = {**REGRESSION, "data": {"uri": "s3://datasets/other/"}}
UNUSABLE = Preflight(unusable=Problem("ModelChanged", "saved_model.pb is missing"))


def judged(situation: Situation, accepted: bool, **fields: Any) -> Situation:
    """Version 3 was made from what the resource asks for, and judged."""
    return situation.judged(3, accepted, training_hash=training_hash(situation.resource), **fields)


def waiting(evaluation: dict[str, Any] = MANUAL, *, compared: int = 2, serves: int = 1) -> Situation:
    """Version 3 waits for a person; it was compared with one version, and another one serves."""
    found = a_situation(evaluation=evaluation).serving(serves)
    return judged(found, False, reason="AwaitingApproval", incumbent=compared)


def inputs_of(situation: Situation) -> dict[str, str]:
    """What the resource says of its training now, field by field, as every run keeps it."""
    return training_fields(situation.resource)


def known(situation: Situation) -> Situation:
    """The inputs of its last run are known field by field, as they are of every run."""
    run = situation.resource.status.run
    assert run is not None
    return situation.status(run=run.changed(inputs=inputs_of(situation)))


def evaluating(situation: Situation, state: str = "Succeeded", attempt: int = 2, **fields: Any) -> Situation:
    """A run that evaluates version 3 is stored in that state."""
    own = {
        "kind": "Evaluate",
        "evaluates": run_id(3),
        "incumbent": 1,
        "prefix": evaluation_prefix(model_uri(prefix(3)), run_id(3, attempt)),
        "inputs": inputs_of(situation),
    }
    asked = situation.resource.status.last_training_hash
    return situation.with_run(state, 3, attempt, **own | fields).status(last_training_hash=asked)


def found(attempt: int = 2, *, incumbent: int | None = 1, **fields: Any) -> Any:
    """What such a run found."""
    values = {"digest": "digest-of-evaluation", "incumbent_metrics": {"accuracy": 0.94}}
    return a_result(3, attempt, incumbent=incumbent, **values | fields)


COMPARED = "evaluates version 3 against version 1, which serves now"
ACCEPTED = known(judged(a_situation(evaluation=REGRESSION), True).serving(3))

DUE = [
    row("a version that waits for a person while another one serves than it was compared with is evaluated, not trained",
        waiting(), "Evaluate 3/2",
        then={"run.kind": "Evaluate", "run.evaluates": run_id(3), "run.incumbent": 1, "run.reason": COMPARED, "last_version": 3,
              "run.prefix": f"{prefix(3)}evaluations/{run_id(3, 2)[:8]}/", "candidate.verdict.reason": "IncumbentChanged",
              "history.0.verdict": "IncumbentChanged", "ModelTrained.status": "True", "ModelTrained.reason": "Evaluating",
              "ModelAccepted.status": "Unknown", "Ready.status": "True", "plan.steps.0.action": "Evaluate"}),
    row("the data that it was looked at for is not that of a training", ACCEPTED.spec(training={"image": "b"}).sees(preflight=Preflight()),
        then={"run.kind": None, "last_version": 3}, again=True),
    row("the data and a bound on regression were edited at once", known(judged(a_situation().serving(1), False)).spec(evaluation=OTHER),
        "Evaluate 3/2", then={"run.incumbent": 1, "candidate.verdict.reason": "IncumbentChanged"}),
    row("so is one whose verdict still waits for that", judged(waiting(REGRESSION), False, reason="IncumbentChanged", incumbent=2),
        "Evaluate 3/2"),
    row("without a bound on regression it makes no difference", waiting({"metrics": [{"name": "accuracy", "min": 0.9}], "approval": "Manual"}),
        then={"candidate.verdict.reason": "AwaitingApproval", "phase": "AwaitingApproval"}),
    row("one that was compared with the version that serves waits on", waiting(compared=1), then={"phase": "AwaitingApproval"}),
    row("a rejected version stays rejected", judged(waiting(), False, incumbent=2), then={"candidate.verdict.reason": "Rejected"}),
    row("an accepted one that a pin holds back stays accepted",
        judged(a_situation(evaluation=REGRESSION, serving={"pinnedVersion": 1}).serving(1), True, incumbent=2),
        then={"candidate.verdict.reason": "Accepted", "served.target.version": 1}),
    row("nothing is evaluated before a rollout under way is over: another version may serve then",
        waiting().serving(1, target=2, since=30), then={"candidate.verdict.reason": "AwaitingApproval"}),
    row("the version that serves again by then is the one it was compared with: it is judged as it was",
        judged(waiting(serves=2), False, reason="IncumbentChanged", incumbent=2, metrics={"accuracy": 0.95}),
        then={"candidate.verdict.reason": "AwaitingApproval"}, events=["ApprovalNeeded"]),
    row("a suspended resource starts no evaluation", waiting().suspended(), then={"run.kind": None}),
    row("an edit of the training comes first", known(waiting()).spec(training={"parameters": {"epochs": 2}}), "SubmitRun 4/1",
        then={"run.kind": None, "last_version": 4}),
    row("a version that was not trained from what is asked for now is left as it is",
        waiting().with_run("Failed", 4, failures=3), then={"candidate.verdict.reason": "AwaitingApproval", "run.version": 4}),
    row("a version whose files are gone cannot be evaluated: another one is trained", waiting().sees(preflight=UNUSABLE),
        then={"last_training_hash": "", "candidate.verdict.reason": "IncumbentChanged"}, wake=0),
    row("what is missing outside is waited for, as before any run",
        waiting().sees(preflight=Preflight((problem("DataNotFound"),))), then={"run.kind": None, "Ready.reason": "DataNotFound"}, again=True),
    row("only the data that it is evaluated on was edited: the version that serves is evaluated on it, alone",
        ACCEPTED.spec(evaluation=OTHER), "Evaluate 3/2",
        then={"run.incumbent": None, "candidate.verdict.reason": "Accepted", "served.version": 3,
              "run.reason": "evaluates version 3 on other data: evaluation.data.uri absent -> s3://datasets/other/"}),
    row("that is foreseen while something is missing outside", ACCEPTED.spec(evaluation=OTHER).sees(preflight=Preflight((problem(),))),
        then={"run.kind": None, "plan.changes.0.hash": "evaluation", "plan.steps.0.action": "Evaluate"}, again=True),
    row("so is one that was rejected on the data before, against the version that serves",
        known(judged(a_situation(evaluation=REGRESSION).serving(1), False, incumbent=1)).spec(evaluation=OTHER), "Evaluate 3/2",
        then={"run.incumbent": 1, "candidate.verdict.reason": "Rejected"}),
    row("a training input was edited with it: a new version",
        ACCEPTED.spec(evaluation=OTHER, training={"parameters": {"epochs": 2}}), "SubmitRun 4/1"),
    row("a retrain was asked for with it: a new version", ACCEPTED.spec(evaluation=OTHER).annotated(retrain="now"), "SubmitRun 4/1"),
    row("a status that does not know the inputs of the last run trains",
        judged(a_situation(evaluation=REGRESSION), True).serving(3).spec(evaluation=OTHER), "SubmitRun 4/1"),
    row("a version that failed to serve is not worth it: a new version",
        known(judged(a_situation(evaluation=REGRESSION).serving(1), False, reason="FailedToServe")).spec(evaluation=OTHER), "SubmitRun 4/1"),
]  # fmt: skip


@table(DUE)
def test_due(given: Row) -> None:
    follows(given)


def test_a_version_that_cannot_be_evaluated_is_followed_by_a_new_one_that_says_why() -> None:
    asked = waiting().sees(preflight=UNUSABLE).after().sees(preflight=READY_TO_RUN)
    why = "version 3 cannot be evaluated again (saved_model.pb is missing): another one is trained"
    follows(row("", asked, "SubmitRun 4/1", then={"run.kind": None, "run.reason": why}))


BEFORE = judged(waiting(), False, reason="IncumbentChanged", incumbent=2)
EVALUATED = Evaluated(
    run_id=run_id(3, 2),
    attempt=2,
    digest="digest-of-evaluation",
    training_hash=training_hash(BEFORE.resource),
)

READ = [
    row("the verdict is made of the new numbers, and a person is asked about them",
        evaluating(BEFORE).sees(result=found()),
        then={"candidate.verdict.reason": "AwaitingApproval", "candidate.verdict.checks.0.incumbent": 0.94, "candidate.evaluation": EVALUATED,
              "candidate.incumbent.version": 1, "candidate.result_digest": "digest-3", "candidate.run_id": run_id(3),
              "history.0.evaluation": EVALUATED, "history.0.incumbent": 1, "phase": "AwaitingApproval"}, events=["ApprovalNeeded"]),
    row("a version that is good enough beside the one that serves is served",
        evaluating(BEFORE.spec(evaluation=REGRESSION)).sees(result=found()), "ApplyCandidate 3 over nothing",
        then={"candidate.verdict.reason": "Accepted", "served.target.version": 3, "served.target.result_digest": "digest-3",
              "served.target.metrics": {"accuracy": 0.95}}, events=["VersionAccepted"]),
    row("one that is not is rejected", evaluating(BEFORE).sees(result=found(incumbent_metrics={"accuracy": 0.99})),
        then={"candidate.verdict.reason": "Rejected", "served.target.version": 1}, events=["VersionRejected"]),
    row("yet another version serves by then: once more", evaluating(BEFORE.serving(2), incumbent=1).sees(result=found()), "Evaluate 3/3",
        then={"run.incumbent": 2, "candidate.verdict.reason": "IncumbentChanged"}),
    row("it serves itself by then, pinned: judged as what it is", evaluating(BEFORE.serving(3)).sees(result=found()),
        then={"candidate.verdict.reason": "Accepted", "served.target.version": 3}, events=["VersionAccepted"]),
    row("it could not be served meanwhile: no numbers bring it back",
        evaluating(judged(a_situation(evaluation=REGRESSION).serving(1), False, reason="FailedToServe")).sees(result=found()),
        then={"run.state": "Stopped", "candidate.verdict.reason": "FailedToServe", "candidate.evaluation": None, "served.target.version": 1}),
    row("what nobody can read is waited for", evaluating(BEFORE).sees(result=None), then={"candidate.evaluation": None}, wake=0),
    row("a file that does not hold is a failed run", evaluating(BEFORE).sees(result=problem("NoResult")),
        then={"run.state": "Failed", "run.failures": 1, "candidate.verdict.reason": "IncumbentChanged", "phase": "Training"},
        events=["RunFailed"], wake=30),
    row("a run that compared with another version than it was told to has failed", evaluating(BEFORE).sees(result=found(incumbent=2, )),
        then={"run.state": "Failed", "run.failures": 1}, events=["RunFailed"]),
    row("the training was edited while it ran: not judged, and a new version",
        evaluating(BEFORE).spec(training={"parameters": {"epochs": 2}}).sees(result=found()), "SubmitRun 4/1",
        then={"run.kind": None, "candidate.evaluation": None}),
    row("numbers on other data are noted as the answer to the edit",
        evaluating(ACCEPTED.spec(evaluation=OTHER), incumbent=None).sees(result=found(incumbent=None, metrics={"accuracy": 0.5})),
        then={"candidate.verdict.reason": "Rejected", "served.version": 3, "Ready.status": "True", "Ready.reason": "Rejected",
              "last_training_hash": training_hash(ACCEPTED.spec(evaluation=OTHER).resource), "plan.steps.0.action": "Nothing"},
        events=["VersionRejected"], wake=None),
]  # fmt: skip


@table(READ)
def test_read(given: Row) -> None:
    follows(given)


def served_on_other_data() -> Situation:
    """Version 3 serves; it was made before the data that it is evaluated on was edited, and evaluated on that since."""
    edited = ACCEPTED.spec(evaluation=OTHER)
    seen = edited.resource.status
    by = EVALUATED.changed(training_hash=training_hash(edited.resource))
    return edited.status(
        candidate=seen.candidate.changed(evaluation=by) if seen.candidate else None,
        history=[one.changed(evaluation=by) for one in seen.history],
        last_training_hash=by.training_hash,
    )


FAILED = evaluating(BEFORE, "Failed", failures=1).sees(preflight=READY_TO_RUN)

TRIED = [
    row("an evaluation that failed is tried again after a pause", FAILED, wake=30),
    row("with the next attempt's id", FAILED.later(30), "Evaluate 3/3", then={"run.failures": 1, "run.attempt": 3}),
    row("one that failed as often as it may is given up, and the version has no verdict",
        evaluating(BEFORE, "Failed", failures=3),
        then={"run.attempt": 2, "ModelTrained.status": "False", "ModelTrained.reason": "RetriesExhausted", "Ready.status": "True",
              "phase": "Serving", "plan.steps.0.action": "Nothing"}, wake=None),
    row("against another version it begins anew", evaluating(judged(BEFORE.serving(2), False, reason="IncumbentChanged", incumbent=4),
        "Failed", failures=3), "Evaluate 3/3", then={"run.failures": 0, "run.incumbent": 2}),
    row("one that is not needed any more is not tried again",
        evaluating(BEFORE, "Failed", failures=1).spec(evaluation={"metrics": [{"name": "accuracy", "min": 0.99}]}),
        then={"run.attempt": 2, "ModelTrained.status": "True", "candidate.verdict.reason": "Rejected"}, events=["VersionRejected"]),
    row("one that was stopped by an edit that was taken back begins again, and trains nothing",
        evaluating(BEFORE, "Stopped", superseded=True), "Evaluate 3/3"),
    row("an edit of the training was taken back: the version that was evaluated on what is asked for now serves on",
        served_on_other_data().with_run("Stopped", 4, superseded=True, training_hash="of-the-edit"),
        then={"run.version": 4, "ModelTrained.reason": "Trained"}, wake=None),
    row("the edit of the data that it is evaluated on is taken back: what was found before holds",
        evaluating(ACCEPTED, "Stopped", superseded=True, training_hash="of-other-data"), then={"candidate.verdict.reason": "Accepted"}),
]  # fmt: skip


@table(TRIED)
def test_tried(given: Row) -> None:
    follows(given)


def test_the_edit_of_the_evaluation_data_stops_an_evaluation_on_the_data_before() -> None:
    going = evaluating(ACCEPTED.spec(evaluation=OTHER), "Running", incumbent=None).sees(
        run=KfpRun(run_id(3, 2), "RUNNING"), workflow_phase="Running"
    )
    edited = going.spec(evaluation={**REGRESSION, "data": {"uri": "s3://datasets/third/"}})
    follows(row("", edited, "TerminateRun 3/2", then={"run.state": "Stopping", "run.superseded": True}))


@pytest.mark.parametrize("state", ["Submitting", "Running"])
def test_a_run_that_evaluates_is_known_again_by_its_description(state: str) -> None:
    run = evaluating(BEFORE, state).resource.status.run
    assert run is not None
    again = described(KfpRun(run.id, "RUNNING", (), describe(run)))
    assert again is not None
    assert (again.kind, again.evaluates, again.incumbent) == ("Evaluate", run_id(3), 1)


def test_the_approval_names_the_numbers_that_were_found_last() -> None:
    asked = evaluating(BEFORE).sees(result=found()).decide()
    assert '"3@digest-o"' in asked.notes[0].message
    after = evaluating(BEFORE).sees(result=found()).after()
    old = after.annotated(approve="3@digest-3").decide()
    assert [note.reason for note in old.notes] == ["ApprovalIgnored"]
    new = after.annotated(approve="3@digest-o")
    follows(row("", new, "ApplyCandidate 3 over nothing", then={"candidate.verdict.reason": "Approved"}, events=["VersionAccepted"]))  # fmt: skip


def test_an_evaluation_is_submitted_once_followed_read_and_then_nothing_is_due() -> None:
    situation, actions = BEFORE, []
    for state, result in ((None, None), ("RUNNING", None), ("SUCCEEDED", None), ("SUCCEEDED", found())):
        run = KfpRun(run_id(3, 2), state) if state else None
        situation = situation.sees(run=run, result=result, workflow_phase="Running").later(20)
        actions += [words(one) for one in situation.decide().actions if not isinstance(one, WriteRecord)]
        situation = situation.after()
    assert actions == ["Evaluate 3/2"]
    status = situation.resource.status
    assert (at(status, "candidate.verdict.reason"), status.last_version) == ("AwaitingApproval", 3)
    follows(row("", situation, then={"run.attempt": 2, "plan.steps.0.action": "Wait"}))
