"""What the operator may do is what it does, and no key of anybody shows anywhere."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

import pytest
import yaml

from tests.api.operator_path.api import until
from tests.api.operator_path.conftest import RIGHTS
from tests.api.operator_path.site import Site
from tests.api.operator_path.storage import ACCESS_KEY, SECRET_KEY
from tests.api.operator_path.training import Lesson
from tests.harness.proxy import Request

ELSEWHERE = {
    ("trainandserves/finalizers", "update"): "asked by the admission of owner references that block deletion",
    ("workflows", "delete"): "a Workflow without a row: test_launch",
    ("inferenceservices", "create"): "asked by the API server of an apply that creates",
    ("runs", "create"): "asked by Kubeflow Pipelines itself",
    ("runs", "get"): "asked by Kubeflow Pipelines itself",
    ("runs", "terminate"): "asked by Kubeflow Pipelines itself",
    ("experiments", "create"): "asked by Kubeflow Pipelines itself",
    ("experiments", "list"): "asked by Kubeflow Pipelines itself",
    ("experiments", "get"): "asked by Kubeflow Pipelines itself",
}
"""Rights that are used, but not seen in the requests of the path below."""


@pytest.mark.slow
async def test_the_rights_suffice_and_each_is_used(site: Site) -> None:
    await _whole_life(site)
    requests = site.operator.proxy.requests
    assert not [one for one in requests if one.status == 403]
    assert "forbidden" not in site.operator.log.lower()
    used = {(_resource(one), _verb(one)) for one in requests}
    unused = set(_granted()) - used - set(ELSEWHERE)
    assert not unused
    await site.check()


async def _whole_life(site: Site) -> None:
    """Everything that a resource goes through, a version that does not load and a stuck run among it."""
    await site.apply("digits")
    await site.serves("digits", 1)
    site.lesson("digits", Lesson(model={"crash": True}, fails=("train", "once"), failures=1))
    await site.apply("digits", training={"parameters": {"epochs": 2}})
    await site.settles("digits", ModelAccepted="False/FailedToServe")
    await site.serves("digits", 1)
    await site.delete("digits")
    await site.gone("digits")


def _granted() -> Iterator[tuple[str, str]]:
    for body in yaml.safe_load_all(RIGHTS.read_text()):
        for rule in body.get("rules", ()):
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield resource, verb


_OBJECT = re.compile(
    r"^/apis?/(?:[^/]+/)?v\w+/(?:namespaces/[^/]+/)?(?P<kind>[a-z]+)(?P<name>/[^/]+)?(?P<sub>/[a-z]+)?$"
)


def _resource(one: Request) -> str:
    found = _OBJECT.match(one.path)
    return (found["kind"] + (found["sub"] or "")) if found else one.path


def _verb(one: Request) -> str:
    found = _OBJECT.match(one.path)
    named = bool(found and found["name"])
    if one.method == "GET":
        return "watch" if "watch" in one.query else "get" if named else "list"
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[one.method]


KINDS = [
    "/apis/trainandserve.io/v1alpha1/namespaces/{namespace}/trainandserves",
    "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices",
    "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows",
    "/apis/apps/v1/namespaces/{namespace}/deployments",
    "/api/v1/namespaces/{namespace}/pods",
    "/api/v1/namespaces/{namespace}/events",
    "/api/v1/namespaces/{namespace}/configmaps",
]


async def test_a_key_appears_nowhere_but_in_its_secret(site: Site) -> None:
    site.lesson("digits", Lesson(fails=("train", "no"), failures=1))
    await site.apply("digits")
    await site.serves("digits", 1)
    wrong = {"stringData": {"AWS_SECRET_ACCESS_KEY": SECRET_KEY + "x"}}
    path = site.path("/api/v1/namespaces/{namespace}/secrets", "object-store")
    await site.api.call("PATCH", path, wrong, "application/merge-patch+json")
    await site.retrain("digits", "again")
    await site.settles("digits", Ready="True/BucketRefused")

    places = {kind: json.dumps(await site.items(kind)) for kind in KINDS}
    places["log"] = site.operator.log
    places["runs"] = json.dumps(
        [[row.source, row.runtime_config, row.description] for row in site.kfp.rows.runs.values()]
    )
    places["metrics"] = json.dumps(await site.operator.metrics())
    assert all(places.values()) and await until(lambda: "digits" in places["runs"])
    for key in (SECRET_KEY, ACCESS_KEY):
        for text in (key, base64.b64encode(key.encode()).decode().rstrip("=")[:-1]):
            assert [place for place, found in places.items() if text in found] == []
