"""First sight of a specification: say at once that it was seen, before anything that takes time."""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..observation import Observation
from ..plan import Plan
from .conditions import with_condition


def first_sight(seen: Observation, plan: Plan, now: datetime) -> Plan | None:
    """Store observedGeneration and a first Ready, so that no tool takes silence for success; None when that is done.

    kstatus calls an object without conditions Current, and one whose observedGeneration lags InProgress. An edit of a
    resource that was seen before is answered by the plan itself, in the same write.
    """
    status = plan.status
    if status.conditions:
        return None
    generation = seen.resource.metadata.generation
    message = "the resource was seen; what it needs is being looked at"
    status = status.changed(
        observed_generation=generation, phase="Suspended" if seen.resource.spec.suspend else "Pending"
    )
    status = with_condition(status, "Ready", "False", reasons.NOT_SERVED_YET, message, generation, now)
    status = with_condition(status, "Reconciling", "True", reasons.PROGRESSING, message, generation, now)
    return plan.then(status=status, wake=now)
