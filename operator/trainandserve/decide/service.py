"""Must the InferenceService change?"""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..inference_service import differs, left_over, manifest
from ..observation import ABSENT, InferenceService, Observation, Unknown
from ..plan import ApplyInferenceService, DeleteInferenceService, Plan
from ..resource import Status, Target
from .workload import applied, not_ours, run_applied


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
