"""Revisions of a Knative InferenceService: their Deployments, and how each of them is. Pure.

A revision is played by its Deployment alone: no objects of ``serving.knative.dev`` are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.kserve import manifests
from sandbox.kserve.spec import InferenceService, Runtime

KNATIVE = "serving.knative.dev"
REVISION_LABEL = manifests.REVISION_LABEL
CONFIGURATION_LABEL = f"{KNATIVE}/configuration"
GENERATION_LABEL = f"{KNATIVE}/configurationGeneration"
SERVICE_LABEL = f"{KNATIVE}/service"
HASH_LABEL = f"{KNATIVE}/deployment-hash"
AUTOSCALING = "autoscaling.knative.dev/"
# Fields that Knative's own webhook refuses: of the container always, of the pod as its features are shipped.
CONTAINER_FIELDS = ("lifecycle",)
POD_FIELDS = (
    "affinity",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "securityContext",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
)

Template = dict[str, Any]


def template(isvc: InferenceService, runtime: Runtime) -> Template:
    """The template that the Knative Service gets: a change of it is a new revision, a change of traffic is none."""
    found = manifests.pod_template(isvc, runtime)
    del found["metadata"]["labels"]["app"]
    scale = {f"{AUTOSCALING}min-scale": str(isvc.predictor.get("minReplicas", 1))}
    if isvc.predictor.get("maxReplicas"):
        scale[f"{AUTOSCALING}max-scale"] = str(isvc.predictor["maxReplicas"])
    found["metadata"]["annotations"] |= scale
    return found


def refused(wanted: Template) -> str | None:
    """What Knative's webhook says to fields that it does not take."""
    pod = wanted["spec"]
    fields = [f"spec.template.spec.{field}" for field in POD_FIELDS if field in pod]
    container = pod["containers"][0]
    fields += [
        f"spec.template.spec.containers[0].{field}" for field in CONTAINER_FIELDS if field in container
    ]
    if not fields:
        return None
    return (
        'fails to reconcile knative service: admission webhook "validation.webhook.serving.knative.dev" denied '
        f"the request: validation failed: must not set the field(s): {', '.join(sorted(fields))}"
    )


def revision_name(isvc: InferenceService, generation: int) -> str:
    return f"{manifests.predictor_name(isvc.name)}-{generation:05}"


def deployment(isvc: InferenceService, wanted: Template, generation: int, deadline: float) -> dict[str, Any]:
    """The Deployment of a new revision."""
    revision, service = revision_name(isvc, generation), manifests.predictor_name(isvc.name)
    labels = wanted["metadata"]["labels"] | {
        "app": revision,
        REVISION_LABEL: revision,
        CONFIGURATION_LABEL: service,
        GENERATION_LABEL: str(generation),
        SERVICE_LABEL: service,
    }
    annotations = {
        key: value
        for key, value in wanted["metadata"]["annotations"].items()
        if not key.startswith(AUTOSCALING)
    }
    found = manifests.deployment_with(
        isvc, {**wanted, "metadata": {"labels": labels, "annotations": annotations}}
    )
    found["metadata"]["name"] = manifests.revision_deployment(revision)
    found["metadata"]["labels"] = labels | {HASH_LABEL: manifests.template_hash(wanted)}
    found["spec"] |= {
        "progressDeadlineSeconds": max(1, round(deadline)),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
    }
    return found


@dataclass(frozen=True)
class Revision:
    """One revision as it was found.

    Attributes
    ----------
    generation
        Its number.
    template_hash
        Of the template that it was made of.
    was_ready
        Whether it was ever ready: one without pods, because it has no traffic, still is.
    wanted, ready
        Replicas asked for, and ready pods.
    failure
        Reason and message, of one that cannot come up.
    """

    name: str
    generation: int
    template_hash: str
    was_ready: bool
    wanted: int
    ready: int
    failure: tuple[str, str] | None = None

    @property
    def is_ready(self) -> bool:
        return self.ready > 0 or (self.was_ready and self.failure is None)


def latest_ready(found: Sequence[Revision], before: str) -> str:
    """The newest revision that is ready; never an older one than `before`, which was it until now."""
    oldest = next((one.generation for one in found if one.name == before), 0)
    ready = [one for one in found if one.is_ready and one.generation >= oldest]
    return max(ready, key=lambda one: one.generation).name if ready else before


def failure(
    deployment_status: Mapping[str, Any], pod: Mapping[str, Any], ready: int
) -> tuple[str, str] | None:
    """Why a revision cannot come up: how its container ended, or that its deadline is over."""
    if ready:
        return None
    for container in pod.get("containerStatuses") or []:
        ended = (container.get("lastState") or {}).get("terminated")
        if ended:
            code = int(ended.get("exitCode", 0))
            told = ended.get("message") or ("" if code else "container exited with no error")
            return f"ExitCode{code}", f"Container failed with: {told}"
    for condition in deployment_status.get("conditions") or []:
        if condition["type"] == "Progressing" and condition["status"] == "False":
            return condition["reason"], condition["message"]
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return condition["reason"], condition["message"]
    return None
