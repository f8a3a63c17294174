"""What becomes of a run that is under way."""

from __future__ import annotations

import pytest

from tests.unit.builders import (
    NOW,
    READY_TO_RUN,
    SILENT,
    Situation,
    a_deployment,
    a_result,
    a_situation,
    at,
    problem,
    run_id,
    seconds,
)
from tests.unit.decide.table import Row, follows, row, table
from trainandserve.observation import ABSENT, KfpRun, RunPods, Workflow
from trainandserve.plan import SubmitRun

RUN = run_id(1)
FLOW = Workflow("kubeflow", "train-x", RUN, "Running")


def submitting(ago: float, **fields: object) -> Situation:
    """A submission that was stored so many seconds ago, found by another pass."""
    return (
        a_situation().sees(preflight=None).with_run("Submitting", submitted_at=NOW - seconds(ago), **fields)
    )


def gone(situation: Situation, *flows: Workflow) -> Situation:
    """Kubeflow Pipelines knows no such run, and a live list shows these Workflows."""
    return situation.sees(run=ABSENT, workflows=flows)


SUBMITTING = [
    row("a submission that arrived is adopted", submitting(10).kfp_says("RUNNING"),
        then={"run.state": "Running", "run.started_at": NOW}, events=["RunStarted"]),
    row("a run without a state is pending: adopted as well", submitting(10).kfp_says(""), then={"run.state": "Running"},
        events=["RunStarted"]),
    row("one that arrived after the patience is adopted as well", submitting(3600).kfp_says("PENDING"),
        then={"run.state": "Running"}, events=["RunStarted"]),
    row("one that is over already is adopted and latched", submitting(10).kfp_says("SUCCEEDED"),
        then={"run.state": "Succeeded"}, events=["RunStarted", "RunSucceeded"]),
    row("no trace yet: wait", gone(submitting(59)), then={"run.state": "Submitting"}, wake=5),
    row("no trace after exactly 60 s: given up, nobody's failure", gone(submitting(60)),
        then={"run.state": "Lost", "run.failures": 0, "abandoned.0.id": RUN, "abandoned.0.since": NOW}),
    row("no trace after an uncertain answer counts as a failure", gone(submitting(60, message="no answer")),
        then={"run.state": "Lost", "run.failures": 1}, events=["RunFailed"]),
    row("a Workflow without a run is left alone during the patience", gone(submitting(59), FLOW), then={"run.state": "Submitting"}),
    row("and deleted after it", gone(submitting(60), FLOW), "DeleteWorkflow train-x",
        then={"run.state": "Lost", "abandoned.0.id": RUN}),
    row("an unknown run never gives up", submitting(9999).sees(run=SILENT, workflows=()), then={"run.state": "Submitting"}),
    row("an unknown list never gives up", submitting(9999).sees(run=ABSENT, workflows=SILENT), then={"run.state": "Submitting"}),
    row("a list that nobody asked for never gives up", submitting(9999).sees(run=ABSENT), then={"run.state": "Submitting"}),
    row("new inputs stop a submission once it is found",
        submitting(10).spec(training={"image": "b"}).kfp_says("RUNNING"), f"TerminateRun {'1/1'}",
        then={"run.state": "Stopping", "run.superseded": True}, events=["RunStarted"]),
]  # fmt: skip


@table(SUBMITTING)
def test_submitting(given: Row) -> None:
    follows(given)


def test_a_given_up_submission_is_followed_by_another_attempt_with_another_id() -> None:
    lost = gone(submitting(60)).after().sees(preflight=READY_TO_RUN)
    plan = lost.later(5).decide()
    assert [type(action) for action in plan.actions] == [SubmitRun]
    assert at(plan.status, "run.id") == run_id(1, 2)
    assert at(plan.status, "abandoned.0.id") == run_id(1, 1)


running = a_situation().sees(preflight=None).with_run("Running")
training = running.kfp_says("RUNNING", "download:SUCCEEDED", "train:RUNNING", "train-driver:SUCCEEDED")
stuck = RunPods(trouble=problem("RunStuck"))
waits = RunPods(trouble=problem("RunStuck"), waits_for_node=True)


