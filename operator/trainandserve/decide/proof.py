"""Is what is to be served proven to serve, where users reach it?"""

from __future__ import annotations

from datetime import datetime, timedelta

from .. import reasons
from ..observation import Deployment, InferenceService, Observation
from ..plan import Note, Plan
from ..resource import Served, Status, Target
from .analysis import counted, kept
from .evidence import PROBE_PAUSE, Weight, looked_for, timed
from .fallback import go_back
from .rollout import edited, weighed
from .workload import applied, deployment_mode, in_place, is_knative, share, users_place

_STUCK_LOOK = timedelta(seconds=30)


def prove(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Call the target served only on proof; go back to the version before when the proof does not come."""
    served = plan.status.served
    if served is None or served.target is None:
        return plan
    plan = plan.then(status=_mode(seen, _observed(seen, plan.status)))
    if served.run_id == served.target.run_id:
        return _keep_watch(seen, plan, now)
    if plan.status.rollout is None or plan.status.rollout.stage != "Promoting":
        return plan
    if not looked_for(seen, plan.status.rollout):
        return plan.then(wake=now + PROBE_PAUSE) if applied(seen, served.target) else plan
    place = users_place(seen)
    rollout = timed(seen, place, plan.status.rollout, served.target, now)
    rollout = counted(seen, rollout.changed(traffic=share(seen, served.target.run_id)), now)
    if edited(seen, served.target):
        rollout = rollout.changed(analysis=None)
    plan, _, found = weighed(seen, plan, place, rollout, served.target, now)
    if found.weight is Weight.PROVEN:
        return _proven(seen, plan, served.target, found.words, now)
    if found.weight is Weight.FAILED and not seen.resource.spec.suspend:
        return go_back(seen, plan, served.target, found.words, now)
    return plan.then(wake=found.wake)


def _mode(seen: Observation, status: Status) -> Status:
    """How KServe was seen to run it; the last word stays where nothing was seen.

    Where nothing was ever said of it, a proof says it first, or a rollout beside what serves: an upgrade of the operator writes
    to nobody at rest, and a first version's rollout takes no write more.
    """
    served = status.served
    if served is None or not isinstance(seen.inference_service, InferenceService):
        return status
    if served.deployment_mode is None and (status.rollout is None or served.version is None):
        return status
    return status.changed(served=served.changed(deployment_mode=deployment_mode(seen)))


def _observed(seen: Observation, status: Status) -> Status:
    """What the cluster was seen to serve, in words; the last words stay where nothing was seen."""
    served = status.served
    deployment = seen.deployment
    if served is None or served.target is None or served.version is None:
        return status
    known = {served.run_id: served.version, served.target.run_id: served.target.version}
    if is_knative(seen):
        shares = [(version, share(seen, run_id)) for run_id, version in known.items()]
        words = ", ".join(f"version {version} {percent}%" for version, percent in shares if percent)
        return status.changed(served=served.changed(observed=words)) if words else status
    if not isinstance(deployment, Deployment):
        return status
    name = f"version {known[deployment.run_id]}" if deployment.run_id in known else "another version"
    words = f"{name}, all pods ready" if deployment.settled else f"changing to {name}"
    words = "no pod is ready" if not deployment.available else words
    return status.changed(served=served.changed(observed=words))


def _keep_watch(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """A proven version: its address may change, and a change of its pods is looked at until it is done."""
    served = plan.status.served
    assert served is not None and served.target is not None
    if isinstance(seen.inference_service, InferenceService) and seen.inference_service.url not in (
        None,
        served.url,
    ):
        plan = plan.then(status=plan.status.changed(served=served.changed(url=seen.inference_service.url)))
    return plan if in_place(seen, served.target) else plan.then(wake=now + _STUCK_LOOK)


def _before(served: Served | None, target: Target) -> int | None:
    """The version that was proven before this one."""
    if served is None or served.version == target.version:
        return served.previous if served else None
    return served.version


def _proven(seen: Observation, plan: Plan, target: Target, proof: str, now: datetime) -> Plan:
    service = seen.inference_service
    served = Served(
        version=target.version,
        run_id=target.run_id,
        uri=target.uri,
        result_digest=target.result_digest,
        training_hash=target.training_hash,
        metrics=target.metrics,
        since=now,
        previous=_before(plan.status.served, target),
        url=service.url if isinstance(service, InferenceService) else None,
        proof=proof,
        target=target,
        observed=f"version {target.version}, all pods ready",
        deployment_mode=deployment_mode(seen),
    )
    words = f"version {target.version} serves: {proof}"
    return plan.then(
        status=kept(plan.status).changed(served=served, rollout=None),
        notes=(Note("Normal", reasons.VERSION_SERVED, words),),
    )
