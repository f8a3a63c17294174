"""What the status of an InferenceService in Knative mode says. Pure.

Read in the sources of KServe v0.20 and Knative Serving; not seen on a cluster of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.kserve.revisions import Revision
from sandbox.kserve.spec import InferenceService
from sandbox.kserve.status import Condition, Status, base, failed_container, initializer_state
from sandbox.kserve.traffic import Target

UNKNOWN: Condition = ("Unknown", None, None)
TRUE: Condition = ("True", None, None)


@dataclass(frozen=True)
class Service:
    """What stands behind an InferenceService in Knative mode.

    Attributes
    ----------
    created, ready
        The latest revision, and the name of the latest one that was ready; empty if none was.
    traffic
        What is routed now.
    routed
        Whether that is what is asked for.
    rolled_out
        The fields of the component that say which revisions had all traffic.
    newest_pod, ready_pods
        Of the latest revision: status of a pod, and how many are ready.
    tag_urls
        Addresses by tag.
    generation
        Of the Knative Service.
    """

    runtime: str
    created: Revision
    ready: str
    traffic: Sequence[Target]
    routed: bool
    rolled_out: Mapping[str, str]
    newest_pod: Mapping[str, Any]
    ready_pods: int
    url: str
    tag_urls: Mapping[str, str]
    generation: int


def running(isvc: InferenceService, service: Service, now: datetime) -> Status:
    """The status of an InferenceService with revisions. Ready is Unknown while a new revision comes up."""
    configuration, route = _configuration(service), _route(service)
    predictor = next((one for one in (configuration, route) if one[0] == "False"), None)
    predictor = predictor or next((one for one in (configuration, route) if one[0] == "Unknown"), TRUE)
    known = predictor[0] == "True" or "url" in isvc.status
    ingress = TRUE if known else UNKNOWN
    conditions = {
        "IngressReady": ingress,
        "LatestDeploymentReady": _across(configuration, "PredictorConfigurationReady"),
        "PredictorConfigurationReady": configuration,
        "PredictorReady": predictor,
        "PredictorRouteReady": route,
        "Ready": predictor if predictor[0] != "True" else ingress,
        "RoutesReady": _across(route, "PredictorRouteReady"),
        "Stopped": ("False", None, None),
    }
    status = base(isvc, conditions, now)
    status |= {"observedGeneration": service.generation, "servingRuntimeName": service.runtime}
    component: Status = {"latestCreatedRevision": service.created.name, **service.rolled_out}
    if service.ready:
        component["latestReadyRevision"] = service.ready
    if service.traffic:
        component["traffic"] = [
            target.to_status(service.tag_urls.get(target.tag)) for target in service.traffic
        ]
    if known:  # once known, the address stays
        component |= {"url": service.url, "address": {"url": service.url}}
        status |= {"url": service.url, "address": {"url": service.url}}
    status["components"] = {"predictor": component}
    is_up = predictor[0] == ingress[0] == "True" and service.created.name == service.ready
    down = "False" in (configuration[0], route[0])
    status["modelStatus"] = _model_status(isvc.status.get("modelStatus") or {}, service, is_up, down)
    return status


def _configuration(service: Service) -> Condition:
    if service.created.failure is not None:
        name, message = service.created.name, service.created.failure[1]
        return "False", "RevisionFailed", f'Revision "{name}" failed with message: {message}.'
    return TRUE if service.ready == service.created.name else UNKNOWN


def _route(service: Service) -> Condition:
    if service.routed:
        return TRUE
    configuration = service.created.name.rpartition("-")[0]
    if service.ready:
        return "Unknown", "RevisionMissing", f'Revision "{service.ready}" is not yet ready.'
    if service.created.failure is not None:
        return (
            "False",
            "RevisionMissing",
            f'Configuration "{configuration}" does not have any ready Revision.',
        )
    message = f'Configuration "{configuration}" is waiting for a Revision to become ready.'
    return "Unknown", "RevisionMissing", message


def _across(condition: Condition, kind: str) -> Condition:
    """A condition over all components, of which there is one."""
    return condition[0], None if condition[0] == "True" else f"{kind} not ready", None


def _model_status(previous: Mapping[str, Any], service: Service, is_up: bool, down: bool) -> Status:
    """KServe looks at a pod of the latest created revision, whichever revision has the traffic."""
    active = (previous.get("states") or {}).get("activeModelState", "")
    transition, target, failure = _model_state(service, is_up, down)
    if transition == "UpToDate":
        active = "Loaded"
    status: Status = {
        "transitionStatus": transition,
        "copies": {"failedCopies": 0, "totalCopies": service.ready_pods},
        "states": {"activeModelState": active, "targetModelState": target},
    }
    if failure or "lastFailureInfo" in previous:
        status["lastFailureInfo"] = failure or previous["lastFailureInfo"]
    return status


def _model_state(service: Service, is_up: bool, down: bool) -> tuple[str, str, Status | None]:
    if not service.newest_pod:
        return ("BlockedByFailedLoad", "FailedToLoad", None) if down else ("InProgress", "Pending", None)
    if (found := initializer_state(service.newest_pod)) is not None:
        return found
    if is_up:
        return "UpToDate", "Loaded", None
    if (failure := failed_container(service.newest_pod)) is not None:
        return "BlockedByFailedLoad", "FailedToLoad", failure
    return "InProgress", "Pending", None
