"""Two teams on one cluster, one operator for both: whatever one of them writes, nothing of the other's is read, and no byte goes elsewhere."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import APPLY, RestError
from tests.api.operator_path.bodies import SECRET
from tests.api.operator_path.conftest import Sites
from tests.api.operator_path.process import ACCOUNT, NAMESPACE
from tests.api.operator_path.site import Site, message, told
from tests.api.operator_path.storage import SECRET_KEY
from tests.harness.api import OURS, Json
from tests.unit.tenants.listeners import Listener, answer, listening

PLANTED = "planted-password-of-another-team"
SECRETS = "/api/v1/namespaces/{namespace}/secrets"


@dataclass
class Team:
    """A namespace, and somebody who may do everything with resources and Secrets in it and nothing elsewhere."""

    site: Site
    plane: ControlPlane
    token: str = field(default="", repr=False)

    async def sign_up(self) -> None:
        """Make the user."""
        namespace = self.site.namespace
        await self.site.create("serviceaccounts", {"metadata": {"name": "somebody"}})
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        everything = ["get", "list", "watch", "create", "update", "patch", "delete"]
        rules = [
            {"apiGroups": ["trainandserve.io"], "resources": ["trainandserves"], "verbs": everything},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": everything},
        ]
        await self.site.api.call("POST", f"{rbac}/roles", {"metadata": {"name": "team"}, "rules": rules})
        subject = {"kind": "ServiceAccount", "name": "somebody", "namespace": namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "team"}
        binding = {"metadata": {"name": "team"}, "roleRef": role, "subjects": [subject]}
        await self.site.api.call("POST", f"{rbac}/rolebindings", binding)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/somebody/token"
        self.token = (await self.site.api.call("POST", path, {"spec": {}}))["status"]["token"]

    async def call(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        """A call as that user."""
        rest = replace(self.plane.rest, token=self.token)
        return await asyncio.to_thread(rest.call, method, path, body, content)

    async def secret(self, name: str, *, labelled: bool = True, **annotations: str) -> None:
        """A Secret of the team's with working keys and, where they are given, other annotations."""
        body = self.site.secret()
        body["metadata"]["name"] = name
        body["metadata"]["annotations"] |= {
            f"serving.kserve.io/s3-{key}": value for key, value in annotations.items()
        }
        if not labelled:
            del body["metadata"]["labels"]
        body["data"]["password"] = base64.b64encode(PLANTED.encode()).decode()
        await self.call("POST", self.site.path(SECRETS), body)

    async def apply(self, name: str, spec: Json, namespace: str | None = None) -> None:
        """Apply a resource as the team's user."""
        body = {"apiVersion": "trainandserve.io/v1alpha1", "kind": "TrainAndServe", "spec": spec}
        path = OURS.format(namespace=namespace or self.site.namespace)
        options = "fieldManager=kubectl&force=true&fieldValidation=Strict"
        await self.call("PATCH", f"{path}/{name}?{options}", body | {"metadata": {"name": name}}, APPLY)

    def spec(self, secret: str | None = SECRET, **parts: Any) -> Json:
        """A specification whose data and storage are in the team's own bucket."""
        storage = {"uri": self.site.storage.uri("models/")} | ({"secretName": secret} if secret else {})
        return {"data": {"uri": self.site.storage.uri("data/")}, "storage": storage} | parts


@pytest.fixture
async def teams(sites: Sites, plane: ControlPlane) -> AsyncIterator[tuple[Team, Team]]:
    """The one that attacks, whose site has the operator, and the other one."""
    async with (
        sites(multi_user=True, operator=False) as mine,
        sites(multi_user=True, operator=False) as theirs,
    ):
        trainings = {site.namespace: site.training for site in (mine, theirs)}

        async def train(submitted: Any, report: Any) -> None:
            bucket = submitted.parameters["destination"].split("/")[2]
            await trainings[bucket](submitted, report)

        mine.execution.script = train
        made = Team(mine, plane), Team(theirs, plane)
        for team in made:
            await team.sign_up()
        yield made


