"""Where the suite works: a namespace of the cluster, with everything that a team has in its own."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.cluster import access, pictures
from tests.cluster.pipelines import AUDIENCE, Pipelines, Run
from tests.cluster.predictor import Client, Way
from tests.cluster.program import Program
from tests.cluster.settings import Settings, kubeconfig
from tests.harness.api import OURS, PATIENCE, SERVICES, WORKFLOWS, Api, ApiRefused, Json
from tests.harness.namespace import Namespace, message, served, told
from tests.harness.process import OperatorProcess
from tests.harness.proxy import Proxy
from tests.harness.recorder import Recorder
from tests.harness.storage import Storage

DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trainandserves.trainandserve.io"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
READER = "e2e-reader"
PARAMETERS = {"network": "dense", "epochs": 20, "hiddenUnits": 64, "augmentation": 0}
HOPELESS = {"learningRate": 1e-8, "epochs": 1}
"""A training that changes nothing of what it begins with: a guess among ten classes."""


class Place(Namespace):
    """One namespace, the bucket and Kubeflow Pipelines. Made by `Place.made`."""

    every = 0.5

    def __init__(self, settings: Settings, api: Api, pipelines: Pipelines, storage: Storage) -> None:
        suffix = secrets.token_hex(3)
        super().__init__(api, settings.namespace or f"tas-e2e-{suffix}")
        self.settings = settings
        self.seconds = settings.patience.total_seconds() / PATIENCE
        self.pipelines = pipelines
        self.storage = storage
        self.prefix = f"{settings.prefix}{suffix}/"
        self.operators: list[OperatorProcess] = []
        self._suffix = suffix
        self._secret = settings.secret
        self._names: set[str] = set()
        self.recorder: Recorder
        self._proxy: Proxy
        self._folder: Path

    @classmethod
    @asynccontextmanager
    async def made(cls, settings: Settings, folder: Path) -> AsyncIterator[Place]:
        """A place of this run's own; what is made in it is removed at the end."""
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(access.connected(kubeconfig()))
            pipelines = await stack.enter_async_context(Pipelines.connected(settings.kfp_endpoint))
            storage = _storage(settings)
            stack.callback(storage.close)
            place = cls(settings, api, pipelines, storage)
            place._folder = folder
            assert await api.get(DEFINITION), "TrainAndServe is not installed in this cluster (README.md)"
            stack.push_async_callback(place._remove_all)
            stack.push_async_callback(place._stop_operators)
            await place._set_up()
            place.recorder = await stack.enter_async_context(Recorder.watching(api, place.namespace))
            if settings.operator == "process":
                server = settings.kfp_endpoint.rstrip("/")
                place._proxy = await stack.enter_async_context(Proxy.started(server))
                await place.start_operator()
            # Whatever a case left is deleted while the operator is still there to take its finalizers off.
            stack.push_async_callback(place._delete_resources)
            yield place

    # --- What a team has ------------------------------------------------------------------------------------------

    async def _set_up(self) -> None:
        if not self.settings.namespace:
            await self.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
            await self._create(
                "serviceaccounts", {"metadata": {"name": "default-editor"}}
            )  # as profiles have
        await self._let_operator_read_secrets()
        if not self._secret and os.environ.get("AWS_ACCESS_KEY_ID"):
            self._secret = f"e2e-{self._suffix}"
            for namespace in self._secret_namespaces():
                await self.api.call("POST", f"/api/v1/namespaces/{namespace}/secrets", self._secret_body())
        await self._let_suite_read_runs()
        with suppress(ClientError):  # it is there, or may not be made: the upload tells
            await asyncio.to_thread(self.storage.create)
        await asyncio.to_thread(self.storage.put, self.prefix, "data/pictures.npz", pictures.data())

    def _secret_namespaces(self) -> set[str]:
        """Where the Secret is read: by the operator and KServe here, by the steps where runs execute."""
        return {self.namespace, self._where_runs_are}

    @property
    def _where_runs_are(self) -> str:
        return self.namespace if self.pipelines.multi_user else self.settings.kfp_namespace

    def _secret_body(self) -> Json:
        keys = {name: os.environ.get(name) for name in _KEYS}
        annotations = {
            "serving.kserve.io/s3-usehttps": str(int(self.settings.s3_https)),
            "serving.kserve.io/s3-region": self.settings.s3_region,
        }
        if self.settings.s3_endpoint:
            annotations["serving.kserve.io/s3-endpoint"] = self.settings.s3_endpoint
        return {
            "metadata": {
                "name": self._secret,
                "labels": {"trainandserve.io/credentials": "true"},
                "annotations": annotations,
            },
            "data": {name: base64.b64encode(key.encode()).decode() for name, key in keys.items() if key},
        }

    async def _let_operator_read_secrets(self) -> None:
        """What manifests/tenant grants, in a namespace that was made here."""
        if self.settings.namespace:
            return
        namespace, _, name = self.settings.operator_account.partition("/")
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        await self._grant("e2e-operator", rules, {"namespace": namespace, "name": name})

    async def _let_suite_read_runs(self) -> None:
        """An account that may list runs, where Kubeflow Pipelines ask who lists them."""
        if not self.pipelines.multi_user:
            return
        await self._create("serviceaccounts", {"metadata": {"name": READER}})
        rules = [{"apiGroups": [AUDIENCE], "resources": ["runs"], "verbs": ["get", "list"]}]
        await self._grant(READER, rules, {"namespace": self.namespace, "name": READER})
        await self.pipelines.identified(
            partial(access.token, self.api, f"{self.namespace}/{READER}", AUDIENCE)
        )

    async def _grant(self, name: str, rules: list[Json], account: Json) -> None:
        role = {"metadata": {"name": name}, "rules": rules}
        bound = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", **account}],
        }
        for plural, body in (("roles", role), ("rolebindings", bound)):
            await self._unless_there(f"{self.path(RBAC)}/{plural}", body)

    async def _create(self, plural: str, body: Json) -> None:
        await self._unless_there(f"/api/v1/namespaces/{self.namespace}/{plural}", body)

    async def _unless_there(self, path: str, body: Json) -> None:
        try:
            await self.api.call("POST", path, body)
        except ApiRefused as refused:
            if refused.status != 409:
                raise

    # --- The end --------------------------------------------------------------------------------------------------

    async def _delete_resources(self) -> None:
        if self.operators and not self.operator.alive:  # a case ended between a kill and the next start
            await self.start_operator()
        for name in sorted(self._names):
            with suppress(ApiRefused):
                await self.delete(name)
        for name in sorted(self._names):
            await self.gone(name)

    async def _stop_operators(self) -> None:
        await asyncio.gather(*(operator.stop() for operator in self.operators))

    async def _remove_all(self) -> None:
        """Everything that is not the operator's to remove; its finalizers too, where it did not come to it."""
        for one in await self.items(OURS):
            if one["metadata"]["name"] in self._names:
                with suppress(ApiRefused):
                    await self.patch(one["metadata"]["name"], {"metadata": {"finalizers": None}})
        await asyncio.to_thread(self.storage.empty, self.prefix)
        paths = [f"{self.path(RBAC)}/{kind}/{READER}" for kind in ("roles", "rolebindings")]
        paths.append(f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{READER}")
        if not self.settings.secret:
            paths += [f"/api/v1/namespaces/{one}/secrets/{self._secret}" for one in self._secret_namespaces()]
        if not self.settings.namespace:
            paths.append(f"/api/v1/namespaces/{self.namespace}")
        for path in paths:
            with suppress(ApiRefused):
                await self.api.call("DELETE", path)

    # --- The operator ---------------------------------------------------------------------------------------------

    @property
    def operator(self) -> OperatorProcess:
        """The one that was started last; its proxy stands before Kubeflow Pipelines."""
        return self.operators[-1]

    async def start_operator(self) -> OperatorProcess:
        """Start one under the rights of its service account, and wait until it leads."""
        folder = self._folder / f"operator-{len(self.operators) + 1}"
        folder.mkdir(parents=True)
        account = self.settings.operator_account
        access.write_kubeconfig(
            folder / "kubeconfig", kubeconfig(), bearer=await access.token(self.api, account)
        )
        kfp_token = folder / "kfp-token"
        kfp_token.touch(mode=0o600)
        kfp_token.write_text(await access.token(self.api, account, AUDIENCE))
        own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TAS_E2E_"))}
        environment = {
            "TAS_LISTEN": "127.0.0.1",
            "TAS_PORT": "0",
            "TAS_S3_ENDPOINTS": self.settings.s3_endpoint,
            **own,
            "KUBECONFIG": str(folder / "kubeconfig"),
            "TAS_KFP_ENDPOINT": self._proxy.url,
            "TAS_KFP_NAMESPACE": self.settings.kfp_namespace,
            "TAS_KFP_TOKEN_PATH": str(kfp_token),
        }
        operator = OperatorProcess(Program.operator(folder / "operator.log", environment), self._proxy)
        self.operators.append(operator)
        await operator.leads()
        return operator

    # --- Resources ------------------------------------------------------------------------------------------------

    def name(self, case: str) -> str:
        """A name that no other run of the suite has."""
        name = f"{case}-{self._suffix}"
        self._names.add(name)
        return name

    async def apply(self, name: str, **spec: Any) -> Json:
        """Apply the plainest resource, with parts of its specification laid over it, as a user would."""
        training: Json = {"parameters": PARAMETERS} | (
            {"image": self.settings.image} if self.settings.image else {}
        )
        plain: Json = {
            "data": {"uri": self.storage.uri(f"{self.prefix}data/")},
            "storage": {"uri": self.storage.uri(f"{self.prefix}models/")},
            "training": training,
            "evaluation": {"metrics": [{"name": "accuracy", "min": 0.9}]},
        }
        if self._secret:
            plain["storage"]["secretName"] = self._secret
        body = {
            "apiVersion": "trainandserve.io/v1alpha1",
            "kind": "TrainAndServe",
            "metadata": {"name": name},
            "spec": {key: plain.get(key, {}) | spec.get(key, {}) for key in plain | spec},
        }
        return await self.applied(body)

    async def serves(self, name: str, version: int, seconds: float | None = None) -> Json:
        """Wait until a version is proven to serve and nothing is under way; the status. One that cannot come is not waited for."""

        def holds(status: Json) -> bool:
            rejected = _judged(status) == version and told(status).get("ModelAccepted", "").startswith(
                "False"
            )
            assert not rejected, message(status, "ModelAccepted")
            assert "Stalled" not in told(status), message(status, "Stalled")
            return served(status) == version and status["phase"] == "Serving"

        return await self.status_with(name, holds, seconds)

    async def judged(self, name: str, version: int) -> Json:
        """Wait for the verdict on a version."""
        return await self.status_with(name, lambda status: _judged(status) == version)

    async def under_way(self, name: str, version: int) -> Json:
        """Wait until Kubeflow Pipelines has a run of a version, and the operator knows."""
        return await self.status_with(name, lambda status: _running(status) == version)

    async def runs(self, name: str) -> list[Run]:
        """Every run of a resource in Kubeflow Pipelines."""
        return await self.pipelines.runs(self.namespace, name)

    async def services_of(self, name: str) -> list[str]:
        """Names of the InferenceServices of a resource: the one that users reach, and a candidate's."""
        found = await self.items(f"{SERVICES}?labelSelector=trainandserve.io/name={name}")
        return [one["metadata"]["name"] for one in found]

    async def workflows_of(self, name: str) -> list[Json]:
        """The Workflows of a resource's runs."""
        named = f"{self.namespace}/{name} v"
        found = await self.api.items(WORKFLOWS.format(namespace=self._where_runs_are))
        return [one for one in found if _run_name(one).startswith(named)]

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[Client]:
        """A client of the model server of a resource."""
        service = await self.service(name)
        assert service is not None
        way = await Way.to(self.api, self.settings.predictor, service)
        async with Client.of(way) as client:
            yield client


_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def _run_name(workflow: Json) -> str:
    annotations: Mapping[str, str] = workflow["metadata"].get("annotations") or {}
    return annotations.get("pipelines.kubeflow.org/run_name", "")


def _judged(status: Json) -> int | None:
    candidate = status.get("candidate") or {}
    return candidate.get("version") if candidate.get("verdict") else None


def _running(status: Json) -> int | None:
    run = status.get("run") or {}
    return run.get("version") if run.get("state") == "Running" else None


def _storage(settings: Settings) -> Storage:
    scheme = "https" if settings.s3_https else "http"
    client = boto3.client(
        "s3",
        endpoint_url=f"{scheme}://{settings.s3_endpoint}" if settings.s3_endpoint else None,
        region_name=settings.s3_region,
        config=Config(s3={"addressing_style": "path"} if settings.s3_endpoint else {}),
    )
    return Storage(client, settings.s3_endpoint, settings.bucket)
