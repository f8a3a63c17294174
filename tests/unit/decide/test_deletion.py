"""What must end before a resource may go."""

from __future__ import annotations

import pytest

from tests.unit.builders import (
    NOW,
    READY_TO_RUN,
    SILENT,
    Situation,
    a_deployment,
    a_situation,
    a_target,
    run_id,
    seconds,
)
from tests.unit.decide.table import Row, follows, row, table
from trainandserve import names
from trainandserve.observation import ABSENT, KfpRun, Workflow
from trainandserve.plan import RemoveFinalizer

idle = a_situation()
FLOW = Workflow("kubeflow", "train-x", run_id(1), "Running")
OTHER = run_id(1, 2)
GHOST = Workflow("kubeflow", "ghost", OTHER, "Running")


def running(**seen: object) -> Situation:
    return idle.with_run("Running").sees(**seen)


def submitting(ago: float) -> Situation:
    return (
        idle.with_run("Submitting", submitted_at=NOW - seconds(ago)).deleting().sees(run=ABSENT, workflows=())
    )


served = idle.judged(1).serving(1)
orphaned = a_situation(serving={"deletionPolicy": "Orphan"}).judged(1).serving(1)
emptied = a_situation(storage={"uri": "s3://models/", "deletionPolicy": "Delete"})
abandoned = idle.abandoned(OTHER).deleting()

