"""The decision: from what was seen, what is to be stored and done. Pure: no I/O, no clock, no randomness.

The chain of stages below is the specification. Each stage answers one question, has a file of its own, and hands on the
plan as it stands; the summary in conditions, and what comes next, are made last.
"""

from __future__ import annotations

from datetime import datetime

from ..names import FINALIZER
from ..observation import Observation
from ..plan import AddFinalizer, Plan
from .abandoned import stop_abandoned_runs
from .approval import approve
from .conditions import summarise
from .deletion import let_go
from .first_sight import first_sight
from .gate import judge
from .launch import plan_run
from .lost_status import rebuild_lost_status
from .outlook import foresee
from .promotion import promote
from .proof import prove
from .prune import prune
from .record import record
from .rollout import roll_out
from .run import follow_run
from .service import serve

STAGES = (
    rebuild_lost_status,
    follow_run,
    stop_abandoned_runs,
    judge,
    approve,
    promote,
    roll_out,
    plan_run,
    prove,
    serve,
    record,
    prune,
)


def decide(seen: Observation, now: datetime) -> Plan:
    """Decide what one pass does.

    Parameters
    ----------
    seen
        The whole present state, as far as it was looked at.
    now
        The time, with time zone; whole seconds are kept.
    """
    now = now.replace(microsecond=0)
    plan = Plan(status=seen.resource.status)
    if seen.resource.metadata.deletion_timestamp:
        return let_go(seen, plan, now)
    if FINALIZER not in seen.resource.metadata.finalizers:
        return plan.then(AddFinalizer())
    if greeting := first_sight(seen, plan, now):
        return greeting
    for stage in STAGES:
        plan = stage(seen, plan, now)
    return foresee(seen, summarise(seen, plan, now))
