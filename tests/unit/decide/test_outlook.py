"""What the status says will be done next, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.unit.builders import NOW, POLICY, Situation, a_situation, problem, run_id, seconds
from trainandserve.changes import training_fields
from trainandserve.decide.outlook import outlook
from trainandserve.names import RETRAIN
from trainandserve.observation import Preflight
from trainandserve.resource import Outlook, Rollout

FEW = {"parameters": {"epochs": 3}}
MORE = {"parameters": {"epochs": 10}}


@dataclass(frozen=True)
class Row:
    says: str
    situation: Situation
    actions: tuple[str, ...]
    words: str = ""
    """What the first step says, in part."""
    not_before: float | None = None
    deadline: float | None = None
    """Seconds from now, of the first step."""


def running(**fields: object) -> Situation:
    situation = a_situation(training=FEW).judged(1).serving(1)
    inputs = training_fields(situation.resource)
    return situation.with_run("Running", 2, inputs=inputs, **fields)


def tried(state: str = "Succeeded", version: int = 1, **fields: object) -> Situation:
    """A version serves, and the run of the newest one, whose inputs are known, ended so."""
    situation = a_situation(training=FEW).judged(1).serving(1)
    inputs = training_fields(situation.resource)
    return situation.with_run(state, version, inputs=inputs, **fields)


def proving(stage: str) -> Situation:
    """Version 2 is on its way since 30 seconds."""
    situation = a_situation().judged(2).serving(1, target=2, since=30)
    rollout = Rollout(version=2, run_id=run_id(2), stage=stage, since=NOW - seconds(30))
    return situation.status(rollout=rollout)


ROWS = [
    Row("nothing is known yet", a_situation().status(last_version=None), ("Look",), "is looked for"),
    Row("the first version is due", a_situation(), ("Train", "Judge", "RollOut"), "version 1 is trained: first version"),
    Row(
        "what it needs is missing",
        a_situation().sees(preflight=Preflight((problem(),))),
        ("Train", "Judge", "RollOut"),
        "that waits until this is put right: the bucket refuses these credentials",
    ),
    Row(
        "there is no free place",
        a_situation().sees(preflight=Preflight(slot=False)),
        ("Train", "Judge", "RollOut"),
        "that waits for a free place among the runs",
    ),
    Row("a run is being submitted", tried("Submitting", 2), ("Train", "Judge", "RollOut"), "is being submitted", deadline=-240),
    Row("a run is under way", running(), ("Train", "Judge", "RollOut"), "is under way as run"),
    Row(
        "the train step has a deadline",
        running(step="train", train_started_at=NOW - seconds(60)).spec(training=FEW | {"timeout": "10m"}),
        ("Train", "Judge", "RollOut"),
        "is under way",
        deadline=600,
    ),
    Row(
        "the inputs change while a run is on",
        running().spec(training=MORE),
        ("Stop", "Train", "Judge", "RollOut"),
        "the run of version 2 is stopped: the training inputs changed: training.parameters.epochs 3 -> 10",
    ),
    Row(
        "a run takes too long and is being stopped",
        tried("Stopping", 2, message="the train step took too long"),
        ("Stop", "Train", "Judge", "RollOut"),
        "the train step took too long",
    ),
    Row("a result is to be read", tried("Succeeded", 2), ("Judge", "RollOut"), "accuracy min 0.9"),
    Row(
        "a run failed and is tried again",
        tried("Failed", 2, failures=1),
        ("Train", "Judge", "RollOut"),
        "version 2, attempt 2, is trained: again, attempt 1 ended as Failed",
        not_before=30,
    ),
    Row("every run failed", tried("Failed", 2, failures=3), ("Nothing",), "every run for version 2 failed"),
    Row("a version serves and nothing is due", tried(), ("Nothing",), "nothing is due"),
    Row("a version was turned down", a_situation().judged(1, accepted=False), ("Nothing",), "version 1 was turned down"),
    Row(
        "an input changed",
        tried().spec(training=MORE),
        ("Train", "Judge", "RollOut"),
        "version 2 is trained: the training inputs changed: training.parameters.epochs 3 -> 10",
    ),
    Row(
        "a version is proven apart",
        proving("Proving"),
        ("Prove",),
        "version 2 is proven without users, then it replaces version 1; if it cannot be proven, version 1 stays",
        deadline=270,
    ),
    Row(
        "a proven version is brought before users",
        proving("Promoting"),
        ("RollOut",),
        "brought before users and proven there; if that fails, version 1 is applied again",
        deadline=270,
    ),
    Row("the first version comes up", a_situation().judged(1).rolling_to(1), ("RollOut",), "it is taken down", deadline=270),
    Row("it is suspended at rest", tried().spec(training=FEW, suspend=True), ("Wait",), "suspended"),
    Row(
        "it is suspended and an input changed",
        tried().spec(training=MORE, suspend=True),
        ("Wait", "Train", "Judge", "RollOut"),
        "suspended",
    ),
    Row("it is suspended while a run is on", running().suspended(), ("Train", "Wait"), "is under way"),
]  # fmt: skip


def foreseen(situation: Situation) -> Outlook:
    return outlook(situation.observation(), situation.resource.status)


@pytest.mark.parametrize("given", ROWS, ids=[one.says for one in ROWS])
def test_next_steps(given: Row) -> None:
    found = foreseen(given.situation)
    assert tuple(step.action for step in found.steps) == given.actions
    first = found.steps[0]
    assert given.words in first.message
    assert first.not_before == (None if given.not_before is None else NOW + seconds(given.not_before))
    assert first.deadline == (None if given.deadline is None else NOW + seconds(given.deadline))


def test_it_lists_the_fields_that_changed_and_how_many_more_there_are() -> None:
    many = {"parameters": {f"p{i:02}": i for i in range(20)}}
    found = foreseen(tried().spec(training=many))
    assert len(found.changes) == 16 and found.further_changes == 5
    first = found.changes[0]
    assert (first.field, first.hash, first.before, first.after) == (
        "training.parameters.epochs",
        "training",
        "3",
        None,
    )


def test_a_retrain_is_said_with_its_annotation() -> None:
    situation = tried().metadata(annotations={RETRAIN: "again"})
    found = foreseen(situation)
    assert "asked for by the retrain annotation" in found.steps[0].message
    assert [one.field for one in found.changes] == [f"metadata.annotations[{RETRAIN}]"]


def test_the_reason_of_a_run_names_what_changed() -> None:
    run = tried().spec(training=MORE).decide().status.run
    assert run is not None and run.version == 2
    assert run.reason == "the training inputs changed: training.parameters.epochs 3 -> 10"


@pytest.mark.parametrize("given", ROWS, ids=[one.says for one in ROWS])
def test_the_passing_of_time_alone_changes_nothing(given: Row) -> None:
    later = given.situation.later(timedelta(hours=3).total_seconds())
    assert foreseen(later) == foreseen(given.situation)


def test_the_operator_stores_it_and_then_has_nothing_to_write() -> None:
    settled = tried().after()
    assert settled.resource.status.plan is not None
    assert settled.later(3600).decide().status == settled.resource.status


def test_a_resource_that_is_being_deleted_has_no_outlook() -> None:
    status = running().after().deleting().decide().status
    assert status.plan is None


def test_times_come_from_the_operator_s_settings() -> None:
    found = foreseen(tried("Failed", 2, failures=2))
    assert found.steps[0].not_before == NOW + 2 * POLICY.run_backoff


def test_a_version_that_waits_for_a_person_is_waited_for_and_what_to_write_is_said() -> None:
    by_hand = {"metrics": [{"name": "accuracy", "min": 0.9}], "approval": "Manual"}
    held = a_situation(evaluation=by_hand).sees(preflight=None).judged(1).serving(1)
    waits = held.judged(2, accepted=False, reason="AwaitingApproval")
    [step] = waits.after().resource.status.plan.steps  # type: ignore[union-attr]
    assert (step.action, step.version) == ("Wait", 2)
    assert 'trainandserve.io/approve: "2@digest-2"' in step.message


def test_a_version_that_is_trained_while_another_is_pinned_is_not_said_to_replace_it() -> None:
    pinned = a_situation().sees(preflight=None).judged(1).serving(1).pinned(1).with_run("Running", 2)
    last = pinned.kfp_says("RUNNING").after().resource.status.plan.steps[-1]  # type: ignore[union-attr]
    assert (last.action, last.version) == ("Wait", 2)
    assert "version 1 is pinned" in last.message
