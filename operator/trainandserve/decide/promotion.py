"""Which version is to be served?"""

from __future__ import annotations

from datetime import datetime

from ..observation import Observation
from ..plan import Plan
from ..resource import Candidate, Served, Target
from .workload import applied


def promote(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Make an accepted candidate the target: what is stored here is applied, by whoever finds it."""
    candidate, served = plan.status.candidate, plan.status.served or Served()
    if (
        seen.resource.spec.suspend
        or candidate is None
        or candidate.verdict is None
        or not candidate.verdict.accepted
    ):
        return plan
    if served.target is not None and (
        served.target.version >= candidate.version or _comes_first(seen, served, served.target)
    ):
        return plan
    return plan.then(status=plan.status.changed(served=served.changed(target=_target(candidate, now))))


def _comes_first(seen: Observation, served: Served, target: Target) -> bool:
    """Whether a version that was applied must be proven before the next: until then there is no version to go back to.

    So it is with the first version ever, and with what serves when the status was lost.
    """
    return served.version is None and applied(seen, target)


def _target(candidate: Candidate, now: datetime) -> Target:
    return Target(
        version=candidate.version,
        run_id=candidate.run_id,
        uri=candidate.uri,
        result_digest=candidate.result_digest,
        training_hash=candidate.training_hash,
        metrics=candidate.metrics,
        since=now,
    )
