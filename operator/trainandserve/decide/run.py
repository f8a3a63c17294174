"""What has become of the run under way?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .. import reasons
from ..durations import format_duration
from ..hashes import training_hash
from ..observation import ABSENT, KfpRun, Observation, Result, Unknown
from ..plan import Action, DeleteWorkflow, Note, Plan, TerminateRun
from ..resource import Abandoned, Run, Status, TrainAndServe
from .description import described

ACTIVE = ("Submitting", "Running", "Stopping")
ENDED = ("Succeeded", "Failed", "Error")
"""Phases of a Workflow that is over."""

_DEFAULT_TIMEOUT = timedelta(hours=24)
_TIMEOUT_GRACE = timedelta(seconds=60)
_LOOK_AGAIN = timedelta(seconds=5)
_SAFETY = timedelta(minutes=1)


def active(status: Status) -> bool:
    """Whether a run is under way, or may be."""
    return status.run is not None and status.run.state in ACTIVE


def follow_run(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Bring the stored run up to what was seen of it. A terminal state is kept once stored, whatever comes later."""
    run = plan.status.run
    if run is None:
        return plan
    match run.state:
        case "Submitting":
            return _look_for_submission(seen, plan, run, now)
        case "Running":
            return _follow(seen, plan, run, now)
        case "Stopping":
            return _see_stopped(seen, plan, run, now)
    return plan


def finished(plan: Plan, run: Run, now: datetime, *, failed: bool = False, **fields: Any) -> Plan:
    """The plan with the run in a terminal state; `failed` counts it as one of the failures for its version."""
    run = run.changed(finished_at=now, step=None, missing_since=None, **fields)
    run = (
        run.changed(failures=run.failures + 1, progress=run.state)
        if failed
        else run.changed(progress=run.state)
    )
    notes: tuple[Note, ...] = ()
    if failed:
        notes = (
            Note(
                "Warning", reasons.RUN_FAILED, f"version {run.version}, attempt {run.attempt}: {run.message}"
            ),
        )
    return plan.then(status=plan.status.changed(run=run), notes=notes)


def superseded(seen: Observation, run: Run) -> bool:
    """Whether the run trains or evaluates what is no longer wanted. A suspended resource lets its run finish."""
    return not seen.resource.spec.suspend and training_hash(seen.resource) != run.training_hash


def abandon(status: Status, run_id: str, now: datetime) -> Status:
    """Remember a run that was given up, so that it is stopped if it appears; the oldest go when the list is full."""
    if any(one.id == run_id for one in status.abandoned):
        return status
    return status.changed(abandoned=[*status.abandoned, Abandoned(id=run_id, since=now)][-32:])


# --- Submitting ---------------------------------------------------------------------------------------------------


def _look_for_submission(seen: Observation, plan: Plan, run: Run, now: datetime) -> Plan:
    """A stored intent to submit, found by a pass that did not write it: only look, never POST."""
    if isinstance(seen.run, KfpRun):
        return _follow(seen, _adopt(seen, plan, run, now), _adopted(seen, run, now), now)
    give_up = run.submitted_at + seen.policy.submit_patience
    certain = seen.run is ABSENT and isinstance(seen.workflows, tuple)
    if not certain or now < give_up:
        return plan.then(wake=max(now + _LOOK_AGAIN, min(give_up, now + _LOOK_AGAIN)))
    orphans = seen.workflows if isinstance(seen.workflows, tuple) else ()
    message = run.message or "the submission left no trace in Kubeflow Pipelines"
    plan = plan.then(
        *(DeleteWorkflow(orphan.namespace, orphan.name) for orphan in orphans),
        status=abandon(plan.status, run.id, now),
    )
    return finished(plan, run, now, failed=run.message is not None, state="Lost", message=message)


def _adopted(seen: Observation, run: Run, now: datetime) -> Run:
    told = described(seen.run) if isinstance(seen.run, KfpRun) else None
    return run.changed(
        state="Running",
        started_at=now,
        message=None,
        url=run_url(seen, run.id),
        pipeline_digest=told.pipeline_digest if told else None,
    )


