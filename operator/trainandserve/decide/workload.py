"""What do an InferenceService and its Deployment, as they were seen, say about a version?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..names import RUN_ID
from ..observation import ABSENT, Deployment, InferenceService, Observation, Reading, Unknown
from ..resource import DeploymentMode, Target

_ALL = 100


@dataclass(frozen=True)
class Place:
    """Where a version is: an InferenceService and the Deployment behind it, as they were seen.

    Attributes
    ----------
    address
        Where it alone answers, or all that users reach.
    ready
        Whether requests are routed there as they are meant to be.
    """

    service: Reading[InferenceService]
    deployment: Reading[Deployment]
    address: str | None
    ready: bool = True


def deployment_mode(seen: Observation) -> DeploymentMode:
    """How KServe runs the InferenceService that users reach; how it is to, where there is none of ours."""
    service = seen.inference_service
    if isinstance(service, InferenceService) and not not_ours(seen):
        return service.deployment_mode
    return seen.policy.deployment_mode


def is_knative(seen: Observation) -> bool:
    """Whether KServe can split the traffic: it has revisions, and shares of the requests for them."""
    return deployment_mode(seen) == "Knative"


def users_place(seen: Observation) -> Place:
    """Where all users are sent to."""
    service = seen.inference_service
    if not is_knative(seen):
        return Place(service, _behind(service, seen.deployment), _address(service))
    place = _newest_revision(seen)
    share = (
        sum(one.percent for one in service.traffic if one.revision == service.latest_revision)
        if isinstance(service, InferenceService)
        else 0
    )
    return replace(place, address=_address(service), ready=place.ready and share == _ALL)


def candidates_place(seen: Observation) -> Place:
    """Where a version is without all users: the second InferenceService, or the newest revision by its own address."""
    if not is_knative(seen):
        deployment = _behind(seen.candidate_service, seen.candidate_deployment)
        return Place(seen.candidate_service, deployment, _address(seen.candidate_service))
    return _newest_revision(seen)


def _behind(service: Reading[InferenceService], deployment: Reading[Deployment]) -> Reading[Deployment]:
    """The Deployment of an InferenceService; what one that was deleted left to the garbage collector proves nothing."""
    if not isinstance(deployment, Deployment) or service is None or isinstance(service, Unknown):
        return deployment
    made_it = service is not ABSENT and deployment.owner in (None, service.metadata.get("uid"))
    return deployment if made_it else ABSENT


def _newest_revision(seen: Observation) -> Place:
    service = seen.inference_service
    if not isinstance(service, InferenceService):
        return Place(service, ABSENT, None, ready=False)
    found = seen.revisions.get(str(service.predictor.get("latestCreatedRevision")), ABSENT)
    return Place(service, found, service.latest_address, ready=service.latest_revision is not None)


def _address(service: Reading[InferenceService]) -> str | None:
    return (service.address or service.url) if isinstance(service, InferenceService) else None


def share(seen: Observation, run_id: str | None) -> int | None:
    """Percentage of the requests that a run's model was seen to get; None where it is not known."""
    service = seen.inference_service
    if not isinstance(service, InferenceService) or not is_knative(seen) or not service.traffic:
        return None
    its = {name for name, deployment in seen.revisions.items() if deployment.run_id == run_id}
    return sum(one.percent for one in service.traffic if one.revision in its)


def is_up(place: Place, target: Target) -> bool:
    """Whether the target is what runs there, and is ready."""
    return place.ready and rolled_out(place.deployment, target)


def has_ready_pod(seen: Observation) -> bool:
    """Whether what users are sent to has a pod that is ready."""
    return any(one.available > 0 for one in _before_users(seen))


def pods_are_known(seen: Observation) -> bool:
    """Whether it was seen at all what users are sent to."""
    return bool(_before_users(seen))


def _before_users(seen: Observation) -> list[Deployment]:
    service = seen.inference_service
    if not is_knative(seen):
        return [seen.deployment] if isinstance(seen.deployment, Deployment) else []
    shares = service.traffic if isinstance(service, InferenceService) else ()
    named = {one.revision for one in shares if one.percent > 0}
    return [deployment for name, deployment in seen.revisions.items() if name in named]


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
    found: str | None = (service.asked.get("annotations") or {}).get(RUN_ID)
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


def in_place(seen: Observation, target: Target) -> bool:
    """Whether a proven version has the place for itself: no pod of another template, and at least one that is available.

    Not as strict as `rolled_out`: an autoscaler's new pods are no rollout.
    """
    place = users_place(seen)
    if not isinstance(place.deployment, Deployment) or not carries(place.deployment, target):
        return False
    alone = place.deployment.updated >= place.deployment.replicas
    return place.ready and alone and place.deployment.available > 0
