"""The resource is being deleted: what must end before it may go?"""

from __future__ import annotations

from datetime import datetime, timedelta

from .. import reasons
from ..names import FINALIZER
from ..observation import ABSENT, InferenceService, KfpRun, Observation, Reading, Unknown
from ..plan import (
    Action,
    DeleteCandidateService,
    DeleteInferenceService,
    DeleteVersions,
    Note,
    Plan,
    ReleaseInferenceService,
    RemoveFinalizer,
)
from .abandoned import may_go_on, stop_abandoned_runs
from .conditions import with_condition
from .run import active, stopped, stopping

_LOOK_AGAIN = timedelta(seconds=2)


def let_go(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Stop the run, take down or release what serves, clean the storage if asked; the finalizer goes last."""
    if FINALIZER not in seen.resource.metadata.finalizers:
        return plan
    waiting = _stop_run(seen, plan, now) or _stop_abandoned(seen, plan, now)
    if waiting is not None:
        return _give_up(seen, plan, now) or _said(seen, waiting, "its run to stop", now)
    ending = _end_serving(seen, plan, now)
    if ending is not None:
        return _said(seen, ending, "its InferenceService to go", now)
    plan = _clean(seen, plan)
    return _said(seen, plan, f"its clean-up: {seen.failure.message}", now) if seen.failure else plan


def _said(seen: Observation, plan: Plan, what: str, now: datetime) -> Plan:
    """The plan, with what the deletion waits for in the Ready condition."""
    words = f"the resource is being deleted; that waits for {what}"
    generation = seen.resource.metadata.generation
    status = plan.status.changed(plan=None)  # nothing of it will be done
    return plan.then(
        status=with_condition(status, "Ready", "False", reasons.DELETING, words, generation, now)
    )


def _stop_run(seen: Observation, plan: Plan, now: datetime) -> Plan | None:
    """A plan that waits for the run to stop; None when it has."""
    run = plan.status.run
    if run is None or not active(plan.status) or (stopped(seen) and run.state != "Submitting"):
        return None
    if run.state == "Submitting" and not isinstance(seen.run, KfpRun):
        return _wait_for_submission(seen, plan, run.submitted_at + seen.policy.submit_patience, now)
    if stopped(seen):
        return None
    status = plan.status.changed(run=run.changed(state="Stopping", message="the resource is being deleted"))
    return plan.then(*stopping(seen, run.id), status=status, wake=now + _LOOK_AGAIN)


def _wait_for_submission(seen: Observation, plan: Plan, until: datetime, now: datetime) -> Plan | None:
    """A submission without a trace may still turn up until its patience is over."""
    gone = seen.run is ABSENT and isinstance(seen.workflows, tuple)
    if gone and not seen.workflows and now >= until:
        return None
    actions = stopping(seen, "") if gone and now >= until else ()
    return plan.then(*actions, wake=max(now + _LOOK_AGAIN, min(until, now + _LOOK_AGAIN)))


def _stop_abandoned(seen: Observation, plan: Plan, now: datetime) -> Plan | None:
    """A plan that waits for the runs that were given up; None when none of them can go on."""
    if not any(may_go_on(seen, one.id) for one in plan.status.abandoned):
        return None
    return stop_abandoned_runs(seen, plan, now).then(wake=now + _LOOK_AGAIN)


def _give_up(seen: Observation, plan: Plan, now: datetime) -> Plan | None:
    """Kubeflow Pipelines does not answer: after the patience for it, let go with a warning."""
    asked = seen.resource.metadata.deletion_timestamp
    silent = [one for one, run in seen.abandoned_runs.items() if isinstance(run, Unknown)]
    if plan.status.run and (isinstance(seen.run, Unknown) or isinstance(seen.workflows, Unknown)):
        silent.insert(0, plan.status.run.id)
    if asked is None or not silent or now < asked + seen.policy.deletion_patience:
        return None
    words = (
        f"run {', '.join(silent)} may still be under way: Kubeflow Pipelines did not answer; stop it there"
    )
    note = Note("Warning", reasons.CLEANUP_SKIPPED, words)
    return _end_serving(seen, plan, now) or _clean(seen, plan).then(notes=(note,))


def _end_serving(seen: Observation, plan: Plan, now: datetime) -> Plan | None:
    """A plan that ends or releases our InferenceServices; None when there is none of ours left."""
    service, candidate = seen.inference_service, seen.candidate_service
    if isinstance(service, Unknown) or isinstance(candidate, Unknown):
        return plan.then(again=True)
    actions: tuple[Action, ...] = ()
    if _is_ours(seen, candidate) and not _goes(candidate):
        actions += (DeleteCandidateService(),)
    if _is_ours(seen, service) and seen.resource.spec.serve.deletion_policy == "Orphan":
        actions += (ReleaseInferenceService(),)
    elif _is_ours(seen, service) and not _goes(service):
        actions += (DeleteInferenceService(),)
    left = _is_ours(seen, service) or _is_ours(seen, candidate)
    return plan.then(*actions, wake=now + _LOOK_AGAIN) if left else None


def _is_ours(seen: Observation, service: Reading[InferenceService]) -> bool:
    return isinstance(service, InferenceService) and service.controlled_by(seen.resource.metadata.uid)


def _goes(service: Reading[InferenceService]) -> bool:
    return isinstance(service, InferenceService) and bool(service.metadata.get("deletionTimestamp"))


def _clean(seen: Observation, plan: Plan) -> Plan:
    if seen.resource.spec.storage.deletion_policy == "Delete":
        return plan.then(DeleteVersions(), RemoveFinalizer())
    return plan.then(RemoveFinalizer())
