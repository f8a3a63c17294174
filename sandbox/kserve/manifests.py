"""The Deployment, ReplicaSet and Pod that an InferenceService turns into. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sandbox.kserve.spec import (
    GROUP,
    ISVC_LABEL,
    LAST_APPLIED_ANNOTATION,
    SOURCE_URI_ANNOTATION,
    VERSION,
    InferenceService,
    Runtime,
)

CONTAINER = "kserve-container"
STORAGE_INITIALIZER = "storage-initializer"
HASH_LABEL = "pod-template-hash"
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
NODE = "sandbox"
MODEL_FOLDER = "/mnt/models"
REVISION_LABEL = "serving.knative.dev/revision"
_HASH_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, nothing that looks like another

# Fields of the predictor that are fields of the pod.
POD_FIELDS = (
    "affinity",
    "automountServiceAccountToken",
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
)
# Fields of the model that are not fields of a container.
MODEL_FIELDS = frozenset({"modelFormat", "name", "protocolVersion", "runtime", "storage", "storageUri"})


def predictor_name(isvc_name: str) -> str:
    return f"{isvc_name}-predictor"


def revision_deployment(revision: str) -> str:
    return f"{revision}-deployment"


def deployment_of(pod_object: Mapping[str, Any]) -> str:
    """Name of the Deployment that a pod belongs to."""
    labels = pod_object["metadata"]["labels"]
    if revision := labels.get(REVISION_LABEL):
        return revision_deployment(revision)
    return predictor_name(labels[ISVC_LABEL])


def merged(base: Any, over: Any) -> Any:
    """`over` laid on `base`: objects key by key, lists of named things by name, anything else replaced."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        keys = [*base, *(key for key in over if key not in base)]
        return {key: merged(base.get(key), over[key]) if key in over else base[key] for key in keys}
    if _named(base) and _named(over):
        rows = {row["name"]: row for row in base}
        for row in over:
            rows[row["name"]] = merged(rows.get(row["name"]), row)
        return list(rows.values())
    return over


def _named(rows: Any) -> bool:
    return isinstance(rows, list) and bool(rows) and all(isinstance(r, Mapping) and "name" in r for r in rows)


def model_container(isvc: InferenceService, runtime: Runtime) -> dict[str, Any]:
    """The runtime's container with the model's container fields merged over it (arguments are joined)."""
    own = {key: value for key, value in isvc.model.items() if key not in MODEL_FIELDS}
    container: dict[str, Any] = merged(runtime.container, own)
    arguments = [f"--model_name={isvc.name}", *runtime.container.get("args", []), *own.get("args", [])]
    container |= {"name": CONTAINER, "args": arguments}
    container.setdefault("ports", [{"containerPort": 8080, "name": "http", "protocol": "TCP"}])
    # Ready as soon as the port is open: the model's own readiness counts only where a probe asks for it.
    container.setdefault("readinessProbe", {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 0})
    container["volumeMounts"] = [{"name": "model", "mountPath": MODEL_FOLDER, "readOnly": True}]
    return container


def pod_template(isvc: InferenceService, runtime: Runtime) -> dict[str, Any]:
    """The pod template: metadata of the InferenceService and of the predictor, which has the last word."""
    predictor = isvc.predictor
    spec = {field: predictor[field] for field in POD_FIELDS if field in predictor}
    spec["containers"] = [model_container(isvc, runtime)]
    spec["initContainers"] = [
        {
            "name": STORAGE_INITIALIZER,
            "image": "kserve/storage-initializer:v0.20.0",
            "args": [isvc.storage_uri, MODEL_FOLDER],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [{"name": "model", "mountPath": MODEL_FOLDER}],
        }
    ]
    spec["volumes"] = [*spec.get("volumes", []), {"name": "model", "emptyDir": {}}]
    return {
        "metadata": {"labels": _template_labels(isvc), "annotations": _template_annotations(isvc)},
        "spec": spec,
    }


def _template_labels(isvc: InferenceService) -> dict[str, str]:
    own = {
        "app": f"isvc.{predictor_name(isvc.name)}",
        "component": "predictor",
        ISVC_LABEL: isvc.name,
    }
    return isvc.labels | (isvc.predictor.get("labels") or {}) | own


def _template_annotations(isvc: InferenceService) -> dict[str, str]:
    annotations = isvc.annotations | isvc.defaulted_annotations | (isvc.predictor.get("annotations") or {})
    annotations.pop(LAST_APPLIED_ANNOTATION, None)
    return annotations | {SOURCE_URI_ANNOTATION: isvc.storage_uri}


def owner(api_version: str, kind: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def deployment(isvc: InferenceService, runtime: Runtime, deadline: float) -> dict[str, Any]:
    """The whole Deployment, so that a replace with it undoes whatever somebody edited."""
    found = deployment_with(isvc, pod_template(isvc, runtime))
    found["spec"] |= {
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
        },
        "progressDeadlineSeconds": max(1, round(deadline)),
    }
    return found


def deployment_with(isvc: InferenceService, template: Mapping[str, Any]) -> dict[str, Any]:
    """A Deployment with a template, and with the template's labels and annotations for its own."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": predictor_name(isvc.name),
            "namespace": isvc.namespace,
            "labels": dict(template["metadata"]["labels"]),
            "annotations": dict(template["metadata"]["annotations"]),
            "ownerReferences": [owner(f"{GROUP}/{VERSION}", "InferenceService", isvc.metadata)],
        },
        "spec": {
            "replicas": isvc.replicas,
            "selector": {"matchLabels": {"app": template["metadata"]["labels"]["app"]}},
            "template": template,
        },
    }


def template_hash(template: Mapping[str, Any]) -> str:
    """Ten characters that differ when the template does, as in ``pod-template-hash``."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(_HASH_ALPHABET[byte % len(_HASH_ALPHABET)] for byte in digest[:10])


def replica_set(
    deployment_object: Mapping[str, Any], template: Mapping[str, Any], revision: int
) -> dict[str, Any]:
    """The ReplicaSet of one template."""
    metadata, found = deployment_object["metadata"], template_hash(template)
    labels = template["metadata"]["labels"] | {HASH_LABEL: found}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{found}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {REVISION_ANNOTATION: str(revision)},
            "ownerReferences": [owner("apps/v1", "Deployment", metadata)],
        },
        "spec": {
            "replicas": deployment_object["spec"]["replicas"],
            "selector": {"matchLabels": {"app": labels["app"], HASH_LABEL: found}},
            "template": {**template, "metadata": template["metadata"] | {"labels": labels}},
        },
    }


def pod(replica_set_object: Mapping[str, Any], environment: list[dict[str, Any]]) -> dict[str, Any]:
    """A pod of a ReplicaSet, its storage initializer given `environment` (as KServe's pod webhook does).

    It names a node, so that the API server waits for "its kubelet" (the stand-in) when somebody deletes it.
    """
    metadata, template = replica_set_object["metadata"], replica_set_object["spec"]["template"]
    initializer, *others = template["spec"]["initContainers"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": dict(template["metadata"]["labels"]),
            "annotations": dict(template["metadata"]["annotations"]),
            "ownerReferences": [owner("apps/v1", "ReplicaSet", metadata)],
        },
        "spec": template["spec"]
        | {"nodeName": NODE, "initContainers": [initializer | {"env": environment}, *others]},
    }