def _adopt(seen: Observation, plan: Plan, run: Run, now: datetime) -> Plan:
    words = f"version {run.version}, attempt {run.attempt}: run {run.id} ({run.reason})"
    return plan.then(
        status=plan.status.changed(run=_adopted(seen, run, now)),
        notes=(Note("Normal", reasons.RUN_STARTED, words),),
    )


def run_url(seen: Observation, run_id: str) -> str | None:
    """Where people see the run, when the administrator said where the pages are."""
    base = seen.policy.kfp_ui_url
    return f"{base.rstrip('/')}/#/runs/details/{run_id}" if base else None


# --- Running ------------------------------------------------------------------------------------------------------


def _follow(seen: Observation, plan: Plan, run: Run, now: datetime) -> Plan:
    if superseded(seen, run):
        run = run.changed(superseded=True, message="the inputs of the training changed")
        return finished(plan, run, now, state="Stopped") if over(seen) else _stop(plan, run, now)
    if over(seen):
        return _end(seen, plan, run, now)
    run = _progressed(seen, run, now)
    if late := _too_late(seen, run, now):
        return _stop(plan, run.changed(message=late), now)
    if _missing(seen):
        return _miss(seen, plan, run, now)
    if isinstance(seen.workflows, tuple) and seen.workflows:
        run = run.changed(missing_since=None)
    return plan.then(status=plan.status.changed(run=run), wake=_next_look(seen, run, now))


def _end(seen: Observation, plan: Plan, run: Run, now: datetime) -> Plan:
    assert isinstance(seen.run, KfpRun)
    if seen.run.state == "SUCCEEDED":
        what = "evaluation of version" if run.only_evaluates else "version"
        words = f"{what} {run.version}, attempt {run.attempt}: run {run.id}"
        done = finished(plan, run, now, state="Succeeded", message=None)
        return done.then(notes=(Note("Normal", reasons.RUN_SUCCEEDED, words),))
    found = seen.run_pods.failure if seen.run_pods else None
    message = found or f"Kubeflow Pipelines says {seen.run.state}; its pages and the steps' logs tell more"
    return finished(plan, run, now, failed=True, state="Failed", message=message)


def _stop(plan: Plan, run: Run, now: datetime) -> Plan:
    run = run.changed(state="Stopping")
    return plan.then(TerminateRun(run.id), status=plan.status.changed(run=run), wake=now + _LOOK_AGAIN)


def _progressed(seen: Observation, run: Run, now: datetime) -> Run:
    if isinstance(seen.run, KfpRun) and seen.run.steps:
        states = {step.name: step.state for step in seen.run.steps}
        expected = steps_of(seen.resource, run)
        done = sum(states.get(name) in ("SUCCEEDED", "SKIPPED") for name in expected)
        under_way = next((name for name in expected if states.get(name) == "RUNNING"), None)
        moved = run.changed(progress=f"{done}/{len(expected)}", step=under_way or run.step)
        run = moved if moved == run else moved.changed(message=None)
    if seen.run_pods is not None:
        trouble = seen.run_pods.trouble
        run = run.changed(message=trouble.message if trouble else None)
        if run.step == "train" and run.train_started_at is None:
            run = run.changed(train_started_at=seen.run_pods.train_started_at)
    return run


def steps_of(resource: TrainAndServe, run: Run) -> tuple[str, ...]:
    """The steps of a run, in their order. Kubeflow Pipelines lists them among many nodes of its own."""
    evaluation = resource.spec.evaluation
    apart = ("download-evaluation",) if evaluation and evaluation.data else ()
    if run.only_evaluates:
        return (*(apart or ("download",)), "evaluate")
    return ("download", *apart, "train", "evaluate", "export")


def train_deadline(resource: TrainAndServe, run: Run) -> datetime | None:
    """When the train step under way has taken too long; None while it does not run."""
    if run.step != "train" or run.train_started_at is None:
        return None
    return run.train_started_at + (resource.spec.train.timeout or _DEFAULT_TIMEOUT) + _TIMEOUT_GRACE


