"""What the tests of the whole path stand on: one object store and one identity per process, a site per test or module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import ControlPlane
from sandbox.s3 import S3Server
from tests.api.operator_path.process import ACCOUNT, NAMESPACE
from tests.api.operator_path.site import Ground, Site
from tests.api.operator_path.storage import ACCESS_KEY, SECRET_KEY

RIGHTS = Path(__file__).parents[3] / "manifests" / "rbac.yaml"
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
}
Sites = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture(scope="session")
def ground(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The object store, and the operator's service account with exactly the rights of the manifests."""
    folder = tmp_path_factory.mktemp("sites")
    for body in yaml.safe_load_all(RIGHTS.read_text()):
        path = PATHS[body["kind"]].format(namespace=body["metadata"].get("namespace", ""))
        plane.rest.call("POST", path, body)
    kfp_token = folder / "kfp-token"
    kfp_token.write_text(_token(plane, ["pipelines.kubeflow.org"]))
    with S3Server.started(ACCESS_KEY, SECRET_KEY, log=folder / "s3.log") as s3:
        yield Ground(plane, s3, _token(plane), kfp_token, folder)


def _token(plane: ControlPlane, audiences: list[str] | None = None) -> str:
    body: dict[str, Any] = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 24 * 3600} | ({"audiences": audiences} if audiences else {}),
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}/token"
    return str(plane.rest.call("POST", path, body)["status"]["token"])


@pytest.fixture(scope="session")
def sites(ground: Ground) -> Sites:
    """Makes sites with settings of a test's own."""
    return partial(Site.made, ground)


@pytest.fixture
async def site(sites: Sites) -> AsyncIterator[Site]:
    """A site of a test's own: it may kill the operator, order faults and count."""
    async with sites() as made:
        yield made


@pytest.fixture
async def bare(sites: Sites) -> AsyncIterator[Site]:
    """A site without an operator: the test starts it, and may kill it."""
    async with sites(operator=False) as made:
        yield made


@pytest.fixture(scope="module")
async def shared(sites: Sites) -> AsyncIterator[Site]:
    """A site for the tests of a module that only look at resources of their own names."""
    async with sites() as made:
        yield made
        await made.check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the ends of the operators' logs of all sites that were there when a test failed."""
    report = yield
    if report.failed:
        for site in Site.standing:
            for number, operator in enumerate(site.operators, 1):
                title = f"{site.namespace}: log of operator {number}, which {operator.standing}"
                report.sections.append((title, operator.log[-6000:]))
    return report
