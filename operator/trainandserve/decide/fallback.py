"""A version did not come to serve: what is to be served instead?"""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..hashes import gate_hash
from ..observation import Observation
from ..plan import Note, Plan
from ..resource import Served, Status, Target, Verdict
from .analysis import kept
from .history import remember, unservable


def go_back(seen: Observation, plan: Plan, target: Target, why: str, now: datetime) -> Plan:
    """Reject the version that did not come up, and make the proven one the target again; without one, serve nothing."""
    served = plan.status.served or Served()
    back = served.proven
    untouched = plan.status.rollout is not None and plan.status.rollout.stage == "Proving"
    status = kept(plan.status).changed(
        served=served.changed(target=back.changed(since=now) if back else None), rollout=None
    )
    status = remember(seen.resource, _reject(seen, status, target, why, now))
    words = f"version {target.version} could not be served: {why}"
    if back is None:
        words += "; nothing serves"
    elif untouched:
        words += f"; version {back.version} went on serving"
    else:
        words += f"; version {back.version} is applied again"
    return plan.then(status=status, notes=(Note("Warning", reasons.ROLLED_BACK, words[:1000]),))


def _reject(seen: Observation, status: Status, target: Target, why: str, now: datetime) -> Status:
    candidate = status.candidate
    status = unservable(status, target.run_id, why)
    if candidate is None or candidate.run_id != target.run_id:
        return status
    verdict = Verdict(
        accepted=False,
        reason=reasons.FAILED_TO_SERVE,
        message=why[:2048],
        gate_hash=gate_hash(seen.resource),
        checks=candidate.verdict.checks if candidate.verdict else [],
        analysis=candidate.verdict.analysis if candidate.verdict else None,
        at=now,
        approved_at=candidate.verdict.approved_at if candidate.verdict else None,
    )
    return status.changed(candidate=candidate.changed(verdict=verdict))
