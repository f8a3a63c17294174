"""The operator under exactly the rights of each overlay: none is missing, and none is never used.

What was asked of the API server is read from its audit log; what was asked of Kubeflow Pipelines, which hold the operator to
rights in a group of their own, from their stand-in's list of requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import APPLY, RestError
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
from tests.unit.install.rendering import Json, overlay
from tests.unit.install.test_manifests import Right, granted

UNSEEN: dict[Right, str] = {
    ("serving.kserve.io", "inferenceservices", "create"): (
        "the first apply of an InferenceService is logged as patch and needs create as well: tested below"
    ),
    ("trainandserve.io", "trainandserves/finalizers", "update"): (
        "asked for by the admission OwnerReferencesPermissionEnforcement, which some platforms switch on, inside another "
        "request: our owner references block the owner's deletion"
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
    """The main path, and every turn of it that asks for something else."""
    await site.start_operator()
    await site.apply("digits")
    await site.serves("digits", 1)
    await _a_launch_that_leaves_an_orphan(site)
    await _a_run_that_does_not_move(site)
    await _another_process(site)
    await _deletions(site)


async def _a_launch_that_leaves_an_orphan(site: Site) -> None:
    site.kfp.faults.add(Fault("POST", "/runs$", "between", "reset"))
    await site.apply("orphan")
    await site.serves("orphan", 1, seconds=60)
    await until(lambda: _no_workflow_without_a_row(site), 60)


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


async def _deletions(site: Site) -> None:
    await site.delete("digits")
    await site.gone("digits")
    await site.apply("kept", serving={"deletionPolicy": "Orphan"})
    await site.serves("kept", 1)
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


def test_the_first_apply_of_an_object_needs_the_right_to_create_it(audited: Audited) -> None:
    plane = audited.plane
    make_namespace(plane, "only-patch")
    account = {"name": "patcher", "namespace": "only-patch"}
    apply(plane, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "only-patch", "namespace": "only-patch"},
        "rules": [
            {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": ["patch"]}
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "only-patch", "namespace": "only-patch"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "only-patch"},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }
    for body in (role, binding):
        apply(plane, body)
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "one"},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "tensorflow"}}}},
    }
    rest = replace(plane.rest, token=token(plane, account))
    path = "/apis/serving.kserve.io/v1beta1/namespaces/only-patch/inferenceservices/one?fieldManager=a"
    with pytest.raises(RestError, match='cannot create resource "inferenceservices"'):
        rest.call("PATCH", path, service, APPLY)