def endpoints(mine: Team, inside: Listener, redirecting: Listener) -> dict[str, str]:
    """By the name of the Secret that says it, and of the resource that names the Secret."""
    own = mine.site.storage.endpoint
    return {
        "loopback": f"127.0.0.1:{inside.port}",
        "loopback-decimal": f"2130706433:{inside.port}",
        "loopback-hexadecimal": f"0x7f000001:{inside.port}",
        "loopback-mapped": f"[::ffff:127.0.0.1]:{inside.port}",
        "localhost": f"localhost:{inside.port}",
        "metadata": "169.254.169.254",
        "metadata-decimal": "2852039166",
        "metadata-mapped": "[::ffff:169.254.169.254]",
        "port": f"{own.split(':')[0]}:{inside.port}",
        "amazon-machine": "ec2-127-0-0-1.compute-1.amazonaws.com",
        "user": f"{own}@127.0.0.1:{inside.port}",
        "redirects": f"127.0.0.1:{redirecting.port}",
    }


def hostile(mine: Team, theirs: Team) -> dict[str, tuple[Json, str]]:
    """Specifications by name, and the reason that is told instead of going there; `endpoints` come to these."""
    bucket, them = theirs.site.storage.uri, theirs.site.namespace
    pod = {"podAnnotations": {"workflows.argoproj.io/node-id": "another"}}
    their_part = {"data": {"uri": f"s3://shared/{them}/"}, "storage": {"uri": f"s3://shared/{them}/"}}
    return {
        "unlabelled": (mine.spec("unlabelled"), "SecretNotLabelled"),
        "of-the-other": (mine.spec("only-theirs"), "SecretNotFound"),
        "as-the-operator": (
            {"data": {"uri": bucket("data/")}, "storage": {"uri": bucket("models/")}},
            "SecretNotNamed",
        ),
        "their-part": (their_part, "SecretNotNamed"),
        "another-run": (mine.spec(training=pod), "InvalidSpec"),
    }


def _reason(name: str) -> str:
    return {"user": "SecretIncomplete", "redirects": "StorageUnreachable"}.get(name, "EndpointNotAllowed")


UNSPELLABLE: dict[str, Json] = {
    "a Secret elsewhere": {"storage": {"uri": "s3://models/", "secretName": "{them}/object-store"}},
    "a Secret by a path": {"storage": {"uri": "s3://models/", "secretName": "../{them}/object-store"}},
    "a service account elsewhere": {"training": {"serviceAccountName": "{them}:trainer"}},
    "a server's account elsewhere": {"serving": {"serviceAccountName": "{them}/predictor"}},
    "a pull Secret elsewhere": {"training": {"imagePullSecrets": ["{them}/registry"]}},
    "a runtime elsewhere": {"serving": {"runtime": "{them}/runtime"}},
    "the parent folder": {"data": {"uri": "s3://models/../{them}/"}},
    "the parent folder, encoded": {"data": {"uri": "s3://models/%2e%2e/{them}/"}},
    "no bucket": {"data": {"uri": "s3:///{them}/"}},
    "an empty part": {"data": {"uri": "s3://models//{them}/"}},
    "a NUL": {"data": {"uri": "s3://models/\0{them}/"}},
    "a control character": {"data": {"uri": "s3://models/\r\n{them}/"}},
    "a file": {"data": {"uri": "file:///etc/passwd"}},
    "a pod of another run": {"training": {"podLabels": {"pipeline/runid": "another"}}},
    "a namespace in a reference": {"storage": {"uri": "s3://models/", "namespace": "{them}"}},
}
"""What there is no way to write: the API server refuses it."""


@pytest.mark.slow
async def test_one_team_reaches_nothing_of_another(teams: tuple[Team, Team], plane: ControlPlane) -> None:
    mine, theirs = teams
    with listening(answer(200, b"{}")) as inside:
        location = f"http://127.0.0.1:{inside.port}/"
        with listening(answer(307, b"", Location=location)) as redirecting:
            await _attack(mine, theirs, inside, redirecting, plane)
        assert redirecting.connections > 0  # one way was gone, as far as the redirect
        assert inside.untouched