def timed(timeout: str, started: float) -> Situation:
    """The train step began so many seconds ago, with that timeout."""
    now_training = a_situation(training={"timeout": timeout}).sees(preflight=None)
    begun = NOW - seconds(started)
    return now_training.with_run(
        "Running", step="train", train_started_at=begun, started_at=NOW - seconds(9 * 3600)
    ).kfp_says("RUNNING", "train:RUNNING")


RUNNING = [
    row("progress is counted in the pipeline's own steps", training, then={"run.progress": "1/4", "run.step": "train"}),
    row("a held-out data set is a step of its own",
        a_situation(evaluation={"data": {"uri": "s3://held/out/"}}).with_run("Running").kfp_says("RUNNING", "download:SUCCEEDED"),
        then={"run.progress": "1/5"}),
    row("a cached step is done", running.kfp_says("RUNNING", "download:SKIPPED", "train:RUNNING"), then={"run.progress": "1/4"}),
    row("a run that succeeded is latched", running.kfp_says("SUCCEEDED"), then={"run.state": "Succeeded", "run.finished_at": NOW},
        events=["RunSucceeded"], wake=0),
    row("a run that failed counts", running.kfp_says("FAILED"), then={"run.state": "Failed", "run.failures": 1}, events=["RunFailed"],
        wake=30),
    row("a cancelled run counts as failed", running.kfp_says("CANCELED"), then={"run.state": "Failed"}, events=["RunFailed"]),
    row("a skipped run counts as failed", running.kfp_says("SKIPPED"), then={"run.state": "Failed"}, events=["RunFailed"]),
    row("the failing step is named", running.kfp_says("FAILED").sees(run_pods=RunPods(failure="step train failed: no GPU")),
        then={"run.message": "step train failed: no GPU"}, events=["RunFailed"]),
    row("a run that Kubeflow Pipelines does not know is looked for", running.sees(run=ABSENT, workflows=(FLOW,)),
        then={"run.state": "Running", "run.missing_since": None}),
    row("a first look without a Workflow notes the time", running.kfp_says("RUNNING").sees(workflows=()),
        then={"run.state": "Running", "run.missing_since": NOW}, wake=60),
    row("neither run nor Workflow notes it as well", running.sees(run=ABSENT, workflows=()), then={"run.missing_since": NOW}),
    row("a silent Kubeflow Pipelines proves nothing", running.sees(run=SILENT, workflows=()),
        then={"run.state": "Running", "run.missing_since": None}, again=True),
    row("new inputs stop the run", running.kfp_says("RUNNING").spec(training={"image": "b"}), "TerminateRun 1/1",
        then={"run.state": "Stopping", "run.superseded": True}, wake=5),
    row("a run that is superseded when it succeeds does not count",
        running.kfp_says("SUCCEEDED").spec(training={"image": "b"}), then={"run.state": "Stopped"}),
    row("a suspended resource lets its run finish", running.kfp_says("RUNNING").spec(training={"image": "b"}, suspend=True),
        then={"run.state": "Running", "phase": "Suspended"}),
    row("and latches it", running.kfp_says("SUCCEEDED").suspended(), then={"run.state": "Succeeded"}, events=["RunSucceeded"]),
    row("the timeout counts from the train step's start", timed("1h", 3661), "TerminateRun 1/1", then={"run.state": "Stopping"}),
    row("with a minute's grace", timed("1h", 3660), then={"run.state": "Running"}),
    row("the default timeout is a day",
        a_situation().sees(preflight=None).with_run("Running", step="train", train_started_at=NOW - seconds(86461))
        .kfp_says("RUNNING", "train:RUNNING"), "TerminateRun 1/1"),
    row("waiting before the train step does not count",
        a_situation(training={"timeout": "1m"}).sees(preflight=None).with_run("Running").kfp_says("RUNNING", "train:RUNNING"),
        then={"run.state": "Running"}),
    row("a step after the train step is not timed", timed("1h", 9999).kfp_says("RUNNING", "train:SUCCEEDED", "evaluate:RUNNING"),
        then={"run.state": "Running", "run.step": "evaluate"}),
    row("an image that cannot be pulled is said", running.kfp_says("RUNNING").sees(run_pods=stuck),
        then={"run.message": problem().message, "ModelTrained.reason": "RunStuck", "run.state": "Running"}),
    row("and ends the run after the timeout",
        a_situation(training={"timeout": "1m"}).sees(preflight=None).with_run("Running").kfp_says("RUNNING").sees(run_pods=stuck),
        "TerminateRun 1/1", then={"run.state": "Stopping"}),
    row("waiting for a node is said", running.kfp_says("RUNNING").sees(run_pods=waits), then={"ModelTrained.reason": "RunStuck"}),
    row("and never ends the run",
        a_situation(training={"timeout": "1m"}).sees(preflight=None).with_run("Running").kfp_says("RUNNING").sees(run_pods=waits),
        then={"run.state": "Running"}),
    row("the train step's start is taken from its pod",
        training.sees(run_pods=RunPods(train_started_at=NOW - seconds(7))), then={"run.train_started_at": NOW - seconds(7)}),
]  # fmt: skip


