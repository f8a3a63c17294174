"""An operator installed as an overlay says, with its rights and settings, on an API server that writes down who asks for what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.controlplane import ControlPlane
from sandbox.s3 import S3Server
from tests.api.install import apply, in_order, make_namespace, moved
from tests.api.operator_path.api import OURS
from tests.api.operator_path.site import Ground, Site
from tests.unit.install.rendering import MANIFESTS, Json, kustomize, of_kind, only, overlay
from tests.unit.install.test_manifests import BINDINGS, Right

KFP_GROUP = "pipelines.kubeflow.org"


@dataclass(frozen=True)
class Audited:
    """An API server that writes down who asked for what."""

    plane: ControlPlane
    log: Path

    def requests(self, user: str) -> list[tuple[Right, int]]:
        """What a user asked for, and how it was answered."""
        found = []
        for line in self.log.read_text().splitlines():
            event = json.loads(line)
            if event["user"]["username"] == user and "objectRef" in event:
                found.append((_right(event), event["responseStatus"]["code"]))
        return found


def _right(event: Json) -> Right:
    asked = event["objectRef"]
    resource = "/".join(filter(None, (asked.get("resource"), asked.get("subresource"))))
    return (asked.get("apiGroup", ""), resource, event["verb"])


def _install_cluster_wide(plane: ControlPlane, namespace: str) -> list[Json]:
    return install(plane, [*overlay("cluster-wide"), *tenant(namespace)])


def _install_single_user(plane: ControlPlane, namespace: str) -> list[Json]:
    """Kubeflow Pipelines are in the site's own namespace."""
    return install(plane, [*moved(overlay("single-user"), "kubeflow", namespace), *tenant(namespace)])


def _install_single_namespace(plane: ControlPlane, namespace: str) -> list[Json]:
    return install(plane, moved(overlay("single-namespace"), "vision", namespace))


def tenant(namespace: str) -> list[Json]:
    """What an administrator adds in a namespace of a team."""
    return moved(kustomize(MANIFESTS / "tenant"), "vision", namespace)


def install(plane: ControlPlane, objects: list[Json]) -> list[Json]:
    return [apply(plane, body) for body in in_order(objects)]


def _uninstall(plane: ControlPlane, installed: list[Json]) -> None:
    """Take all rights and the Lease away: the next installation must not live on them."""
    for body in of_kind(installed, *BINDINGS):
        scope = "" if body["kind"] == "ClusterRoleBinding" else f"namespaces/{body['metadata']['namespace']}/"
        path = f"/apis/rbac.authorization.k8s.io/v1/{scope}{body['kind'].lower()}s/{body['metadata']['name']}"
        plane.rest.call("DELETE", path)
    namespace = only(installed, "ServiceAccount")["metadata"]["namespace"]
    plane.rest.call("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")


@dataclass(frozen=True)
class Installation:
    """One of the overlays, and how the operator is set up with it."""

    name: str
    install: Callable[[ControlPlane, str], list[Json]]
    multi_user: bool


INSTALLATIONS = (
    Installation("cluster-wide", _install_cluster_wide, multi_user=True),
    Installation("single-user", _install_single_user, multi_user=False),
    Installation("single-namespace", _install_single_namespace, multi_user=True),
)


@asynccontextmanager
async def working(
    audited: Audited, store: S3Server, chosen: Installation, folder: Path
) -> AsyncIterator[tuple[Site, list[Json], str]]:
    """A site whose operator has the rights and the settings of an installation; its objects and its user's name."""
    plane = audited.plane
    make_namespace(plane, "trainandserve")
    ground = Ground(plane, store, "", folder / "kfp-token", folder)
    async with Site.made(ground, multi_user=chosen.multi_user, operator=False) as site:
        installed = chosen.install(plane, site.namespace)
        account = only(installed, "ServiceAccount")["metadata"]
        ground.kfp_token.write_text(token(plane, account, [KFP_GROUP]))
        site._ground = replace(ground, token=token(plane, account))
        site.settings |= _settings(installed, account["namespace"], site.namespace)
        try:
            yield site, installed, f"system:serviceaccount:{account['namespace']}:{account['name']}"
        finally:
            await asyncio.gather(*(operator.stop() for operator in site.operators))
            await _forget_resources(site)
            _uninstall(plane, installed)


async def _forget_resources(site: Site) -> None:
    """Another operator for all namespaces must not find what this one left."""
    for one in await site.items(OURS):
        await site.delete(one["metadata"]["name"])
        if one["metadata"].get("finalizers"):
            await site.patch(one["metadata"]["name"], {"metadata": {"finalizers": None}})


def _settings(installed: list[Json], operators: str, site: str) -> dict[str, str]:
    """The settings of the installation's own ConfigMap and pod; the platform is where the site has it."""
    found = dict(only(installed, "ConfigMap")["data"])
    variables = only(installed, "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    from_pod = {one["name"] for one in variables if "valueFrom" in one}
    found |= dict.fromkeys(from_pod, operators)
    found["TAS_KFP_NAMESPACE"] = (
        site if found["TAS_KFP_MODE"] == "single-user" else found["TAS_KFP_NAMESPACE"]
    )
    return {"TAS_NAMESPACES": "", "TAS_LEASE_NAME": "trainandserve", **found}


def token(plane: ControlPlane, account: Json, audiences: list[str] | None = None) -> str:
    """A token of a service account, for the API server or for these audiences."""
    body: dict[str, Any] = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600} | ({"audiences": audiences} if audiences else {}),
    }
    path = f"/api/v1/namespaces/{account['namespace']}/serviceaccounts/{account['name']}/token"
    return str(plane.rest.call("POST", path, body)["status"]["token"])
