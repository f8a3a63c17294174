"""Is a new run due, and may it start now?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..changes import between, said, training_fields
from ..hashes import retrain_token, training_hash
from ..names import RETRAIN, attempt_prefix, run_id
from ..observation import Observation, Policy
from ..plan import Plan, SubmitRun
from ..resource import Change, Run, Status, Target, TrainAndServe
from .run import active

DEFAULT_RUN_RETRIES = 2
_NO_FAULT_PAUSE = timedelta(seconds=5)
"""Pause before another run where the last one was nobody's failure; doubled with each attempt, for no limit ends these."""


@dataclass(frozen=True)
class Intent:
    """A run that is due: for which version, which try, from when on, and why."""

    version: int
    attempt: int
    failures: int
    due: datetime | None
    reason: str


def intent(resource: TrainAndServe, status: Status, policy: Policy) -> Intent | None:
    """What is to be trained next; None when nothing is.

    The same question decides what a pass looks at, so it depends on nothing but the resource and its status.
    """
    if resource.spec.suspend or resource.metadata.deletion_timestamp or status.last_version is None:
        return None
    if active(status) or unjudged(status) or made_already(resource, status):
        return None
    if _left_nothing(status) or status.last_training_hash != training_hash(resource.changed(status=status)):
        return Intent(status.last_version + 1, 1, 0, None, _reason(resource, status))
    return _retry(resource, status, policy)


def made_already(resource: TrainAndServe, status: Status) -> Target | None:
    """The version that is to be served, where it was made from just these inputs: an edit was taken back.

    An empty hash of the last try asks for another run all the same: its verdict needs another comparison.
    """
    target = status.served.target if status.served else None
    if target is None or status.last_training_hash == "":
        return None
    return target if target.training_hash == training_hash(resource.changed(status=status)) else None


def _left_nothing(status: Status) -> bool:
    """Whether all that was tried has left nothing, although the inputs are those of the last try.

    So it is with a run that was stopped, also where the edit that stopped it was taken back since; and with a status
    of which a part was lost.
    """
    if status.run is not None:
        return status.run.state == "Stopped"
    return status.candidate is None and (status.served is None or status.served.target is None)


def unjudged(status: Status) -> bool:
    """Whether a run succeeded whose result was not read yet."""
    run, candidate = status.run, status.candidate
    if run is None or run.state != "Succeeded":
        return False
    return candidate is None or candidate.run_id != run.id


def _reason(resource: TrainAndServe, status: Status) -> str:
    if status.last_training_hash is None:
        return "first version"
    if status.last_training_hash == "":
        return "another version serves than the one that was compared"
    asked = resource.metadata.annotations.get(RETRAIN)
    if asked is not None and retrain_token(resource) != (status.last_handled_retrain or ""):
        return "asked for by the retrain annotation"
    changed = changed_inputs(resource, status)
    return f"the training inputs changed: {said(changed)}" if changed else "the training inputs changed"


def changed_inputs(resource: TrainAndServe, status: Status) -> list[Change]:
    """Which inputs are not those of the last run; none where those are not known field by field."""
    run = status.run
    if run is None or run.inputs is None:
        return []
    return between(run.inputs, training_fields(resource.changed(status=status)))


def _retry(resource: TrainAndServe, status: Status, policy: Policy) -> Intent | None:
    run = status.run
    if run is None or run.state not in ("Failed", "Lost") or retries_exhausted(resource, run):
        return None
    pause = (
        policy.run_backoff * 2 ** min(run.failures - 1, 8)
        if run.failures
        else min(policy.run_backoff, _NO_FAULT_PAUSE) * 2 ** min(run.attempt - 1, 6)
    )
    due = run.finished_at + pause if run.finished_at else None
    return Intent(
        run.version, run.attempt + 1, run.failures, due, f"again, attempt {run.attempt} ended as {run.state}"
    )


def retries_exhausted(resource: TrainAndServe, run: Run) -> bool:
    """Whether as many runs failed for this version as training.runRetries allows."""
    limit = resource.spec.train.run_retries
    return run.failures > (DEFAULT_RUN_RETRIES if limit is None else limit)


def plan_run(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Store the next run as Submitting; the pass whose write stores it submits it, no other."""
    wanted = intent(seen.resource, plan.status, seen.policy)
    if wanted is None:
        return plan
    if wanted.due and now < wanted.due:
        return plan.then(wake=wanted.due)
    preflight = seen.preflight
    if preflight is None:
        return plan.then(wake=now)
    if preflight.problems or not preflight.slot:
        return plan.then(again=True)
    run = _run(seen, plan.status, wanted, now)
    status = plan.status.changed(
        run=run,
        last_version=max(wanted.version, plan.status.last_version or 0),
        last_training_hash=run.training_hash,
        last_handled_retrain=retrain_token(seen.resource) or None,
    )
    if preflight.taken:
        return plan.then(
            status=status, wake=now
        )  # of a time that the status does not know: found, then followed
    return plan.then(SubmitRun(run), status=status, wake=now + seen.policy.submit_patience)


def _run(seen: Observation, status: Status, wanted: Intent, now: datetime) -> Run:
    resource, preflight = seen.resource, seen.preflight
    assert preflight is not None
    identity = run_id(resource.metadata.uid, wanted.version, wanted.attempt)
    return Run(
        version=wanted.version,
        attempt=wanted.attempt,
        id=identity,
        state="Submitting",
        reason=wanted.reason,
        training_hash=training_hash(resource),
        inputs=training_fields(resource),
        data_digest=preflight.data_digest,
        evaluation_digest=preflight.evaluation_digest,
        incumbent=status.served.version if status.served else None,
        prefix=attempt_prefix(resource, wanted.version, identity),
        failures=wanted.failures,
        submitted_at=now,
    )