@table(RUNNING)
def test_running(given: Row) -> None:
    follows(given)


@pytest.mark.parametrize("state", ["", "PENDING", "RUNNING", "CANCELING", "PAUSED", "SOMETHING_NEW"])
def test_a_run_in_no_last_state_goes_on(state: str) -> None:
    plan = running.kfp_says(state).decide()
    assert at(plan.status, "run.state") == "Running"
    assert plan.wake is not None and NOW < plan.wake <= NOW + seconds(600)


missing = a_situation().sees(preflight=None).with_run("Running", missing_since=NOW - seconds(60))

LOST = [
    row("59 s without a Workflow are not enough",
        a_situation().with_run("Running", missing_since=NOW - seconds(59)).kfp_says("RUNNING").sees(workflows=()),
        then={"run.state": "Running"}, wake=1),
    row("after 60 s without a result the run is lost",
        missing.kfp_says("RUNNING").sees(workflows=(), result=problem("NoResult")),
        then={"run.state": "Lost", "run.failures": 1, "abandoned.0.id": RUN}, events=["RunFailed"]),
    row("a result that is there counts",
        missing.kfp_says("RUNNING").sees(workflows=(), result=a_result(1)), "Apply 1 over nothing",
        then={"run.state": "Succeeded", "candidate.version": 1, "candidate.verdict.accepted": True},
        events=["VersionAccepted"]),
    row("a result that nobody can read decides nothing", missing.kfp_says("RUNNING").sees(workflows=(), result=SILENT),
        then={"run.state": "Running", "run.missing_since": NOW - seconds(60)}, again=True),
    row("a result that nobody looked for decides nothing", missing.kfp_says("RUNNING").sees(workflows=()),
        then={"run.state": "Running"}, again=True),
    row("a Workflow that is there again clears the doubt", missing.kfp_says("RUNNING").sees(workflows=(FLOW,)),
        then={"run.missing_since": None, "run.state": "Running"}),
    row("an unknown list leaves the doubt", missing.kfp_says("RUNNING").sees(workflows=SILENT),
        then={"run.missing_since": NOW - seconds(60)}),
    row("a run that fails after all has failed", missing.kfp_says("FAILED").sees(workflows=()),
        then={"run.state": "Failed", "run.missing_since": None}, events=["RunFailed"]),
]  # fmt: skip


@table(LOST)
def test_lost(given: Row) -> None:
    follows(given)


stopping = a_situation().sees(preflight=None).with_run("Stopping", superseded=True, message="changed")
timed_out = a_situation().sees(preflight=None).with_run("Stopping", message="took too long")

