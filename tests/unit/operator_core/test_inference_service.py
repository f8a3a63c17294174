"""The InferenceService that is applied, and when the live one is another."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.unit.builders import POLICY, UID, a_resource, a_target, owned_fields, run_id, seconds
from trainandserve.inference_service import differs, left_over, manifest, quantity

GOLDEN = f"""
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: mnist
  namespace: vision
  labels:
    trainandserve.io/name: mnist
  annotations:
    serving.kserve.io/deploymentMode: Standard
    serving.kserve.io/storageSecretName: object-store
  ownerReferences:
    - apiVersion: trainandserve.io/v1alpha1
      kind: TrainAndServe
      name: mnist
      uid: {UID}
      controller: true
      blockOwnerDeletion: true
spec:
  predictor:
    annotations:
      trainandserve.io/version: "3"
      trainandserve.io/run-id: {run_id(3)}
      trainandserve.io/result-digest: digest-3
      trainandserve.io/training-hash: "0123"
      sidecar.istio.io/inject: "false"
    minReplicas: 2
    maxReplicas: 4
    serviceAccountName: predictor
    nodeSelector: {{disk: ssd}}
    tolerations:
      - {{key: gpu, operator: Exists}}
    model:
      modelFormat: {{name: tensorflow}}
      runtime: kserve-tensorflow-serving
      protocolVersion: v1
      storageUri: s3://models/vision/mnist/3-{run_id(3)[:8]}/model/
      terminationMessagePolicy: FallbackToLogsOnError
      readinessProbe:
        httpGet: {{path: /v1/models/mnist, port: 8080}}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 3
      lifecycle:
        preStop: {{sleep: {{seconds: 6}}}}
      resources:
        limits: {{cpu: "1", memory: 1Gi}}
