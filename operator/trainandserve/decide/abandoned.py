"""Do runs that were given up stay stopped?"""

from __future__ import annotations

from datetime import datetime, timedelta

from ..observation import ABSENT, KfpRun, Observation, Unknown, Workflow
from ..plan import Action, DeleteWorkflow, Plan, TerminateRun

_WATCH_FOR = timedelta(hours=1)
"""How long a submission without a trace could still turn up: KFP removes Workflows without a run within minutes."""

_LOOK_AGAIN = timedelta(minutes=1)
_STOPS = "CANCELING"


def stop_abandoned_runs(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Stop abandoned runs that appear; forget one when it is over, or long enough unseen."""
    if not plan.status.abandoned:
        return plan
    kept = [one for one in plan.status.abandoned if not _done(seen, one.id, one.since, now)]
    actions = [action for one in kept for action in ending(seen, one.id)]
    wake = now + _LOOK_AGAIN if kept else None
    return plan.then(*actions, status=plan.status.changed(abandoned=kept), wake=wake)


def ending(seen: Observation, run_id: str) -> list[Action]:
    """What stops an abandoned run: a word to Kubeflow Pipelines, once; the end of a Workflow that has no live run behind it."""
    run = seen.abandoned_runs.get(run_id)
    if run is ABSENT or (isinstance(run, KfpRun) and run.finished):
        return [DeleteWorkflow(flow.namespace, flow.name) for flow in _workflows(seen, run_id)]
    return [TerminateRun(run_id)] if isinstance(run, KfpRun) and run.state != _STOPS else []


def may_go_on(seen: Observation, run_id: str) -> bool:
    """Whether an abandoned run may still do something, as far as is known.

    One without a Workflow does nothing more; Kubeflow Pipelines says of it for ever what it said last, CANCELING at the
    most, because the Workflow's end is what would tell it.
    """
    run = seen.abandoned_runs.get(run_id)
    if _workflows(seen, run_id) or isinstance(run, Unknown):
        return True
    return isinstance(run, KfpRun) and not run.finished and run.state != _STOPS


def _done(seen: Observation, run_id: str, since: datetime, now: datetime) -> bool:
    run = seen.abandoned_runs.get(run_id)
    if _workflows(seen, run_id) or run is None or isinstance(run, Unknown):
        return False
    return now > since + _WATCH_FOR or (isinstance(run, KfpRun) and not may_go_on(seen, run_id))


def _workflows(seen: Observation, run_id: str) -> list[Workflow]:
    return [flow for flow in seen.abandoned_workflows if flow.run_id == run_id]
