"""The pods of steps: their manifests, and the states that a kubelet and a scheduler would write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.kfp.clock import now, stamp
from sandbox.kfp.execution import SubmittedRun
from sandbox.kfp.nodes import WorkflowNodes

Manifest = dict[str, Any]
MAIN = "main"
SCHEDULER = "trainandserve-sandbox"
"""Nobody's: on a cluster that has a scheduler, it must leave these pods alone."""

_RESOURCES = {"resourceCpuLimit": ("limits", "cpu"), "resourceMemoryLimit": ("limits", "memory")}
_RESOURCES |= {"resourceCpuRequest": ("requests", "cpu"), "resourceMemoryRequest": ("requests", "memory")}


@dataclass(frozen=True)
class Blocked:
    """Why a pod does not run.

    Attributes
    ----------
    reason, message
        As the kubelet (a waiting container) or the scheduler (`scheduled` False) words them.
    """

    reason: str
    message: str
    scheduled: bool = True

    @property
    def node_message(self) -> str:
        return f"{self.reason}: {self.message}"

    @property
    def later(self) -> Blocked:
        """The same block once the kubelet has tried again and waits longer."""
        if self.reason != "ErrImagePull":
            return self
        image = self.message.split('"')[1]
        return Blocked("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {self.message}')


@dataclass(frozen=True)
class PodRules:
    """What this machine would run.

    Attributes
    ----------
    known_images
        Prefixes of images that can be pulled; empty: all can.
    node_labels
        Labels of the one node.
    """

    known_images: tuple[str, ...] = ()
    node_labels: Mapping[str, str] | None = None

    async def block(self, submitted: SubmittedRun, task: str) -> Blocked | None:
        """Why the pod of a task cannot run now, None if it can."""
        return (
            self._placement(submitted, task)
            or self._image(submitted, task)
            or await _secrets(submitted, task)
        )

    def _placement(self, submitted: SubmittedRun, task: str) -> Blocked | None:
        wanted = (submitted.pipeline.kubernetes(task).get("nodeSelector") or {}).get("labels") or {}
        labels = self.node_labels or {}
        if all(labels.get(key) == value for key, value in wanted.items()):
            return None
        text = (
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
        return Blocked("Unschedulable", text, scheduled=False)

    def _image(self, submitted: SubmittedRun, task: str) -> Blocked | None:
        image = str(submitted.pipeline.container(task).get("image", ""))
        if not self.known_images or not image or image.startswith(self.known_images):
            return None
        failed = f'failed to pull and unpack image "{image}"'
        text = f'{failed}: failed to resolve reference "{image}": {image}: not found'
        return Blocked("ErrImagePull", text)


async def _secrets(submitted: SubmittedRun, task: str) -> Blocked | None:
    for variable in submitted.pipeline.secret_variables(task, submitted.parameters):
        if variable.optional:
            continue
        values = await submitted.read_secret(variable.secret)
        if values is None:
            return Blocked("CreateContainerConfigError", f'secret "{variable.secret}" not found')
        if variable.key not in values:
            where = f"{submitted.namespace}/{variable.secret}"
            return Blocked(
                "CreateContainerConfigError", f"couldn't find key {variable.key} in Secret {where}"
            )
    return None


def step_pod(
    submitted: SubmittedRun, nodes: WorkflowNodes, task: str, attempt: int, owner: Manifest
) -> Manifest:
    """The pod of one attempt at a task. It is bound to no node: nothing but the stand-in acts on it."""
    name = f"{nodes.executor(task)}({attempt})"
    platform = submitted.pipeline.kubernetes(task)
    labels = dict((platform.get("podMetadata") or {}).get("labels") or {})
    labels |= {
        "pipeline/runid": submitted.run_id,
        "pipelines.kubeflow.org/v2_component": "true",
        "workflows.argoproj.io/workflow": submitted.workflow,
        "workflows.argoproj.io/completed": "false",
    }
    annotations = {
        "workflows.argoproj.io/node-name": name,
        "workflows.argoproj.io/node-id": nodes.node_id(name),
        "kubectl.kubernetes.io/default-container": MAIN,
    }
    return {
        "metadata": {
            "name": nodes.pod_name(name, "system-container-impl"),
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [_owner(owner)],
        },
        "spec": _pod_spec(submitted, task, owner["spec"].get("serviceAccountName", "default")),
    }


def _owner(workflow: Manifest) -> Manifest:
    named = {"name": workflow["metadata"]["name"], "uid": workflow["metadata"]["uid"]}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "controller": True, **named}


def _pod_spec(submitted: SubmittedRun, task: str, service_account: str) -> Manifest:
    container = submitted.pipeline.container(task)
    platform = submitted.pipeline.kubernetes(task)
    pulls = [{"secretName": entry.get("secretName", "")} for entry in platform.get("imagePullSecret") or []]
    spec: Manifest = {
        "restartPolicy": "Never",
        "schedulerName": SCHEDULER,
        "serviceAccountName": service_account,
        "nodeSelector": dict((platform.get("nodeSelector") or {}).get("labels") or {}),
        "tolerations": [dict(entry) for entry in platform.get("tolerations") or []],
        "imagePullSecrets": [{"name": pull["secretName"]} for pull in pulls if pull["secretName"]],
        "containers": [
            {
                "name": MAIN,
                "image": container.get("image") or "none",
                "env": _environment(submitted, task),
                "resources": _resources(container),
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
    }
    if platform.get("activeDeadlineSeconds"):
        spec["activeDeadlineSeconds"] = int(platform["activeDeadlineSeconds"])
    return spec


def _environment(submitted: SubmittedRun, task: str) -> list[Manifest]:
    plain = [{"name": env["name"], "value": env.get("value", "")} for env in _env(submitted, task)]
    secret = [
        {
            "name": variable.name,
            "valueFrom": {
                "secretKeyRef": {"name": variable.secret, "key": variable.key, "optional": variable.optional}
            },
        }
        for variable in submitted.pipeline.secret_variables(task, submitted.parameters)
        if variable.secret
    ]
    return plain + secret


def _env(submitted: SubmittedRun, task: str) -> list[Manifest]:
    return list(submitted.pipeline.container(task).get("env") or [])


def _resources(container: Manifest) -> Manifest:
    given = container.get("resources") or {}
    resources: dict[str, dict[str, str]] = {}
    for key, (section, name) in _RESOURCES.items():
        if given.get(key):
            resources.setdefault(section, {})[name] = str(given[key])
    accelerator = given.get("accelerator") or {}
    if accelerator.get("resourceType"):
        resources.setdefault("limits", {})[accelerator["resourceType"]] = str(
            accelerator.get("resourceCount", "1")
        )
    return resources


def blocked_status(image: str, block: Blocked) -> Manifest:
    """Status of a pod that waits."""
    if not block.scheduled:
        return {
            "phase": "Pending",
            "conditions": [_condition("PodScheduled", "False", block.reason, block.message)],
        }
    waiting = {"waiting": {"reason": block.reason, "message": block.message}}
    return {
        "phase": "Pending",
        "conditions": [
            _condition("PodScheduled", "True"),
            _condition("Ready", "False", "ContainersNotReady"),
        ],
        "containerStatuses": [_container_status(image, waiting)],
    }


def running_status(image: str) -> Manifest:
    running = {"running": {"startedAt": stamp(now())}}
    return {
        "phase": "Running",
        "startTime": stamp(now()),
        "conditions": [_condition("PodScheduled", "True"), _condition("Ready", "True")],
        "containerStatuses": [_container_status(image, running, ready=True)],
    }


def ended_status(image: str, exit_code: int, message: str, reason: str | None = None) -> Manifest:
    """Status of a pod whose step ended; the message is the end of its log (policy FallbackToLogsOnError)."""
    terminated: Manifest = {
        "exitCode": exit_code,
        "reason": "Completed" if exit_code == 0 else "Error",
        "finishedAt": stamp(now()),
    }
    if message and exit_code:
        terminated["message"] = message[-2048:]
    status = {
        "phase": "Succeeded" if exit_code == 0 else "Failed",
        "conditions": [_condition("PodScheduled", "True"), _condition("Ready", "False", "PodCompleted")],
        "containerStatuses": [_container_status(image, {"terminated": terminated})],
    }
    return status | ({"reason": reason} if reason else {})


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Manifest:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": stamp(now()),
    }


def _container_status(image: str, state: Manifest, ready: bool = False) -> Manifest:
    return {
        "name": MAIN,
        "image": image or "none",
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
    }
