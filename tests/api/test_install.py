"""The overlays on a real API server: it takes them, and its own admission takes their pods."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import RestError
from sandbox.crds import kserve_crds
from tests.api.install import apply, in_order, make_namespace, path_of
from tests.unit.install.rendering import OVERLAYS, Json, only, overlay

pytestmark = pytest.mark.slow

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of this module's own, with the namespaces that the overlays expect and nothing of ours."""
    with ControlPlane.started(tmp_path_factory.mktemp("install"), crds=kserve_crds()) as plane:
        make_namespace(plane, "kubeflow")
        make_namespace(plane, "vision", **RESTRICTED)
        yield plane


@pytest.fixture(params=OVERLAYS, scope="module")
def objects(request: pytest.FixtureRequest) -> list[Json]:
    return overlay(request.param)


@pytest.fixture(scope="module")
def installed(empty: ControlPlane, objects: list[Json]) -> list[Json]:
    """What an overlay made on the server."""
    return [apply(empty, body) for body in in_order(objects)]


def test_the_server_takes_every_object_and_would_change_none_of_them(
    empty: ControlPlane, installed: list[Json], objects: list[Json]
) -> None:
    for before, body in zip(installed, in_order(objects), strict=True):
        apply(empty, body, dry_run=True)
        again = apply(empty, body)
        assert revision(again) == revision(before), path_of(body)


def revision(body: Json) -> object:
    """What a write to an object's specification changes; of a definition the server writes the status by itself."""
    return body["metadata"].get("generation") or body["metadata"]["resourceVersion"]


def test_nothing_is_written_by_trying(empty: ControlPlane) -> None:
    body = copy.deepcopy(only(overlay("cluster-wide"), "ClusterRole", "trainandserve-view"))
    body["metadata"]["name"] = "only-tried"
    apply(empty, body, dry_run=True)
    with pytest.raises(RestError, match="not found"):
        empty.rest.call("GET", path_of(body))


def test_the_definition_is_served_once_it_is_installed(empty: ControlPlane, installed: list[Json]) -> None:
    if not [body for body in installed if body["kind"] == "CustomResourceDefinition"]:
        pytest.skip("one team's overlay leaves the definition to an administrator")
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trainandserves.trainandserve.io"
    found = {one["type"]: one for one in empty.rest.call("GET", path)["status"]["conditions"]}
    assert found["NamesAccepted"]["status"] == "True"
    assert found.get("NonStructuralSchema", {}).get("status") != "True"


# --- Pod Security -------------------------------------------------------------------------------------------------


def pod_of(deployment: Json) -> Json:
    """The pod as the Deployment's controllers would make it."""
    template = copy.deepcopy(deployment["spec"]["template"])
    metadata = {"generateName": "operator-", "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def create_pod(plane: ControlPlane, namespace: str, pod: Json) -> Json:
    made: Json = plane.rest.call("POST", f"/api/v1/namespaces/{namespace}/pods?fieldValidation=Strict", pod)
    return made


@pytest.fixture
def restricted(empty: ControlPlane, installed: list[Json]) -> tuple[str, Json]:
    """The namespace of the operator, which enforces the restricted standard, and its pod."""
    deployment = only(installed, "Deployment")
    namespace = deployment["metadata"]["namespace"]
    labels = empty.rest.call("GET", f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]
    assert RESTRICTED.items() <= labels.items()
    return namespace, pod_of(deployment)


def test_a_namespace_of_the_restricted_standard_admits_the_pod(
    empty: ControlPlane, restricted: tuple[str, Json]
) -> None:
    namespace, pod = restricted
    made = create_pod(empty, namespace, pod)
    names = {volume["name"] for volume in made["spec"]["volumes"]}
    assert {"kfp-token", "queries"} <= names and len(names) == 3  # and the one for the API server
    empty.rest.call("DELETE", f"/api/v1/namespaces/{namespace}/pods/{made['metadata']['name']}")


def _container(spec: Json) -> Json:
    found: Json = spec["containers"][0]["securityContext"]
    return found


Change = Callable[[Json], Any]
WEAKER: dict[str, tuple[Change, str]] = {
    "may run as root": (lambda spec: spec["securityContext"].pop("runAsNonRoot"), "runAsNonRoot"),
    "runs as root": (lambda spec: spec["securityContext"].update(runAsUser=0), "runAsUser=0"),
    "may gain privileges": (
        lambda spec: _container(spec).pop("allowPrivilegeEscalation"),
        "allowPrivilegeEscalation",
    ),
    "keeps capabilities": (lambda spec: _container(spec).pop("capabilities"), "unrestricted capabilities"),
    "has no seccomp profile": (lambda spec: spec["securityContext"].pop("seccompProfile"), "seccompProfile"),
    "sees the host's files": (
        lambda spec: spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
        "hostPath",
    ),
    "is on the host's network": (lambda spec: spec.update(hostNetwork=True), "host namespaces"),
}


@pytest.mark.parametrize(("change", "words"), WEAKER.values(), ids=list(WEAKER))
def test_the_same_namespace_refuses_a_pod_that(
    empty: ControlPlane, restricted: tuple[str, Json], change: Change, words: str
) -> None:
    namespace, pod = restricted
    change(pod["spec"])
    with pytest.raises(RestError, match='violates PodSecurity "restricted:latest"') as refused:
        create_pod(empty, namespace, pod)
    assert refused.value.status == 403 and words in str(refused.value)
