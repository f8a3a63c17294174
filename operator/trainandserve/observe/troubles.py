"""Why does a run, or a model server, not move? What Workflow nodes and pods say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from .. import names, reasons
from ..gateways.errors import brief, last_words
from ..observation import InferenceService, Problem, RunPods, ServerTrouble
from ..resource import Run, Target
from ..steps import is_executor, step_of
from .workflows import WORKFLOWS, run_namespace
from .world import World

Json = Mapping[str, Any]

_WAITING_TROUBLE = {
    "ErrImagePull": "the image cannot be pulled",
    "ImagePullBackOff": "the image cannot be pulled",
    "InvalidImageName": "the image's name is not valid",
    "ErrImageNeverPull": "the image is not on the node",
    "CreateContainerConfigError": "the container cannot be configured",
    "CreateContainerError": "the container cannot be created",
    "CrashLoopBackOff": "the container ends again and again",
}
_OF_THE_MODEL = "CrashLoopBackOff"
"""The one wait that a model may be the reason of; the others are a matter of images, configuration and nodes."""
_FAILED_RESTARTS = 3
"""Restarts after which a load counts as failed for good: two may be bad luck with a node or the network."""

_LAST_WORDS = 600
"""Characters of what a model server wrote last."""


async def run_pods(world: World, namespace: str, run: Run) -> RunPods:
    """What a run's pods and its Workflow's nodes say.

    Raises
    ------
    GatewayError
        The API server does not answer, or does not let the operator look.
    """
    where = await run_namespace(world, namespace)
    pods = await world.kubernetes.list_all(
        f"/api/v1/namespaces/{where}/pods", f"{names.KFP_RUN_LABEL}={run.id}"
    )
    flows = await world.kubernetes.list_all(
        f"{WORKFLOWS}/namespaces/{where}/workflows", f"{names.KFP_RUN_LABEL}={run.id}"
    )
    trouble, waits = _pod_trouble(pods)
    return RunPods(
        train_started_at=_train_started(pods),
        trouble=trouble,
        waits_for_node=waits,
        failure=_failure(flows, pods),
    )


def _pod_trouble(pods: Sequence[Json]) -> tuple[Problem | None, bool]:
    for pod in pods:
        step = step_of(pod)
        for condition in pod.get("status", {}).get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
                words = f"step {step} waits for a node: {brief(condition.get('message'))}; where its placement was wrong, "
                words += "correct it and set the annotation trainandserve.io/retrain to a new value"
                return Problem(reasons.RUN_STUCK, words), True
        for waiting in _waiting(pod):
            reason = str(waiting.get("reason", ""))
            if reason in _WAITING_TROUBLE:
                text = f"step {step}: {_WAITING_TROUBLE[reason]} ({reason}): {brief(waiting.get('message'))}"
                return Problem(reasons.RUN_STUCK, text), False
    return None, False


def _waiting(pod: Json) -> Iterator[Json]:
    status = pod.get("status", {})
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            if waiting := (container.get("state") or {}).get("waiting"):
                yield waiting


def _train_started(pods: Sequence[Json]) -> datetime | None:
    """When the train step's own container began to run; waiting for a node does not count."""
    for pod in pods:
        if step_of(pod) != "train" or not is_executor(pod):
            continue
        for container in pod.get("status", {}).get("containerStatuses") or ():
            state = container.get("state") or {}
            started = (state.get("running") or state.get("terminated") or {}).get("startedAt")
            if started:
                return datetime.fromisoformat(started)
    return None


def _failure(flows: Sequence[Json], pods: Sequence[Json]) -> str | None:
    """The failing step and what it said last. Kubeflow Pipelines itself keeps no such text."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses") or ():
            ended = (container.get("state") or {}).get("terminated") or {}
            if ended.get("exitCode") and container.get("name") in ("main", None, "user"):
                words = last_words(ended.get("message")) or f"exit code {ended['exitCode']}"
                return f"step {step_of(pod)} failed: {words}"
    for flow in flows:
        nodes: list[Json] = list((flow.get("status", {}).get("nodes") or {}).values())
        for node in nodes:
            if node.get("type") == "Pod" and node.get("phase") in ("Failed", "Error") and node.get("message"):
                return f"step {_node_step(node, nodes)} failed: {brief(node['message'])}"
        if message := flow.get("status", {}).get("message"):
            return brief(message)
    return None


def _node_step(node: Json, nodes: Sequence[Json]) -> str:
    """The step of a pod's node: the node's own path says it, else its display name."""
    parts = [part.split("(")[0] for part in str(node.get("name", "")).split(".")]
    inner = [part for part in parts[1:] if part not in ("root", "executor")]
    return inner[-1].removesuffix("-driver") if inner else str(node.get("displayName", "?")).split("(")[0]


async def server_pods(world: World, service: InferenceService, target: Target) -> list[Json]:
    """An InferenceService's pods of the target's run.

    Raises
    ------
    GatewayError
        The API server does not answer, or does not let the operator look.
    """
    namespace = service.metadata["namespace"]
    selector = f"{names.INFERENCE_SERVICE_LABEL}={service.metadata['name']}"
    pods = await world.kubernetes.list_all(f"/api/v1/namespaces/{namespace}/pods", selector)
    return [
        pod for pod in pods if (pod["metadata"].get("annotations") or {}).get(names.RUN_ID) == target.run_id
    ]


def restarts(pods: Sequence[Json]) -> int:
    """How often containers of these pods were started again."""
    containers = (one for pod in pods for one in pod.get("status", {}).get("containerStatuses") or ())
    return sum(int(one.get("restartCount") or 0) for one in containers)


def server_trouble(pods: Sequence[Json]) -> ServerTrouble | None:
    """Why pods of a model server are not ready; None where nothing is wrong with them, or none are there yet."""
    found = [trouble for pod in pods if (trouble := _server_pod(pod))]
    for_good = next((trouble for trouble in found if trouble.for_good), None)
    return for_good or next(iter(found), None)


def _server_pod(pod: Json) -> ServerTrouble | None:
    status = pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return ServerTrouble(f"its pod waits for a node: {brief(condition.get('message'))}", waits=True)
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            ended = _ended(container)
            if (container.get("state") or {}).get("terminated", {}).get("exitCode") == 0:
                continue  # an initializer that was tried again and has done its work
            if ended is None and waiting.get("reason") not in _WAITING_TROUBLE:
                continue
            words = last_words((ended or {}).get("message"), _LAST_WORDS) or brief(
                waiting.get("message") or waiting.get("reason"), _LAST_WORDS
            )
            code = f" (exit code {ended['exitCode']})" if ended else ""
            waits = ended is None and waiting.get("reason") != _OF_THE_MODEL
            for_good = container.get("restartCount", 0) >= _FAILED_RESTARTS and not waits
            return ServerTrouble(f"{container['name']}{code}: {words}", for_good, waits)
    return None


def _ended(container: Json) -> Json | None:
    """How the container last ended, if it failed."""
    for state in (container.get("state") or {}, container.get("lastState") or {}):
        ended: Json | None = state.get("terminated")
        if ended and ended.get("exitCode"):
            return ended
    return None
