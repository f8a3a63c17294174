"""The status is gone: what can be known from annotations, version records and runs?"""

from __future__ import annotations

import json
from datetime import datetime

from pydantic import ValidationError

from .. import reasons
from ..names import model_uri
from ..observation import KfpRun, Observation, Recovery, Result, Unknown
from ..plan import Note, Plan
from ..resource import Run, Served, Status, Target
from .gate import candidate_of, verdict_on
from .history import remember


def rebuild_lost_status(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Before anything is planned for a resource that knows no version yet, put back what others still know.

    Every new resource comes this way too, and finds nothing.
    """
    if plan.status.last_version is not None:
        return plan
    if seen.recovery is None:
        return plan.then(wake=now)
    if isinstance(seen.recovery, Unknown):
        return plan.then(again=True)
    found = seen.recovery
    status = _rebuilt(seen, plan.status, found, now)
    if status.last_version == 0:
        return plan.then(status=status)
    words = f"the status was lost; versions up to {status.last_version} are known from the storage and the InferenceService"
    return plan.then(status=status, notes=(Note("Normal", reasons.STATUS_REBUILT, words),))


def _rebuilt(seen: Observation, status: Status, found: Recovery, now: datetime) -> Status:
    status = status.changed(last_version=found.last_version)
    if found.served is not None:
        target = _target(found.served, found.served_prefix, now)
        status = status.changed(served=Served(target=target), last_training_hash=target.training_hash)
    if found.newest is not None:
        used = found.served is not None and found.served.run_id == found.newest.run_id
        candidate = candidate_of(found.newest, model_uri(found.newest_prefix), found.newest.training_hash)
        candidate = candidate.changed(verdict=verdict_on(seen.resource, candidate, now, used=used))
        status = status.changed(
            candidate=candidate,
            last_training_hash=found.newest.training_hash,
            last_handled_retrain=found.newest.retrain_token or None,
        )
        status = remember(seen.resource, status)
    if found.running is not None and (run := described(found.running)):
        status = status.changed(
            run=run.changed(state="Running", started_at=now),
            last_training_hash=run.training_hash,
            last_version=max(run.version, found.last_version),
        )
    return status


def _target(result: Result, prefix: str, now: datetime) -> Target:
    return Target(
        version=result.version,
        run_id=result.run_id,
        uri=model_uri(prefix),
        result_digest=result.digest,
        training_hash=result.training_hash,
        metrics=dict(result.metrics),
        since=now,
    )


def describe(run: Run) -> str:
    """What a run's description in Kubeflow Pipelines says, so that the run can be known again by it."""
    # The inputs may be long, and what would tell them again is the resource itself.
    return json.dumps(run.changed(inputs=None).dump(), sort_keys=True)


def described(run: KfpRun) -> Run | None:
    """The run that a description speaks of; None where it is not one of ours."""
    try:
        found = Run.model_validate_json(run.description)
    except ValidationError:
        return None
    return found if found.id == run.id else None
