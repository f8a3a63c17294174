"""What is missing outside is named, nothing is launched meanwhile, and the resource goes on by itself when it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.operator_path.api import MERGE, SERVICES, until
from tests.api.operator_path.bodies import SECRET
from tests.api.operator_path.conftest import Sites
from tests.api.operator_path.site import Site, message, told

SECRETS = "/api/v1/namespaces/{namespace}/secrets"
Change = Callable[[Site], Awaitable[Any]]


async def _patch_secret(site: Site, body: dict[str, Any]) -> None:
    await site.api.call("PATCH", site.path(SECRETS, SECRET), body, MERGE)


def _patched(body: dict[str, Any]) -> Change:
    return lambda site: _patch_secret(site, body)


async def _delete_secret(site: Site) -> None:
    await site.delete(SECRET, SECRETS)


async def _create_secret(site: Site) -> None:
    await site.create("secrets", site.secret())


async def _put_secret_back(site: Site) -> None:
    secret = site.secret()
    await _patch_secret(site, {"metadata": secret["metadata"], "data": secret["data"]})


async def _drop_bucket(site: Site) -> None:
    await asyncio.to_thread(site.storage.drop)


async def _create_bucket(site: Site) -> None:
    await asyncio.to_thread(site.storage.create)


async def _nothing(site: Site) -> None:
    pass


async def _stop_kfp(site: Site) -> None:
    site.kfp.faults.down = True


async def _start_kfp(site: Site) -> None:
    site.kfp.faults.down = False


@dataclass(frozen=True)
class Row:
    """Something is missing, what is said of it, and how it comes."""

    name: str
    reason: str
    says: str
    breaks: Change
    mends: Change


WRONG = {"stringData": {"AWS_SECRET_ACCESS_KEY": "wrong"}}
ELSEWHERE = {"metadata": {"annotations": {"serving.kserve.io/s3-endpoint": "169.254.169.254"}}}
UNLABELLED = {"metadata": {"labels": {"trainandserve.io/credentials": None}}}
INCOMPLETE = {"data": {"AWS_SECRET_ACCESS_KEY": None}}
ROWS = [
    Row("no-secret", "SecretNotFound", "there is no Secret object-store", _delete_secret, _create_secret),
    Row("no-label", "SecretNotLabelled", "is not labelled", _patched(UNLABELLED), _put_secret_back),
    Row("no-key", "SecretIncomplete", "AWS_SECRET_ACCESS_KEY", _patched(INCOMPLETE), _put_secret_back),
    Row("wrong-key", "BucketRefused", "refuses these credentials", _patched(WRONG), _put_secret_back),
    Row("elsewhere", "EndpointNotAllowed", "169.254.169.254", _patched(ELSEWHERE), _put_secret_back),
    Row("no-bucket", "BucketNotFound", "there is no bucket", _drop_bucket, _create_bucket),
    Row("no-data", "DataNotFound", "there is nothing under", _nothing, _nothing),
    Row("no-kfp", "PipelinesUnreachable", "does not answer", _stop_kfp, _start_kfp),
]
ALWAYS = ("no-secret", "no-data", "no-kfp")
"""Those that are not left to the build server; the others differ in what S3 or the Secret says, which unit tests know."""


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.name, marks=() if row.name in ALWAYS else pytest.mark.slow) for row in ROWS],
)
async def test_what_is_missing_is_named_and_waited_for(row: Row, shared: Site) -> None:
    posts = shared.posts()
    if row.name != "no-data":
        await shared.upload(row.name)
    await row.breaks(shared)
    try:
        await shared.apply(row.name, data=False)
        status = await shared.settles(
            row.name, Ready=f"False/{row.reason}", ModelTrained=f"Unknown/{row.reason}"
        )
    finally:
        await row.mends(shared)
    assert row.says in message(status, "Ready"), message(status, "Ready")
    assert status["phase"] == "Pending" and told(status)["Reconciling"] == "True/Progressing"
    assert shared.posts() == posts
    await shared.upload(row.name)
    await shared.serves(row.name, 1, seconds=40)


@pytest.mark.slow
async def test_what_is_missing_does_not_take_a_serving_version_down(shared: Site) -> None:
    await shared.apply("goes-on")
    await shared.serves("goes-on", 1)
    await _delete_secret(shared)
    try:
        await shared.apply("goes-on", training={"parameters": {"epochs": 2}})
        status = await shared.settles("goes-on", Ready="True/SecretNotFound")
        assert status["phase"] == "Serving"
    finally:
        await _create_secret(shared)
    await shared.serves("goes-on", 2)


async def test_a_missing_kserve_is_named_and_waited_for(bare: Site) -> None:
    operator = await bare.start_operator()
    services = bare.path(SERVICES)  # kopf watches them: it has done with asking for the kind
    await until(lambda: any(one.path == services and "watch" in one.query for one in operator.proxy.requests))
    missing = operator.proxy.stop_at("GET", "^/apis/serving.kserve.io/v1beta1$", answer=404, times=1_000)
    await bare.apply("no-kserve")
    status = await bare.settles("no-kserve", Ready="False/KServeNotInstalled")
    assert "install KServe" in message(status, "Ready") and bare.posts() == 0
    missing.times = 0
    await bare.serves("no-kserve", 1)


@pytest.fixture
async def elsewhere(sites: Sites) -> AsyncIterator[Site]:
    """A single-user installation whose own namespace is not this one."""
    async with sites(operator=False) as made:
        await made.start_operator(TAS_KFP_NAMESPACE="kubeflow")
        yield made


@pytest.mark.slow
async def test_single_user_pipelines_run_no_other_namespace_unless_it_is_allowed(elsewhere: Site) -> None:
    site = elsewhere
    await site.apply("tenant")
    status = await site.settles("tenant", Ready="False/NamespaceNotSupported")
    assert "TAS_ALLOWED_NAMESPACES" in message(status, "Ready")
    assert site.posts() == 0

    await site.restart_operator(TAS_KFP_NAMESPACE=site.namespace, TAS_ALLOWED_NAMESPACES="x")
    await until(lambda: site.posts() == 1)
