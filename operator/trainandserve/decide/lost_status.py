"""The status is gone: what can be known from annotations, version records and runs?"""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..hashes import gate_hash
from ..names import model_uri
from ..observation import Observation, Recovery, Result, Unknown
from ..plan import Note, Plan
from ..resource import Candidate, HistoryEntry, Served, Status, Target, TrainAndServe, Verdict
from .description import described
from .gate import candidate_of, evaluated, verdict_on
from .history import GOOD, history_limit, remember
from .promotion import target_of
from .record import told


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
    known = [entry.changed(recorded=told(entry)) for entry in found.records]
    status = status.changed(last_version=found.last_version, history=known[: history_limit(seen.resource)])
    if (target := _served(found, now)) is not None:
        status = status.changed(served=Served(target=target), last_training_hash=target.training_hash)
    if found.newest is not None:
        used = found.served is not None and found.served.run_id == found.newest.run_id
        candidate = candidate_of(found.newest, model_uri(found.newest_prefix), found.newest.training_hash)
        record = next((one for one in known if _of(one, found.newest)), None)
        if record is not None and record.evaluation is not None and found.evaluation is not None:
            candidate = evaluated(candidate, found.evaluation, record.evaluation)
        candidate = candidate.changed(verdict=_verdict(seen.resource, candidate, record, now, used=used))
        status = status.changed(
            candidate=candidate,
            last_training_hash=candidate.answers_to,
            last_handled_retrain=found.newest.retrain_token or None,
        )
        status = remember(seen.resource, status)
    if found.running is not None and (run := described(found.running)):
        status = status.changed(
            run=run.changed(state="Running", started_at=now),
            last_version=max(run.version, found.last_version),
        )
        if not run.only_evaluates:
            status = status.changed(last_training_hash=run.training_hash)
    return status


def _of(record: HistoryEntry, result: Result) -> bool:
    return record.run_id == result.run_id and record.result_digest == result.digest


def _verdict(
    resource: TrainAndServe, candidate: Candidate, record: HistoryEntry | None, now: datetime, *, used: bool
) -> Verdict:
    """The verdict that was given, where its record tells it and the bounds are the same; an approval is kept in any case."""
    if record is None:
        return verdict_on(resource, candidate, now, used=used)
    before = Verdict(
        accepted=record.verdict in GOOD,
        reason=record.verdict,
        message=record.message or "",
        gate_hash=record.gate_hash or "",
        checks=record.checks,
        analysis=record.analysis,
        at=record.at,
        approved_at=record.approved_at,
    )
    if before.reason == reasons.FAILED_TO_SERVE or before.gate_hash == gate_hash(resource):
        return before
    return verdict_on(resource, candidate.changed(verdict=before), now, used=used)


def _served(found: Recovery, now: datetime) -> Target | None:
    """What our InferenceService asks for; where that is known to have failed, the version that was proven last before it."""
    if found.served is None:
        return None
    record = next((one for one in found.records if _of(one, found.served)), None)
    if record is None or record.verdict != reasons.FAILED_TO_SERVE:
        return _target(found.served, found.served_prefix, now)
    proven = [
        one for one in found.records if one.served_at is not None and one.verdict != reasons.FAILED_TO_SERVE
    ]
    last = max(proven, key=lambda one: one.served_at or one.at, default=None)
    return target_of(last, now) if last is not None else _target(found.served, found.served_prefix, now)


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
