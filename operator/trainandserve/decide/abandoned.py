"""Do runs that were given up stay stopped?"""

from __future__ import annotations

from datetime import datetime, timedelta

from ..observation import KfpRun, Observation
from ..plan import DeleteWorkflow, Plan, TerminateRun

_WATCH_FOR = timedelta(hours=1)
"""How long a submission without a trace could still turn up: KFP removes Workflows without a run within minutes."""

_LOOK_AGAIN = timedelta(minutes=1)


def stop_abandoned_runs(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Stop abandoned runs that appear; forget one when it is over, or long enough unseen."""
    if not plan.status.abandoned:
        return plan
    kept = [one for one in plan.status.abandoned if not _done(seen, one.id, one.since, now)]
    for one in kept:
        run = seen.abandoned_runs.get(one.id)
        if isinstance(run, KfpRun):
            plan = plan.then(TerminateRun(one.id), wake=now + _LOOK_AGAIN)
    known = {one_id for one_id, run in seen.abandoned_runs.items() if isinstance(run, KfpRun)}
    orphans = [
        flow
        for flow in seen.abandoned_workflows
        if flow.run_id not in known and flow.run_id in seen.abandoned_runs
    ]
    plan = plan.then(*(DeleteWorkflow(flow.namespace, flow.name) for flow in orphans))
    wake = now + _LOOK_AGAIN if kept else None
    return plan.then(status=plan.status.changed(abandoned=kept), wake=wake)


def _done(seen: Observation, run_id: str, since: datetime, now: datetime) -> bool:
    run = seen.abandoned_runs.get(run_id)
    if isinstance(run, KfpRun):
        return run.finished and not any(flow.run_id == run_id for flow in seen.abandoned_workflows)
    return now > since + _WATCH_FOR and not any(flow.run_id == run_id for flow in seen.abandoned_workflows)
