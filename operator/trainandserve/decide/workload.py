"""What do the InferenceService and its Deployment, as they were seen, say about a version?"""

from __future__ import annotations

from ..names import RUN_ID
from ..observation import Deployment, InferenceService, Observation
from ..resource import Target


def not_ours(seen: Observation) -> bool:
    """Whether an InferenceService of our name belongs to somebody else."""
    service = seen.inference_service
    return isinstance(service, InferenceService) and not service.controlled_by(seen.resource.metadata.uid)


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
