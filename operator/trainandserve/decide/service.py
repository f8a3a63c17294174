"""Must the InferenceService that users reach change?"""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..inference_service import differs, left_over, manifest
from ..observation import ABSENT, InferenceService, Observation, Unknown
from ..plan import ApplyInferenceService, DeleteInferenceService, Plan
from ..resource import Status, Target
from .workload import applied, not_ours, run_applied


def serve(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Apply the InferenceService where it is not what is to be before users now; never one that is not ours."""
    service = seen.inference_service
    if seen.resource.spec.suspend or isinstance(service, Unknown) or service is None or not_ours(seen):
        return plan
    target = before_users(plan.status)
    if target is None:
        if isinstance(service, InferenceService) and _failed_to_serve(plan.status, run_applied(service)):
            return plan.then(DeleteInferenceService())
        return plan
    if _held(plan.status) and applied(seen, target):
        return plan  # an edit of how it is served waits for the end of the rollout, which may change the model as well
    wanted = manifest(seen.resource, target, seen.policy)
    if service is not ABSENT and not differs(wanted, service.body) and not left_over(wanted, service.body):
        return plan
    version = service.resource_version if isinstance(service, InferenceService) else ""
    # Looked at again with a growing pause: an apply that is refused, or undone by others, must not become a loop.
    return plan.then(ApplyInferenceService(target, version), again=True)


def before_users(status: Status) -> Target | None:
    """The version that users are to be sent to now: the proven one while the next is being proven without them."""
    if status.served is None:
        return None
    return status.served.proven if _held(status) else status.served.target


def _held(status: Status) -> bool:
    return status.rollout is not None and status.rollout.stage == "Proving"


def _failed_to_serve(status: Status, run_id: str | None) -> bool:
    """Whether what is applied was rejected since: it must not come to serve later by itself."""
    if status.pin is not None and status.pin.failed is not None and status.pin.run_id == run_id:
        return True
    return any(
        entry.run_id == run_id and entry.verdict == reasons.FAILED_TO_SERVE for entry in status.history
    )
