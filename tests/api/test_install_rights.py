"""The operator under exactly the rights of each overlay: none is missing, and none is never used.

What was asked of the API server is read from its audit log; what was asked of Kubeflow Pipelines, which hold the operator to
rights in a group of their own, from their stand-in's list of requests.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import APPLY, Rest, RestError
from sandbox.kfp import Fault
from sandbox.s3 import S3Server
from tests.api.conftest import all_crds
from tests.api.install import apply, make_namespace
from tests.api.installation import (
    INSTALLATIONS,
    KFP_GROUP,
    Audited,
    Installation,
    install,
    tenant,
    token,
    working,
)
from tests.api.operator_path.api import until
from tests.api.operator_path.site import Site, told
from tests.api.operator_path.storage import ACCESS_KEY, SECRET_KEY
from tests.api.operator_path.training import Lesson
from tests.unit.builders import a_resource
from tests.unit.install.rendering import Json, overlay
from tests.unit.install.test_manifests import Right, granted
from trainandserve.inference_service import owner_reference

pytestmark = pytest.mark.slow

UNSEEN: dict[Right, str] = {
    ("serving.kserve.io", "inferenceservices", "create"): (
        "the first apply of an InferenceService is logged as patch and needs create as well: tested below"
    ),
    ("trainandserve.io", "trainandserves/finalizers", "update"): (
        "asked for by the admission OwnerReferencesPermissionEnforcement inside another request, because our owner references "
        "block the owner's deletion: tested below"
    ),
}
"""Rights that are needed and cannot be seen in the audit log, and why."""

REFUSED: dict[Right, str] = {
    ("apiextensions.k8s.io", "customresourcedefinitions", "list"): (
        "it asks once whether it may see definitions come and go; without, they are seen at the next start or resync"
    ),
}
"""What the operator of one namespace asks for, is refused, and does without."""


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    folder = tmp_path_factory.mktemp("audited")
    log = folder / "audit.log"
    crds = all_crds()
    with ControlPlane.started(folder / "plane", audit_log=log, crds=crds) as plane:
        yield Audited(plane, log)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server.started(ACCESS_KEY, SECRET_KEY, log=tmp_path_factory.mktemp("store") / "s3.log") as s3:
        yield s3


# --- Working ------------------------------------------------------------------------------------------------------


async def live(site: Site) -> None:
    """The main path, and every turn of it that asks for something else; they wait beside each other."""
    await site.start_operator()
    await _a_launch_that_leaves_an_orphan(site)
    await asyncio.gather(_main_path(site), _a_run_that_does_not_move(site), _an_orphaned_service(site))
    await site.serves("orphan", 1, seconds=60)
    await until(lambda: _no_workflow_without_a_row(site), 60)
    await _another_process(site)
    await site.delete("digits")
    await site.gone("digits")


async def _main_path(site: Site) -> None:
    await site.apply("digits")
    await site.serves("digits", 1, seconds=60)


async def _a_launch_that_leaves_an_orphan(site: Site) -> None:
    site.kfp.faults.add(Fault("POST", "/runs$", "between", "reset"))
    await site.apply("orphan")
    await until(lambda: any(path.endswith("/runs") and not status for _, path, status in site.kfp.requests))


async def _no_workflow_without_a_row(site: Site) -> bool:
    flows = [flow["metadata"]["labels"]["pipeline/runid"] for flow in await site.workflows()]
    return set(flows) <= set(site.kfp.rows.runs)


async def _a_run_that_does_not_move(site: Site) -> None:
    """Its pods are looked at; then it is stopped, as its inputs change."""
    lesson = site.lesson("slow", Lesson(holds="train"))
    await site.apply("slow")
    await site.settles("slow", ModelTrained="Unknown/Training")
    await until(lambda: _lists_of_pods(site))
    lesson.holds = None
    await site.apply("slow", training={"parameters": {"epochs": 2}})
    await site.serves("slow", 2, seconds=60)


def _lists_of_pods(site: Site) -> bool:
    return any(one.path.endswith("/pods") for one in site.operator.proxy.requests)


async def _another_process(site: Site) -> None:
    """It finds what the first one made: the Lease, and the experiment in Kubeflow Pipelines."""
    await site.operator.stop()
    await site.start_operator()
    await site.retrain("digits", "again")
    await site.serves("digits", 2)


async def _an_orphaned_service(site: Site) -> None:
    await site.apply("kept", serving={"deletionPolicy": "Orphan"})
    await site.serves("kept", 1, seconds=60)
    await site.delete("kept")
    await site.gone("kept")
    assert await site.service("kept") is not None
    await site.apply("kept")  # another resource of that name: somebody else's InferenceService is left alone
    await site.settles("kept", ModelServed="False/InferenceServiceNotOurs")


def asked_of_pipelines(site: Site) -> set[Right]:
    """What each request to Kubeflow Pipelines needs there."""
    verbs = {
        ("POST", r"/runs"): ("runs", "create"),
        ("GET", r"/runs/[^/]+"): ("runs", "get"),
        ("POST", r"/runs/[^/]+:terminate"): ("runs", "terminate"),
        ("POST", r"/experiments"): ("experiments", "create"),
        ("GET", r"/experiments"): ("experiments", "list"),
    }
    return {
        (KFP_GROUP, *right)
        for method, path, _ in site.kfp.requests
        for (known, pattern), right in verbs.items()
        if method == known and re.search(rf"{pattern}$", path)
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chosen", INSTALLATIONS, ids=lambda one: one.name)
async def test_the_operator_needs_what_it_is_granted_and_no_more(
    audited: Audited, store: S3Server, chosen: Installation, tmp_path: Path
) -> None:
    async with working(audited, store, chosen, tmp_path) as (site, installed, user):
        before = len(audited.requests(user))
        await live(site)
        await site.check()
        requests = audited.requests(user)[before:]
    refused = {right for right, code in requests if code == 403}
    used = {right for right, code in requests if code != 403} | asked_of_pipelines(site)
    given = granted(installed)
    given = given if chosen.multi_user else {right for right in given if right[0] != KFP_GROUP}
    used = used if chosen.multi_user else {right for right in used if right[0] != KFP_GROUP}

    assert refused == (set(REFUSED) if chosen.name == "single-namespace" else set()), "used and not granted"
    assert used <= given, "used without a grant of ours"
    assert given - used == set(UNSEEN), "granted and never used, or in need of another word here"


async def test_without_the_binding_for_secrets_a_resource_says_what_is_missing(
    audited: Audited, store: S3Server, tmp_path: Path
) -> None:
    def without(plane: ControlPlane, namespace: str) -> list[Json]:
        return install(plane, overlay("cluster-wide"))

    chosen = Installation("cluster-wide", without, multi_user=True)
    async with working(audited, store, chosen, tmp_path) as (site, _, _):
        await site.start_operator()
        await site.apply("digits")
        status = await site.settles("digits", Ready="False/KubernetesRefused")
        assert "secrets" in json.dumps(status["conditions"])
        assert not site.posts() and "Stalled" not in told(status)
        for body in tenant(site.namespace):
            apply(audited.plane, body)
        await site.serves("digits", 1, seconds=60)


SERVICE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "one"},
    "spec": {"predictor": {"model": {"modelFormat": {"name": "tensorflow"}}}},
}
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/one?fieldManager=a"


def _somebody(plane: ControlPlane, namespace: str, rules: list[Json]) -> Rest:
    """Calls of a service account that may do just this."""
    make_namespace(plane, namespace)
    account = {"name": "somebody", "namespace": namespace}
    metadata = {"name": "somebody", "namespace": namespace}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "somebody"}
    apply(plane, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    apply(plane, {**rbac, "kind": "Role", "rules": rules})
    subjects = [{"kind": "ServiceAccount", **account}]
    apply(plane, {**rbac, "kind": "RoleBinding", "roleRef": reference, "subjects": subjects})
    return replace(plane.rest, token=token(plane, account))


def _rule(group: str, resource: str, *verbs: str) -> Json:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


def test_the_first_apply_of_an_object_needs_the_right_to_create_it(audited: Audited) -> None:
    rules = [_rule("serving.kserve.io", "inferenceservices", "patch")]
    somebody = _somebody(audited.plane, "only-patch", rules)
    with pytest.raises(RestError, match='cannot create resource "inferenceservices"'):
        somebody.call("PATCH", SERVICES.format(namespace="only-patch"), SERVICE, APPLY)


def test_who_blocks_an_owners_deletion_needs_the_right_on_its_finalizers(audited: Audited) -> None:
    services = _rule("serving.kserve.io", "inferenceservices", "create", "patch")
    owner = owner_reference(a_resource())
    body = {**SERVICE, "metadata": {"name": "one", "ownerReferences": [owner]}}
    without = _somebody(audited.plane, "no-finalizers", [services])
    with pytest.raises(RestError, match="cannot set blockOwnerDeletion"):
        without.call("PATCH", SERVICES.format(namespace="no-finalizers"), body, APPLY)

    finalizers = _rule("trainandserve.io", "trainandserves/finalizers", "update")
    allowed = _somebody(audited.plane, "finalizers", [services, finalizers])
    made = allowed.call("PATCH", SERVICES.format(namespace="finalizers"), body, APPLY)
    assert made["metadata"]["ownerReferences"] == [owner]