DELETION = [
    row("a resource with nothing goes at once", idle.deleting(), "RemoveFinalizer", wake=None),
    row("one that was never greeted goes as well", idle.status(conditions=[], last_version=None).deleting(), "RemoveFinalizer"),
    row("without our finalizer nothing is done", served.metadata(finalizers=["other"]).deleting()),
    row("a suspended one goes as well", idle.suspended().deleting(), "RemoveFinalizer"),
    row("a run that is over holds nothing", idle.with_run("Failed").deleting(), "RemoveFinalizer"),
    row("a run that succeeded is not judged any more", idle.with_run("Succeeded").deleting(), "RemoveFinalizer", then={"candidate": None}),
    row("a run that is due is not started", idle.sees(preflight=READY_TO_RUN).deleting(), "RemoveFinalizer", then={"run": None}),
    row("a run under way is stopped", running().kfp_says("RUNNING").deleting(), "TerminateRun 1/1", then={"run.state": "Stopping"}, wake=2),
    row("also when it was not looked at", running().deleting(), "TerminateRun 1/1", then={"run.state": "Stopping"}),
    row("one that is over lets go", running().kfp_says("SUCCEEDED").deleting(), "RemoveFinalizer"),
    row("one without a Workflow lets go", running(workflows=()).kfp_says("RUNNING").deleting(), "RemoveFinalizer"),
    row("one that is stopping is waited for", idle.with_run("Stopping").kfp_says("CANCELING").sees(workflows=(FLOW,)).deleting(),
        "TerminateRun 1/1", wake=2),
    row("a Workflow without a run is deleted", idle.with_run("Stopping").sees(run=ABSENT, workflows=(FLOW,)).deleting(), "DeleteWorkflow train-x"),
    row("a submission without a trace is waited for", submitting(59), wake=2),
    row("for exactly 60 s", submitting(60), "RemoveFinalizer"),
    row("one that arrives is stopped", submitting(10).kfp_says("RUNNING").sees(workflows=None), "TerminateRun 1/1", then={"run.state": "Stopping"}),
    row("a Workflow that it left is deleted after the patience", submitting(60).sees(workflows=(FLOW,)), "DeleteWorkflow train-x"),
    row("a silent Kubeflow Pipelines is waited for", running(run=SILENT, workflows=SILENT).deleting(since=599), "TerminateRun 1/1",
        then={"run.state": "Stopping"}),
    row("for exactly ten minutes, then it is let go with a warning", running(run=SILENT, workflows=SILENT).deleting(since=600),
        "RemoveFinalizer", events=["CleanupSkipped"]),
    row("and what serves is still taken down first",
        running(run=SILENT).sees(inference_service=served.service(a_target(1))).deleting(since=600), "DeleteInferenceService",
        wake=2),
    row("a Kubeflow Pipelines that answers is waited for longer", running(workflows=(FLOW,)).kfp_says("RUNNING").deleting(since=9999),
        "TerminateRun 1/1"),
    row("a run that was given up and goes on is stopped", abandoned.sees(abandoned_runs={OTHER: KfpRun(OTHER, "RUNNING")}), "TerminateRun 1/2",
        wake=2),
    row("a Workflow that was given up is deleted", abandoned.sees(abandoned_runs={OTHER: ABSENT}, abandoned_workflows=(GHOST,)),
        "DeleteWorkflow ghost", wake=2),
    row("a run that was given up and vanished does not hold the resource for ever",
        abandoned.sees(abandoned_runs={OTHER: KfpRun(OTHER, "CANCELING")}), "RemoveFinalizer"),
    row("one that is over does not either", abandoned.sees(abandoned_runs={OTHER: KfpRun(OTHER, "FAILED")}), "RemoveFinalizer"),
    row("nor one without a trace", abandoned.sees(abandoned_runs={OTHER: ABSENT}), "RemoveFinalizer"),
    row("one of which nobody knows is waited for", abandoned.sees(abandoned_runs={OTHER: SILENT}), wake=2),
    row("for ten minutes as well", idle.abandoned(OTHER).deleting(since=600).sees(abandoned_runs={OTHER: SILENT}), "RemoveFinalizer",
        events=["CleanupSkipped"]),
    row("what serves is deleted", served.deleting(), "DeleteInferenceService", wake=2),
    row("and waited for", served.sees(inference_service=served.service(a_target(1), deletionTimestamp="2026-11-20T12:00:00Z")).deleting(),
        wake=2),
    row("then it goes", served.sees(inference_service=ABSENT, deployment=ABSENT).deleting(), "RemoveFinalizer"),
    row("nobody knows what serves: wait", served.sees(inference_service=SILENT).deleting(), again=True),
    row("what is not ours is left alone",
        served.sees(inference_service=served.service(a_target(1), ownerReferences=[{"uid": "x", "controller": True}])).deleting(), "RemoveFinalizer"),
    row("an orphan is released", orphaned.deleting(), "ReleaseInferenceService", wake=2),
    row("and outlives the resource", orphaned.sees(inference_service=orphaned.service(a_target(1), ownerReferences=[])).deleting(), "RemoveFinalizer"),
    row("the versions stay by default", idle.deleting(), "RemoveFinalizer"),
    row("and go where that is asked for", emptied.deleting(), "DeleteVersions", "RemoveFinalizer"),
    row("but not before the run has stopped", emptied.with_run("Running").kfp_says("RUNNING").deleting(), "TerminateRun 1/1"),
    row("nor before what serves is gone", emptied.judged(1).serving(1).deleting(), "DeleteInferenceService"),
]  # fmt: skip


@table(DELETION)
def test_deletion(given: Row) -> None:
    follows(given)


@pytest.mark.parametrize("given", DELETION, ids=[one.says for one in DELETION])
def test_the_finalizer_always_goes_last_and_nothing_waits_without_a_reason_to_wake(given: Row) -> None:
    plan = given.situation.decide()
    removals = [n for n, action in enumerate(plan.actions) if isinstance(action, RemoveFinalizer)]
    assert removals in ([], [len(plan.actions) - 1])
    held = names.FINALIZER in given.situation.resource.metadata.finalizers
    assert removals or not held or plan.wake is not None or plan.again


def test_a_deleted_resource_keeps_what_it_knows_until_the_end() -> None:
    situation = served.with_run("Running", 2).kfp_says("RUNNING").sees(deployment=a_deployment(1)).deleting()
    before, after = situation.resource.status, situation.decide().status
    assert (after.served, after.candidate, after.history) == (before.served, before.candidate, before.history)


def test_a_deletion_says_what_it_waits_for() -> None:
    plan = running(run=KfpRun(run_id(1), "RUNNING"), workflows=(FLOW,)).deleting().decide()
    ready = plan.status.condition("Ready")
    assert ready and (ready.status, ready.reason) == ("False", "Deleting")
    assert "waits for its run to stop" in ready.message