async def _attack(
    mine: Team, theirs: Team, inside: Listener, redirecting: Listener, plane: ControlPlane
) -> None:
    await mine.site.start_operator(
        TAS_NAMESPACES=f"{mine.site.namespace},{theirs.site.namespace}",
        TAS_S3_ENDPOINTS=",".join(
            [mine.site.storage.endpoint, f"127.0.0.1:{redirecting.port}", "*.storage.example"]
        ),
        TAS_POD_IDENTITY_BUCKETS="shared/{namespace}",
    )
    await theirs.secret("only-theirs")
    await theirs.site.upload("digits")
    training = {"data": {"uri": theirs.site.storage.uri("data/digits/")}}
    await theirs.apply("digits", theirs.spec() | training)
    await theirs.site.serves("digits", 1)
    before = await _standing(theirs)

    attempts = hostile(mine, theirs)
    for name, endpoint in endpoints(mine, inside, redirecting).items():
        await mine.secret(name, endpoint=endpoint)
        attempts[name] = (mine.spec(name), _reason(name))
    await mine.secret("unlabelled", labelled=False)
    await _what_rights_and_the_definition_refuse(mine, theirs)

    for name, (spec, _) in attempts.items():
        await mine.apply(name, spec)
    for name, (_, reason) in attempts.items():
        status = await mine.site.settles(name, Ready=f"False/{reason}")
        assert status["phase"] == "Pending" and told(status)["ModelTrained"] == f"Unknown/{reason}"
    assert "307" in message(await mine.site.status("redirects"), "Ready")

    assert await _standing(theirs) == before
    buckets = {run.parameters["destination"].split("/")[2] for run in mine.site.execution.runs}
    assert buckets == {theirs.site.namespace}  # nothing of the other ones was run
    named = {spec["storage"].get("secretName") for spec, _ in attempts.values()}
    _only_named_secrets_were_read(plane, mine, theirs, named)
    await _no_secret_shows(mine)


async def _standing(team: Team) -> object:
    """What the team has, and what serves of it."""
    resource = await team.site.resource("digits")
    served = {key: resource["status"]["served"][key] for key in ("version", "runId", "uri", "resultDigest")}
    return resource["metadata"]["uid"], resource["spec"], served, team.site.storage.objects("data/")


async def _what_rights_and_the_definition_refuse(mine: Team, theirs: Team) -> None:
    them = theirs.site.namespace
    for method, path in (
        ("GET", f"{SECRETS}/only-theirs"),
        ("GET", f"{OURS}/digits"),
        ("DELETE", f"{OURS}/digits"),
    ):
        with pytest.raises(RestError) as refused:
            await mine.call(method, path.format(namespace=them))
        assert refused.value.status == 403
    with pytest.raises(RestError) as refused:
        await mine.apply("intruder", mine.spec(), namespace=them)
    assert refused.value.status == 403
    for what, parts in UNSPELLABLE.items():
        spec = json.loads(json.dumps(parts).replace("{them}", them))
        with pytest.raises(RestError) as refused:
            await mine.apply("unspellable", mine.spec(**spec))
        said = str(refused.value)
        assert refused.value.status in (400, 422) or "field not declared in schema" in said, f"{what}: {said}"


def _only_named_secrets_were_read(
    plane: ControlPlane, mine: Team, theirs: Team, named: set[str | None]
) -> None:
    """By the API server's own account of what the operator asked for."""
    assert plane.audit_log is not None
    user = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    asked = set()
    text = plane.audit_log.read_text()
    for line in text[: text.rfind("\n")].splitlines():  # the last one may just be written
        event = json.loads(line)
        what = event["objectRef"]
        if event["user"]["username"] == user and what["namespace"] in (
            mine.site.namespace,
            theirs.site.namespace,
        ):
            asked.add((event["verb"], what["namespace"], what.get("name")))
    wanted = {("get", mine.site.namespace, name) for name in named if name}
    assert asked == wanted | {("get", theirs.site.namespace, SECRET)}


async def _no_secret_shows(mine: Team) -> None:
    places = {
        "resources": json.dumps(await mine.site.items(OURS)),
        "events": json.dumps(await mine.site.items("/api/v1/namespaces/{namespace}/events")),
        "log": mine.site.operator.log,
    }
    for word in (PLANTED, SECRET_KEY, base64.b64encode(PLANTED.encode()).decode()):
        assert [place for place, text in places.items() if word in text] == []
