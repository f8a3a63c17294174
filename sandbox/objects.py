"""The objects that the sandbox itself creates, applies and reads, by their kinds' paths."""

from __future__ import annotations

from typing import Any

from sandbox.controlplane import ControlPlane

_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "TrainAndServe": "/apis/trainandserve.io/v1alpha1/namespaces/{namespace}/trainandserves",
}


def create(plane: ControlPlane, body: dict[str, Any]) -> None:
    """Create an object of one of the kinds that the sandbox needs."""
    path = _PATHS[body["kind"]].format(namespace=body["metadata"].get("namespace", ""))
    plane.rest.call("POST", path, body)


def apply(plane: ControlPlane, body: dict[str, Any], manager: str = "kubectl") -> dict[str, Any]:
    """Apply an object by server-side apply, as a user would."""
    path = _PATHS[body["kind"]].format(namespace=body["metadata"]["namespace"])
    name = body["metadata"]["name"]
    applied: dict[str, Any] = plane.rest.call(
        "PATCH",
        f"{path}/{name}?fieldManager={manager}&force=true&fieldValidation=Strict",
        body,
        content_type="application/apply-patch+yaml",
    )
    return applied
