"""The manifests on a real API server: its paths for their kinds, and applying them as an administrator does."""

from __future__ import annotations

import copy
from typing import Any

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import APPLY

Json = dict[str, Any]

_FIRST = ("Namespace", "CustomResourceDefinition")
"""What others need before they can be tried."""

_PLURALS = {
    "ConfigMap": "configmaps",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Deployment": "deployments",
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}


def path_of(body: Json) -> str:
    """Where the API server has an object of a manifest."""
    version, metadata = body["apiVersion"], body["metadata"]
    root = "/api/v1" if version == "v1" else f"/apis/{version}"
    where = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{where}/{_PLURALS[body['kind']]}/{metadata['name']}"


def in_order(objects: list[Json]) -> list[Json]:
    """The objects with those first that others need."""
    return sorted(objects, key=lambda body: body["kind"] not in _FIRST)


def apply(plane: ControlPlane, body: Json, *, dry_run: bool = False) -> Json:
    """Server-side apply of one object; a field that the server does not know is an error."""
    options = "fieldManager=administrator&fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
    found: Json = plane.rest.call("PATCH", f"{path_of(body)}?{options}", body, APPLY)
    return found


def make_namespace(plane: ControlPlane, name: str, **labels: str) -> None:
    """A namespace that a manifest expects to be there."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    apply(plane, body)


def moved(objects: list[Json], old: str, new: str) -> list[Json]:
    """The objects with one namespace replaced by another: what an administrator writes into an overlay."""
    found = copy.deepcopy(objects)
    for body in found:
        for named in (body["metadata"], *body.get("subjects", ())):
            if named.get("namespace") == old:
                named["namespace"] = new
    return found
