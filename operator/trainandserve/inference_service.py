"""The InferenceService that is applied. Pure: what goes in is the resource, its target and the settings.

Every field here is ours by server-side apply; a field that is not here stays whatever others make of it. Any change of
labels or annotations restarts the model server's pods (seen on KServe v0.20), so they change with the model and never alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from . import names
from .observation import Policy
from .resource import API_VERSION, KIND, Resources, Serving, Target, TrainAndServe

API = "serving.kserve.io/v1beta1"
DEFAULT_RUNTIME = "kserve-tensorflow-serving"
_PROBE_PORT = 8080


def manifest(
    resource: TrainAndServe,
    target: Target,
    policy: Policy,
    mode: str = "Standard",
    canary: int | None = None,
) -> dict[str, Any]:
    """The InferenceService for one version.

    Parameters
    ----------
    mode
        Standard or Knative: that of the one that exists, for it cannot be changed.
    canary
        In Knative mode, the percentage of the requests that the version gets; None: all.
    """
    body: dict[str, Any] = {
        "apiVersion": API,
        "kind": "InferenceService",
        "metadata": {
            "name": resource.metadata.name,
            "namespace": resource.metadata.namespace,
            "labels": {names.OWNER: resource.metadata.name},
            "annotations": _annotations(resource),
            "ownerReferences": [owner_reference(resource)],
        },
        "spec": {"predictor": _predictor(resource, target, policy)},
    }
    return _in_knative(body, canary) if mode == "Knative" else body


def _in_knative(body: dict[str, Any], canary: int | None) -> dict[str, Any]:
    """As Knative takes it: its webhook refuses a container's lifecycle, and it ends pods only when nobody is sent there."""
    body["metadata"]["annotations"] |= {names.DEPLOYMENT_MODE: "Knative", names.TAG_ROUTING: "true"}
    body["spec"]["predictor"]["model"].pop("lifecycle", None)
    if canary is not None:
        body["spec"]["predictor"]["canaryTrafficPercent"] = canary
    return body


def candidate_manifest(resource: TrainAndServe, target: Target, policy: Policy, name: str) -> dict[str, Any]:
    """The second InferenceService, for one version: as the first would be, with one replica and no way from outside.

    Nobody is sent to it, so nobody must be kept from it at its end: it has no preStop.
    """
    body = manifest(resource, target, policy)
    body["metadata"]["name"] = name
    body["metadata"]["labels"] |= {names.ROLE: "candidate", names.VISIBILITY: "cluster-local"}
    body["spec"]["predictor"] |= {"minReplicas": 1, "maxReplicas": 1}
    model = body["spec"]["predictor"]["model"]
    model["readinessProbe"]["httpGet"]["path"] = _model_path(name)
    model.pop("lifecycle", None)
    return body


def _model_path(name: str) -> str:
    return f"/v1/models/{name}"


def owner_reference(resource: TrainAndServe) -> dict[str, Any]:
    """What makes our resource the controller of the InferenceService, and has it collected with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": resource.metadata.name,
        "uid": resource.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _annotations(resource: TrainAndServe) -> dict[str, str]:
    # The shipped default of KServe is another mode, which refuses to work without Knative.
    found = {names.DEPLOYMENT_MODE: "Standard"}
    if resource.spec.storage.secret_name:
        found[names.STORAGE_SECRET] = resource.spec.storage.secret_name
    return found


def _predictor(resource: TrainAndServe, target: Target, policy: Policy) -> dict[str, Any]:
    serving = resource.spec.serve
    predictor: dict[str, Any] = {
        "annotations": _lineage(target),
        "minReplicas": serving.min_replicas or 1,
        "model": _model(resource, serving, target, policy),
    }
    if policy.istio_sidecar is not None:
        predictor["annotations"][names.ISTIO_INJECT] = str(policy.istio_sidecar).lower()
    if serving.max_replicas is not None:
        predictor["maxReplicas"] = serving.max_replicas
    if serving.service_account_name:
        predictor["serviceAccountName"] = serving.service_account_name
    if serving.node_selector:
        predictor["nodeSelector"] = dict(serving.node_selector)
    if serving.tolerations:
        predictor["tolerations"] = [one.dump() for one in serving.tolerations]
    return predictor


def _lineage(target: Target) -> dict[str, str]:
    return {
        names.MODEL_VERSION: str(target.version),
        names.RUN_ID: target.run_id,
        names.RESULT_DIGEST: target.result_digest,
        names.TRAINING_HASH: target.training_hash,
    }


def _model(resource: TrainAndServe, serving: Serving, target: Target, policy: Policy) -> dict[str, Any]:
    runtime = serving.runtime or DEFAULT_RUNTIME
    model: dict[str, Any] = {
        "modelFormat": {"name": serving.model_format or "tensorflow"},
        "runtime": runtime,
        "protocolVersion": serving.protocol_version or "v1",
        "storageUri": target.uri,
        # A server that ends on loading its model says why in its last lines; without this only an exit code is left.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "readinessProbe": {
            "httpGet": {"path": _model_path(resource.metadata.name), "port": _PROBE_PORT},
            "periodSeconds": 2,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
    }
    if policy.pre_stop and runtime not in policy.pre_stop_runtimes_with_own:
        model["lifecycle"] = {"preStop": {"sleep": {"seconds": int(policy.pre_stop.total_seconds())}}}
    if resources := _resources(serving.resources):
        model["resources"] = resources
    return model


def _resources(resources: Resources | None) -> dict[str, Any]:
    return resources.dump() if resources else {}


def differs(wanted: Any, live: Any, path: tuple[str, ...] = ()) -> bool:
    """Whether a field that we set is otherwise in the live object. Fields that we do not set do not count.

    Quantities are compared by value: the API server's admission may write ``1000m`` as ``1``.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return True
        return any(differs(value, live.get(key), (*path, key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        if path[-1:] == ("ownerReferences",):
            return any(one not in (live or ()) for one in wanted)
        return not isinstance(live, list) or len(wanted) != len(live) or any(map(differs, wanted, live))
    if "resources" in path and live is not None:
        return quantity(wanted) != quantity(live)
    return bool(wanted != live)


def left_over(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether the live object holds a field that we once applied and do not set any more; an apply takes it away.

    What is ours there is said by ``metadata.managedFields``; the same field set by somebody else is none of ours.
    """
    entries = live.get("metadata", {}).get("managedFields") or ()
    return any(_not_wanted(entry.get("fieldsV1") or {}, wanted) for entry in entries if is_our_apply(entry))


def is_our_apply(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of managedFields tells what we applied."""
    return entry.get("manager") == names.FIELD_MANAGER and entry.get("operation") == "Apply"


def _not_wanted(owned: Mapping[str, Any], wanted: Any) -> bool:
    for name, inner in owned.items():
        if not name.startswith("f:"):
            continue  # the field itself (.), or an item of a list
        if not isinstance(wanted, Mapping) or name[2:] not in wanted or _not_wanted(inner, wanted[name[2:]]):
            return True
    return False


_UNITS: dict[str, Decimal] = {"": Decimal(1), "m": Decimal("0.001"), "K": Decimal(1000)}
_UNITS |= {unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def quantity(value: object) -> Decimal | str:
    """A Kubernetes quantity as a number; the text itself where it is none."""
    text = str(value)
    number = text.rstrip("mkKMGTPEi")
    try:
        return Decimal(number) * _UNITS[text[len(number) :]]
    except (InvalidOperation, KeyError):
        return text