"""
SERVING = {
    "minReplicas": 2,
    "maxReplicas": 4,
    "serviceAccountName": "predictor",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
}
STORAGE = {"uri": "s3://models/", "secretName": "object-store"}
FULL = a_resource(storage=STORAGE, serving=SERVING)
TARGET = a_target(3, training_hash="0123")


def live(**changes: Any) -> dict[str, Any]:
    """The live object, with fields by their dotted path below predictor changed."""
    body = copy.deepcopy(manifest(FULL, TARGET, POLICY))
    for path, value in changes.items():
        *above, last = path.split("__")
        place: Any = body["spec"]["predictor"]
        for part in above:
            place = place[part]
        place[last] = value
    return body


def test_the_manifest_of_a_resource_with_everything_set() -> None:
    assert manifest(FULL, TARGET, replace(POLICY, istio_sidecar=False)) == yaml.safe_load(GOLDEN)


def test_the_manifest_of_a_resource_with_nothing_set() -> None:
    body = manifest(a_resource(), a_target(1), POLICY)
    predictor = body["spec"]["predictor"]
    assert body["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Standard"}
    assert set(predictor) == {"annotations", "minReplicas", "model"}
    assert "resources" not in predictor["model"]
    assert predictor["model"]["storageUri"].endswith("/model/")


def test_a_runtime_with_a_pre_stop_of_its_own_gets_none_of_ours() -> None:
    policy = replace(POLICY, pre_stop_runtimes_with_own=("mine",))
    assert (
        "lifecycle"
        not in manifest(a_resource(serving={"runtime": "mine"}), TARGET, policy)["spec"]["predictor"]["model"]
    )
    assert "lifecycle" in manifest(a_resource(), TARGET, policy)["spec"]["predictor"]["model"]


def test_annotations_and_labels_change_with_the_model_alone() -> None:
    """A change of either restarts the pods."""

    def marks(resource: Any, target: Any) -> Any:
        body = manifest(resource, target, POLICY)
        return (
            body["metadata"]["annotations"],
            body["metadata"]["labels"],
            body["spec"]["predictor"]["annotations"],
        )

    edited = a_resource(
        storage=STORAGE, serving={"minReplicas": 3}, annotations={"trainandserve.io/retrain": "x"}
    )
    again = TARGET.changed(since=TARGET.since + seconds(600), metrics={})
    assert marks(FULL, TARGET) == marks(edited, again)
    assert marks(FULL, TARGET) != marks(FULL, a_target(4))


def test_the_same_target_and_specification_make_the_same_manifest_whatever_the_status() -> None:
    served = FULL.changed(status=FULL.status.changed(phase="Serving", last_version=9))
    moved = served.changed(metadata=served.metadata.changed(generation=9, resource_version="9"))
    assert manifest(moved, TARGET.changed(since=TARGET.since + seconds(5)), POLICY) == manifest(
        FULL, TARGET, POLICY
    )


SAME = {
    "as it was applied": {},
    "a quantity by its value": {"model__resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}},
    "a field of others": {"timeout": 60, "model__name": "", "annotations__other": "x"},
    "a resource of others": {
        "model__resources": {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "1"}}
    },
}
OTHER = {
    "replicas": {"minReplicas": 1},
    "another model": {"model__storageUri": "s3://models/vision/mnist/2-x/model/"},
    "another run": {"annotations__trainandserve.io/run-id": "x"},
    "less memory": {"model__resources": {"limits": {"cpu": "1", "memory": "1G"}}},
    "a list with more in it": {
        "tolerations": [{"key": "gpu", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]
    },
    "a list that is gone": {"tolerations": None},
    "a map that is gone": {"model__resources": None},
    "a map that is no map": {"nodeSelector": "disk=ssd"},
    "an item of another kind": {"tolerations": [{"key": "gpu", "operator": "Equal"}]},
}


@pytest.mark.parametrize("name", SAME)
def test_what_is_as_we_applied_it_does_not_differ(name: str) -> None:
    assert not differs(manifest(FULL, TARGET, POLICY), live(**SAME[name]))


@pytest.mark.parametrize("name", OTHER)
def test_what_is_otherwise_differs(name: str) -> None:
    assert differs(manifest(FULL, TARGET, POLICY), live(**OTHER[name]))


def test_the_order_of_a_list_matters_but_not_among_owners() -> None:
    two = a_resource(
        serving={"tolerations": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]}
    )
    body = manifest(two, TARGET, POLICY)
    turned = copy.deepcopy(body)
    turned["spec"]["predictor"]["tolerations"].reverse()
    assert differs(body, turned)
    owned = copy.deepcopy(body)
    owned["metadata"]["ownerReferences"].insert(0, {"uid": "another"})
    assert not differs(body, owned)
    owned["metadata"]["ownerReferences"].pop()
    assert differs(body, owned)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("1", 1, True), ("1000m", "1", True), ("0.5", "500m", True), ("1Gi", "1024Mi", True), ("1G", "1Gi", False),
     ("1e3", "1k", True), ("2", "3", False), ("nonsense", "nonsense", True), ("nonsense", "1", False)],
)  # fmt: skip
def test_quantities_are_compared_by_value(one: object, other: object, same: bool) -> None:
    assert (quantity(one) == quantity(other)) is same


def with_managed_fields(
    body: dict[str, Any], manager: str = "trainandserve", operation: str = "Apply"
) -> dict[str, Any]:
    fields = owned_fields(body)
    fields["f:metadata"]["f:ownerReferences"] = {".": {}, f'k:{{"uid":"{UID}"}}': {}}
    entry = {"manager": manager, "operation": operation, "fieldsV1": fields}
    return {**body, "metadata": {**body["metadata"], "managedFields": [entry]}}


def test_a_field_that_we_applied_and_set_no_more_is_left_over() -> None:
    body = with_managed_fields(live())
    assert not left_over(manifest(FULL, TARGET, POLICY), body)
    for name in SERVING:
        if name == "minReplicas":
            continue  # it is always set
        serving = {key: value for key, value in SERVING.items() if key != name}
        wanted = manifest(a_resource(storage=STORAGE, serving=serving), TARGET, POLICY)
        assert not differs(wanted, body)
        assert left_over(wanted, body), name
    smaller = {**SERVING, "resources": {"limits": {"cpu": "1"}}}
    assert left_over(manifest(a_resource(storage=STORAGE, serving=smaller), TARGET, POLICY), body)


def test_the_same_field_set_by_somebody_else_is_not() -> None:
    wanted = manifest(a_resource(), TARGET, POLICY)
    assert not left_over(wanted, with_managed_fields(live(), manager="kubectl"))
    assert not left_over(wanted, with_managed_fields(live(), operation="Update"))
    assert not left_over(wanted, live())
