"""Is what is to be served proven to serve?"""

from __future__ import annotations

from datetime import datetime, timedelta

from .. import reasons
from ..durations import format_duration
from ..hashes import gate_hash
from ..observation import Deployment, InferenceService, Observation
from ..plan import Note, Plan
from ..resource import Served, Status, Target, Verdict
from .gate import remember
from .workload import applied, in_place, rolled_out

_PROBE_PAUSE = timedelta(seconds=1)
_LOOK_AGAIN = timedelta(seconds=5)
_STUCK_LOOK = timedelta(seconds=30)


def prove(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Call the target served only on proof; go back to the version before when the proof does not come."""
    served = plan.status.served
    if served is None or served.target is None:
        return plan
    plan = plan.then(status=_observed(seen, plan.status))
    if served.run_id == served.target.run_id:
        return _keep_watch(seen, plan, now)
    if rolled_out(seen.deployment, served.target):
        return _count_answers(seen, plan, served.target, now)
    if seen.resource.spec.suspend or not applied(seen, served.target):
        return plan  # what was not applied yet has not failed
    deadline = served.target.since + seen.policy.proof_deadline
    trouble = seen.server_trouble
    if now >= deadline or (trouble is not None and trouble.for_good):
        words = (
            trouble.message
            if trouble
            else f"not proven to serve within {format_duration(seen.policy.proof_deadline)}"
        )
        return _go_back(seen, plan, served.target, words, now)
    return plan.then(wake=min(deadline, now + _LOOK_AGAIN))


def _observed(seen: Observation, status: Status) -> Status:
    """What the cluster was seen to serve, in words; the last words stay where nothing was seen."""
    served = status.served
    deployment = seen.deployment
    if (
        served is None
        or served.target is None
        or served.version is None
        or not isinstance(deployment, Deployment)
    ):
        return status
    known = {served.run_id: served.version, served.target.run_id: served.target.version}
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
    return plan if in_place(seen.deployment, served.target) else plan.then(wake=now + _STUCK_LOOK)


def _count_answers(seen: Observation, plan: Plan, target: Target, now: datetime) -> Plan:
    probe = seen.probe
    late = now >= target.since + seen.policy.proof_deadline and not seen.resource.spec.suspend
    if probe is None:
        words = "its InferenceService has no address to ask for predictions"
        return _go_back(seen, plan, target, words, now) if late else plan.then(wake=now + _PROBE_PAUSE)
    if probe.state == "skipped":
        return _proven(
            seen, plan, target, f"Deployment settled; predictions were not tried: {probe.message}", now
        )
    if probe.state == "answering" and now - probe.since >= seen.policy.proof_duration:
        words = f"Deployment settled; predictions answered for {seen.policy.proof_duration.seconds} s"
        return _proven(seen, plan, target, words, now)
    if late and probe.state == "failing":
        return _go_back(seen, plan, target, f"predictions fail: {probe.message}", now)
    return plan.then(wake=now + _PROBE_PAUSE)


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
        url=service.url if isinstance(service, InferenceService) else None,
        proof=proof,
        target=target,
        observed=f"version {target.version}, all pods ready",
    )
    words = f"version {target.version} serves: {proof}"
    return plan.then(
        status=plan.status.changed(served=served), notes=(Note("Normal", reasons.VERSION_SERVED, words),)
    )


def _go_back(seen: Observation, plan: Plan, target: Target, why: str, now: datetime) -> Plan:
    """Reject the version that did not come up, and make the one before the target again; without one, serve nothing."""
    served = plan.status.served
    assert served is not None
    back = None
    if served.version is not None:
        back = Target(
            version=served.version,
            run_id=served.run_id or "",
            uri=served.uri or "",
            result_digest=served.result_digest or "",
            training_hash=served.training_hash or "",
            metrics=served.metrics or {},
            since=now,
        )
    status = plan.status.changed(served=served.changed(target=back))
    status = remember(seen.resource, _reject(seen, status, target, why, now), now)
    words = f"version {target.version} could not be served: {why}"
    words += f"; version {back.version} is applied again" if back else "; nothing serves"
    return plan.then(status=status, notes=(Note("Warning", reasons.ROLLED_BACK, words[:1000]),))


def _reject(seen: Observation, status: Status, target: Target, why: str, now: datetime) -> Status:
    candidate = status.candidate
    history = [
        entry.changed(verdict=reasons.FAILED_TO_SERVE) if entry.run_id == target.run_id else entry
        for entry in status.history
    ]
    status = status.changed(history=history)
    if candidate is None or candidate.run_id != target.run_id:
        return status
    verdict = Verdict(
        accepted=False,
        reason=reasons.FAILED_TO_SERVE,
        message=why[:2048],
        gate_hash=gate_hash(seen.resource),
        checks=candidate.verdict.checks if candidate.verdict else [],
        at=now,
    )
    return status.changed(candidate=candidate.changed(verdict=verdict))
