"""What an InferenceService's status says, lies included: they are the real one's. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.kserve.manifests import CONTAINER, STORAGE_INITIALIZER
from sandbox.kserve.rollout import rfc3339
from sandbox.kserve.spec import Finding, InferenceService, Problem

Status = dict[str, Any]
Condition = tuple[str, str | None, str | None]  # status, reason, message
# Conditions that Ready does not depend on: knative.dev/pkg writes them with this severity.
INFORMATIVE = frozenset(
    {
        "LatestDeploymentReady",
        "PredictorConfigurationReady",
        "PredictorRouteReady",
        "RoutesReady",
        "Stopped",
    }
)
NO_INGRESS = "Predictor ingress not created"


@dataclass(frozen=True)
class Workload:
    """What runs for an InferenceService.

    Attributes
    ----------
    deployment_status
        Empty as long as no controller has looked at the Deployment.
    newest_pod
        Status of the newest pod of the wanted template.
    ready_pods
        Ready pods, those on their way out included: KServe counts them too.
    url
        Where the InferenceService answers.
    """

    runtime: str
    deployment_status: Mapping[str, Any]
    newest_pod: Mapping[str, Any]
    ready_pods: int
    url: str


def running(isvc: InferenceService, workload: Workload, now: datetime) -> Status:
    """The status of an InferenceService with a Deployment.

    ``observedGeneration`` is the Deployment's; Ready stays True during a rollout; ``lastFailureInfo``
    stays for good; the model becomes Loaded one write after Ready became True.
    """
    previous = isvc.status
    predictor = _predictor_ready(workload.deployment_status)
    is_up = predictor[0] == "True"
    ingress: Condition = ("True", None, None) if is_up else ("False", NO_INGRESS, None)
    conditions = {"IngressReady": ingress, "PredictorReady": predictor, "Ready": ingress}
    status = base(isvc, conditions | {"Stopped": ("False", None, None)}, now)
    status["servingRuntimeName"] = workload.runtime
    if "observedGeneration" in workload.deployment_status:
        status["observedGeneration"] = workload.deployment_status["observedGeneration"]
    status["components"] = {"predictor": {"url": workload.url} if is_up or "url" in previous else {}}
    if is_up or "url" in previous:  # once known, the address stays while the predictor is not ready
        status |= {"url": workload.url, "address": {"url": workload.url}}
    was_up = _condition_of(previous, "Ready").get("status") == "True"
    status["modelStatus"] = _model_status(
        previous.get("modelStatus") or {}, workload, is_up and was_up, predictor
    )
    return status


def _predictor_ready(deployment: Mapping[str, Any]) -> Condition:
    conditions = {condition["type"]: condition for condition in deployment.get("conditions", [])}
    if not conditions:
        return ("False", None, None)
    available, progressing = conditions["Available"], conditions["Progressing"]
    if available["status"] != "True":
        told = conditions.get("ReplicaFailure", available)
        return ("False", told["reason"], told["message"])
    if progressing["status"] != "True":
        return ("False", progressing["reason"], progressing["message"])
    told = progressing if progressing["reason"] == "NewReplicaSetAvailable" else available
    return ("True", told["reason"], told["message"])


def _model_status(previous: Mapping[str, Any], workload: Workload, up: bool, predictor: Condition) -> Status:
    active = (previous.get("states") or {}).get("activeModelState", "")
    transition, target, failure = _model_state(workload, up)
    copies: Status = {"failedCopies": 0}
    if predictor[0] == "True" or active:
        copies["totalCopies"] = workload.ready_pods
    if transition == "UpToDate":
        active = "Loaded"
    status: Status = {"transitionStatus": transition, "copies": copies}
    status["states"] = {"activeModelState": active, "targetModelState": target}
    if failure or "lastFailureInfo" in previous:
        status["lastFailureInfo"] = failure or previous["lastFailureInfo"]
    return status


def _model_state(workload: Workload, up: bool) -> tuple[str, str, Status | None]:
    """Transition, target and failure, by what KServe looks at: initializer, readiness, then the container.

    A crashing container is looked at only when the Deployment changes, so it counts after its deadline only.
    """
    if (found := initializer_state(workload.newest_pod)) is not None:
        return found
    if up:
        return "UpToDate", "Loaded", None
    conditions = {c["type"]: c for c in workload.deployment_status.get("conditions", [])}
    failure = failed_container(workload.newest_pod)
    if failure and conditions.get("Progressing", {}).get("status") == "False":
        return "BlockedByFailedLoad", "FailedToLoad", failure
    return "InProgress", "Pending", None


def initializer_state(pod: Mapping[str, Any]) -> tuple[str, str, Status | None] | None:
    """Transition, target and failure as the storage initializer has them; None once it is through."""
    initializer = _container(pod, "initContainerStatuses", STORAGE_INITIALIZER)
    if ended := _failed(initializer):
        return "BlockedByFailedLoad", "FailedToLoad", _load_failed(ended)
    if "running" in (initializer.get("state") or {}):
        return "InProgress", "Loading", None
    return None


def failed_container(pod: Mapping[str, Any]) -> Status | None:
    """The failure of a model server that ended; None for one that runs or waits."""
    ended = _failed(_container(pod, "containerStatuses", CONTAINER))
    return _load_failed(ended) if ended else None


def _load_failed(ended: Mapping[str, Any]) -> Status:
    failure: Status = {"exitCode": ended.get("exitCode", 1), "reason": "ModelLoadFailed"}
    return failure | ({"message": ended["message"]} if ended.get("message") else {})


def _container(pod_status: Mapping[str, Any], field: str, name: str) -> Mapping[str, Any]:
    return next((c for c in pod_status.get(field) or [] if c["name"] == name), {})


def _failed(container: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How a container ended that failed or is backing off; None for one that runs, waits or succeeded."""
    state = container.get("state") or {}
    if (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff":
        ended: Mapping[str, Any] = (container.get("lastState") or {}).get("terminated") or {"exitCode": 1}
        return ended
    ended = state.get("terminated") or {}
    return ended if ended.get("exitCode") else None


def stopped(isvc: InferenceService, now: datetime) -> Status:
    """The status under the stop annotation: no address, no model."""
    down: Condition = ("False", "Stopped", None)
    conditions = {"IngressReady": down, "PredictorReady": down, "Ready": down}
    status = base(isvc, conditions | {"Stopped": ("True", None, None)}, now)
    status["modelStatus"] = {"transitionStatus": ""}
    if "servingRuntimeName" in isvc.status:
        status["servingRuntimeName"] = isvc.status["servingRuntimeName"]
    return status


def refused(isvc: InferenceService, finding: Finding, runtime: str | None, now: datetime) -> Status:
    """The status when nothing can be deployed; what an earlier spec brought to serve stays as it was."""
    previous = isvc.status
    unknown: Condition = ("Unknown", None, None)
    failed: Condition = ("False", finding.problem.value, finding.message)
    told = failed if finding.problem is Problem.RECONCILE_FAILED else unknown
    status = base(isvc, {"IngressReady": unknown, "PredictorReady": told, "Ready": told}, now)
    status["modelStatus"] = {"transitionStatus": ""}
    if previous.get("conditions"):
        status = previous
    if finding.problem in (Problem.RUNTIME_NOT_RECOGNIZED, Problem.NO_SUPPORTING_RUNTIME):
        status = status | {"modelStatus": _invalid_spec(previous.get("modelStatus") or {}, finding)}
    if finding.problem is Problem.RECONCILE_FAILED:
        status.setdefault("components", {"predictor": {}})
        status.setdefault("servingRuntimeName", runtime)
    return status


def failed_reconcile(told: Status, isvc: InferenceService, message: str, now: datetime) -> Status:
    """The status with what the predictor's reconciler was refused, while what an earlier spec brought serves on."""
    failed: Condition = ("False", Problem.RECONCILE_FAILED.value, message)
    conditions = [
        _stamped(kind, failed, _condition_of(isvc.status, kind), now)
        if (kind := row["type"]) in ("PredictorReady", "Ready")
        else row
        for row in told["conditions"]
    ]
    return told | {"conditions": conditions}


def _invalid_spec(previous: Mapping[str, Any], finding: Finding) -> Status:
    active = (previous.get("states") or {}).get("activeModelState", "")
    return dict(previous) | {
        "transitionStatus": "InvalidSpec",
        "states": {"activeModelState": active, "targetModelState": "FailedToLoad"},
        "lastFailureInfo": {"reason": finding.problem.value, "message": finding.message},
    }


def base(isvc: InferenceService, conditions: Mapping[str, Condition], now: datetime) -> Status:
    """The part of the status that both modes have; conditions keep their time while they say the same."""
    stamped = [
        _stamped(kind, condition, _condition_of(isvc.status, kind), now)
        for kind, condition in sorted(conditions.items())
    ]
    return {"conditions": stamped, "deploymentMode": isvc.status_mode}


def _condition_of(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found: Sequence[Mapping[str, Any]] = status.get("conditions") or []
    return next((condition for condition in found if condition["type"] == kind), {})


def _stamped(kind: str, condition: Condition, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    said = {"type": kind, "status": condition[0], "reason": condition[1], "message": condition[2]}
    if kind in INFORMATIVE:
        said["severity"] = "Info"
    said = {key: value for key, value in said.items() if value is not None}
    if before and {k: v for k, v in before.items() if k != "lastTransitionTime"} == said:
        return dict(before)
    return said | {"lastTransitionTime": rfc3339(now)}
