"""What is to be served, is it proven to serve, and must the InferenceService change?"""

from __future__ import annotations

from datetime import datetime, timedelta

from .. import reasons
from ..durations import format_duration
from ..hashes import gate_hash
from ..inference_service import differs, left_over, manifest
from ..names import RUN_ID
from ..observation import ABSENT, Deployment, InferenceService, Observation, Unknown
from ..plan import ApplyInferenceService, DeleteInferenceService, Note, Plan
from ..resource import Candidate, Served, Status, Target, Verdict
from .gate import remember

_PROBE_PAUSE = timedelta(seconds=1)
_LOOK_AGAIN = timedelta(seconds=5)
_STUCK_LOOK = timedelta(seconds=30)


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


def applied(seen: Observation, target: Target) -> bool:
    """Whether the InferenceService, as it was seen, is ours and asks for the target's model."""
    service = seen.inference_service
    return (
        isinstance(service, InferenceService) and not not_ours(seen) and run_applied(service) == target.run_id
    )


def run_applied(service: InferenceService) -> str | None:
    """The run whose model an InferenceService asks for, by our annotation."""
    predictor = service.body.get("spec", {}).get("predictor") or {}
    found: str | None = (predictor.get("annotations") or {}).get(RUN_ID)
    return found


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


def rolled_out(deployment: object, target: Target) -> bool:
    """Whether every pod of the model server is one of the target's, and available."""
    return carries(deployment, target) and isinstance(deployment, Deployment) and deployment.settled


def carries(deployment: object, target: Target) -> bool:
    """Whether the Deployment's pod template is the target's: its run and its model."""
    return (
        isinstance(deployment, Deployment)
        and deployment.run_id == target.run_id
        and deployment.source_uri == target.uri
    )


def in_place(deployment: object, target: Target) -> bool:
    """Whether a proven version has the place for itself: no pod of another template, and at least one that is available.

    Not as strict as `rolled_out`: an autoscaler's new pods are no rollout.
    """
    if not isinstance(deployment, Deployment) or not carries(deployment, target):
        return False
    return deployment.updated >= deployment.replicas and deployment.available > 0


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


def not_ours(seen: Observation) -> bool:
    """Whether an InferenceService of our name belongs to somebody else."""
    service = seen.inference_service
    return isinstance(service, InferenceService) and not service.controlled_by(seen.resource.metadata.uid)


def serve(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Apply the InferenceService where it is not what the stored target asks for; never one that is not ours."""
    service = seen.inference_service
    if seen.resource.spec.suspend or isinstance(service, Unknown) or service is None or not_ours(seen):
        return plan
    target = plan.status.served.target if plan.status.served else None
    if target is None:
        if isinstance(service, InferenceService) and _failed_to_serve(plan.status, run_applied(service)):
            return plan.then(DeleteInferenceService())
        return plan
    wanted = manifest(seen.resource, target, seen.policy)
    if service is not ABSENT and not differs(wanted, service.body) and not left_over(wanted, service.body):
        return plan
    plan = _with_time_for_proof(seen, plan, target, now)
    served = plan.status.served
    assert served is not None and served.target is not None
    version = service.resource_version if isinstance(service, InferenceService) else ""
    # Looked at again with a growing pause: an apply that is refused, or undone by others, must not become a loop.
    return plan.then(ApplyInferenceService(served.target, version), again=True)


def _with_time_for_proof(seen: Observation, plan: Plan, target: Target, now: datetime) -> Plan:
    """The time for the proof begins when the target is applied, however long that could not be done."""
    served = plan.status.served
    if served is None or applied(seen, target) or now < target.since + seen.policy.proof_deadline / 10:
        return plan  # moved seldom: every move is a write
    return plan.then(status=plan.status.changed(served=served.changed(target=target.changed(since=now))))


def _failed_to_serve(status: Status, run_id: str | None) -> bool:
    """Whether what is applied was rejected since: it must not come to serve later by itself."""
    return any(
        entry.run_id == run_id and entry.verdict == reasons.FAILED_TO_SERVE for entry in status.history
    )


__all__ = ["carries", "not_ours", "promote", "prove", "rolled_out", "serve"]