STOPPING = [
    row("a run is asked to stop until it has", stopping.kfp_says("RUNNING").sees(workflows=(FLOW,)), "TerminateRun 1/1",
        then={"run.state": "Stopping"}, wake=5),
    row("a silent Kubeflow Pipelines stopped nothing", stopping.sees(run=SILENT, workflows=SILENT), "TerminateRun 1/1",
        then={"run.state": "Stopping"}),
    row("one whose inputs changed is stopped, not failed", stopping.kfp_says("FAILED"), then={"run.state": "Stopped", "run.failures": 0}),
    row("one that was too late has failed", timed_out.kfp_says("FAILED"),
        then={"run.state": "Failed", "run.failures": 1, "run.message": "took too long"}, events=["RunFailed"]),
    row("a list without a Workflow means stopped, whatever is said", stopping.kfp_says("CANCELING").sees(workflows=()),
        then={"run.state": "Stopped"}),
    row("a Workflow without a run is deleted", stopping.sees(run=ABSENT, workflows=(FLOW,)), "DeleteWorkflow train-x",
        then={"run.state": "Stopping"}),
    row("one that succeeded meanwhile stays stopped", stopping.kfp_says("SUCCEEDED"), then={"run.state": "Stopped"}),
]  # fmt: skip


@table(STOPPING)
def test_stopping(given: Row) -> None:
    follows(given)


@pytest.mark.parametrize("stored", ["Succeeded", "Failed", "Lost", "Stopped"])
@pytest.mark.parametrize("said", ["RUNNING", "FAILED", "SUCCEEDED", "", "CANCELING"])
def test_a_last_state_never_changes_whatever_is_seen(stored: str, said: str) -> None:
    situation = a_situation().sees(preflight=None).judged(1).serving(1).with_run(stored, failures=9)
    plan = situation.kfp_says(said).sees(workflows=(FLOW,)).decide()
    assert plan.status.run == situation.resource.status.run


OTHER = run_id(1, 2)
idle = a_situation().sees(preflight=None).judged(1).serving(1).sees(deployment=a_deployment(1))


def ghost(state: str, ago: float = 60) -> Situation:
    """A run that was given up is reported in that state."""
    return idle.abandoned(OTHER, ago=ago).sees(abandoned_runs={OTHER: KfpRun(OTHER, state)})


GHOST_FLOW = Workflow("kubeflow", "ghost", OTHER, "Running")

ABANDONED = [
    row("a run that was given up and appears is stopped", ghost("RUNNING").sees(abandoned_workflows=(GHOST_FLOW,)), "TerminateRun 1/2",
        then={"abandoned.0.id": OTHER}, wake=60),
    row("one that is over is forgotten", ghost("FAILED"), then={"abandoned": []}, wake=None),
    row("one that stops is not told again", ghost("CANCELING").sees(abandoned_workflows=(GHOST_FLOW,)), then={"abandoned.0.id": OTHER}, wake=60),
    row("one that stays in CANCELING without a Workflow is over: it says so for ever", ghost("CANCELING"), then={"abandoned": []}),
    row("one without a trace may still come", idle.abandoned(OTHER).sees(abandoned_runs={OTHER: ABSENT}), then={"abandoned.0.id": OTHER}, wake=60),
    row("but not after an hour", idle.abandoned(OTHER, ago=3601).sees(abandoned_runs={OTHER: ABSENT}), then={"abandoned": []}),
    row("nobody knows: it is not forgotten", idle.abandoned(OTHER, ago=9999).sees(abandoned_runs={OTHER: SILENT}),
        then={"abandoned.0.id": OTHER}),
    row("a Workflow without a run is deleted",
        idle.abandoned(OTHER).sees(abandoned_runs={OTHER: ABSENT}, abandoned_workflows=(GHOST_FLOW,)), "DeleteWorkflow ghost"),
    row("but not while nobody knows whether there is a run",
        idle.abandoned(OTHER).sees(abandoned_runs={OTHER: SILENT}, abandoned_workflows=(GHOST_FLOW,)), then={"abandoned.0.id": OTHER}),
    row("a stray Workflow under a run that is over is deleted", ghost("FAILED").sees(abandoned_workflows=(GHOST_FLOW,)), "DeleteWorkflow ghost",
        then={"abandoned.0.id": OTHER}),
    row("a run that never stops is not asked for ever", ghost("RUNNING", ago=3601), then={"abandoned": []}),
]  # fmt: skip


@table(ABANDONED)
def test_abandoned(given: Row) -> None:
    follows(given)
