"""Must the InferenceService that users reach change?"""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..inference_service import differs, left_over, manifest
from ..observation import ABSENT, InferenceService, Observation, Unknown
from ..plan import ApplyInferenceService, DeleteInferenceService, Plan
from ..resource import Status, Target
from .rollout import percent
from .workload import applied, candidates_place, carries, deployment_mode, is_knative, not_ours, run_applied


def serve(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Apply the InferenceService where it is not what is to be before users now; never one that is not ours."""
    service = seen.inference_service
    if seen.resource.spec.suspend or isinstance(service, Unknown) or service is None or not_ours(seen):
        return plan
    target = asked_for(seen, plan.status)
    if target is None:
        if isinstance(service, InferenceService) and _failed_to_serve(plan.status, run_applied(service)):
            return plan.then(DeleteInferenceService())
        return plan
    if _waits(seen, plan.status) and applied(seen, target):
        return plan  # an edit of how it is served waits for the end of the rollout, which may change the model as well
    canary = share_asked_for(seen, plan.status, target)
    wanted = manifest(seen.resource, target, seen.policy, deployment_mode(seen), canary)
    if service is not ABSENT and not differs(wanted, service.body) and not left_over(wanted, service.body):
        return plan
    version = service.resource_version if isinstance(service, InferenceService) else ""
    # Looked at again with a growing pause: an apply that is refused, or undone by others, must not become a loop.
    return plan.then(ApplyInferenceService(target, version, canary), again=True)


def asked_for(seen: Observation, status: Status) -> Target | None:
    """The version that the InferenceService is to ask for now.

    While the next one is being proven apart, that is the proven one; in Knative mode it is the next one already, without traffic.
    """
    if status.served is None:
        return None
    return status.served.proven if _waits(seen, status) else status.served.target


def share_asked_for(seen: Observation, status: Status, target: Target) -> int | None:
    """The share of the requests that the version is to get, in Knative mode; None: all of them.

    On the way back, no request may go to the newest revision before it is one of the version that is gone back to: until then
    Knative would send them to the one that failed.
    """
    service = seen.inference_service
    if not is_knative(seen) or not isinstance(service, InferenceService):
        return None
    if status.rollout is not None:
        return percent(seen.resource, status.rollout)
    if service.canary is None and applied(seen, target):
        return None
    place = candidates_place(seen)
    return None if place.ready and carries(place.deployment, target) else 0


def _waits(seen: Observation, status: Status) -> bool:
    return status.rollout is not None and status.rollout.stage == "Proving" and not is_knative(seen)


def _failed_to_serve(status: Status, run_id: str | None) -> bool:
    """Whether what is applied was rejected since: it must not come to serve later by itself."""
    if status.pin is not None and status.pin.failed is not None and status.pin.run_id == run_id:
        return True
    return any(
        entry.run_id == run_id and entry.verdict == reasons.FAILED_TO_SERVE for entry in status.history
    )
