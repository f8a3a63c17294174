"""What do an InferenceService and its Deployment, as they were seen, say about a version?"""

from __future__ import annotations

from dataclasses import dataclass

from ..names import RUN_ID
from ..observation import Deployment, InferenceService, Observation, Reading
from ..resource import Target


@dataclass(frozen=True)
class Place:
    """An InferenceService and the Deployment behind it, as they were seen."""

    service: Reading[InferenceService]
    deployment: Reading[Deployment]


def users_place(seen: Observation) -> Place:
    """The InferenceService that users reach."""
    return Place(seen.inference_service, seen.deployment)


def candidates_place(seen: Observation) -> Place:
    """The second InferenceService, without users."""
    return Place(seen.candidate_service, seen.candidate_deployment)


def foreign(seen: Observation, service: Reading[InferenceService]) -> bool:
    """Whether an InferenceService of one of our names belongs to somebody else."""
    return isinstance(service, InferenceService) and not service.controlled_by(seen.resource.metadata.uid)


def not_ours(seen: Observation) -> bool:
    """Whether an InferenceService of our name belongs to somebody else."""
    return foreign(seen, seen.inference_service)


def applied(seen: Observation, target: Target) -> bool:
    """Whether the InferenceService, as it was seen, is ours and asks for the target's model."""
    return applied_to(seen, seen.inference_service, target)


def applied_to(seen: Observation, service: Reading[InferenceService], target: Target) -> bool:
    """Whether an InferenceService is ours and asks for the target's model."""
    return (
        isinstance(service, InferenceService)
        and not foreign(seen, service)
        and run_applied(service) == target.run_id
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