def _too_late(seen: Observation, run: Run, now: datetime) -> str | None:
    """Why the run must end now: the train step's own time is over, or it never came to start for a reason of its own."""
    timeout = seen.resource.spec.train.timeout or _DEFAULT_TIMEOUT
    deadline = train_deadline(seen.resource, run)
    if deadline is not None and now > deadline:
        return f"the train step took longer than training.timeout ({format_duration(timeout)}); raise it or train less"
    trouble = seen.run_pods.trouble if seen.run_pods else None
    waits = trouble is None or seen.run_pods is None or seen.run_pods.waits_for_node
    if trouble and not waits and run.started_at and now > run.started_at + timeout:
        return f"the run did not move within training.timeout: {trouble.message}"
    return None


def _missing(seen: Observation) -> bool:
    """Whether no Workflow is there although the run is not over: by a live list, never by silence."""
    if not isinstance(seen.workflows, tuple) or isinstance(seen.run, Unknown):
        return False
    # A run that was deleted is not reported any more: its Workflow's end is all there is. One that is known is waited for.
    left = [flow for flow in seen.workflows if seen.run is not ABSENT or flow.phase not in ENDED]
    return not left


def _miss(seen: Observation, plan: Plan, run: Run, now: datetime) -> Plan:
    since = run.missing_since or now
    due = since + seen.policy.lost_patience
    if now < due:
        run = run.changed(missing_since=since)
        return plan.then(status=plan.status.changed(run=run), wake=due)
    if isinstance(seen.result, Result):
        return finished(plan, run, now, state="Succeeded", message=None)
    if isinstance(seen.result, Unknown) or seen.result is None:
        return plan.then(again=True)
    plan = plan.then(status=abandon(plan.status, run.id, now))
    message = "the run's Workflow vanished and left no result"
    return finished(plan, run, now, failed=True, state="Lost", message=message)


def _next_look(seen: Observation, run: Run, now: datetime) -> datetime:
    """Workflow events wake the pass; the clock only where nothing would say it."""
    timeout = seen.resource.spec.train.timeout or _DEFAULT_TIMEOUT
    if seen.run is None:
        return now + seen.policy.run_read_interval  # an event came too soon after the last look
    moments = [now + (_SAFETY if run.message else seen.policy.stall_after)]
    if run.step == "train" and run.train_started_at is None:
        moments.append(now + seen.policy.stall_after)
    if seen.workflow_phase in ENDED:
        moments.append(
            now + _LOOK_AGAIN
        )  # Kubeflow Pipelines learns of it a second later, and nothing need say so
    elif run.step == "train" and run.train_started_at:
        moments = [
            now + 10 * _SAFETY,
            max(now + _LOOK_AGAIN, run.train_started_at + timeout + _TIMEOUT_GRACE),
        ]
    return min(moments)


# --- Stopping -----------------------------------------------------------------------------------------------------


def _see_stopped(seen: Observation, plan: Plan, run: Run, now: datetime) -> Plan:
    if not stopped(seen):
        return plan.then(*stopping(seen, run.id), wake=now + _LOOK_AGAIN)
    if run.superseded:
        return finished(plan, run, now, state="Stopped")
    return finished(plan, run, now, failed=True, state="Failed")


def over(seen: Observation) -> bool:
    """Whether Kubeflow Pipelines reports a last state."""
    return isinstance(seen.run, KfpRun) and seen.run.finished


def stopped(seen: Observation) -> bool:
    """A last state, or a live list without a Workflow: a run whose Workflow is gone stays in CANCELING for ever."""
    return over(seen) or (isinstance(seen.workflows, tuple) and not seen.workflows)


def stopping(seen: Observation, run_id: str) -> tuple[Action, ...]:
    """What stops the run: a word to Kubeflow Pipelines, or, where it knows no such run, the end of its Workflow."""
    if seen.run is ABSENT and isinstance(seen.workflows, tuple):
        return tuple(DeleteWorkflow(orphan.namespace, orphan.name) for orphan in seen.workflows)
    return (TerminateRun(run_id),)
