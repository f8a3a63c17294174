"""A namespace with an object store, a stand-in for it, and what the tests ask of both."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import boto3

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import RestError
from sandbox.kserve import FakeServers, KServe, Pace
from sandbox.kserve.cluster import INFERENCE_SERVICES, Cluster
from sandbox.s3 import S3Server

ACCESS_KEY, SECRET_KEY = "standin", "standin-secret"
BUCKET = "models"
FAST = Pace(backoff=0.02, pre_stop=0.02)
SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"
ISVC_LABEL = "serving.kserve.io/inferenceservice"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


def s3_client(server: S3Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
    )


@dataclass
class Namespace:
    """A namespace seen through the API, without blocking the loop that the stand-in runs in."""

    plane: ControlPlane
    name: str

    async def call(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        return await asyncio.to_thread(self.plane.rest.call, method, path, body, content_type)

    async def get(self, path: str) -> Any:
        try:
            return await self.call("GET", path)
        except RestError as error:
            assert error.status == 404
            return None

    def isvc_path(self, name: str = "demo") -> str:
        return f"/apis/serving.kserve.io/v1beta1/namespaces/{self.name}/inferenceservices/{name}"

    def deployment_path(self, name: str = "demo") -> str:
        return f"/apis/apps/v1/namespaces/{self.name}/deployments/{name}-predictor"

    async def isvc(self, name: str = "demo") -> Any:
        return await self.get(self.isvc_path(name))

    async def status(self, name: str = "demo") -> dict[str, Any]:
        return ((await self.isvc(name)) or {}).get("status") or {}

    async def deployment(self, name: str = "demo") -> Any:
        return await self.get(self.deployment_path(name))

    async def pods(self, name: str = "demo") -> list[Any]:
        path = f"/api/v1/namespaces/{self.name}/pods?labelSelector={ISVC_LABEL}%3D{name}"
        return list((await self.call("GET", path))["items"])

    async def events(self, name: str = "demo") -> list[Any]:
        found = (await self.call("GET", f"/api/v1/namespaces/{self.name}/events"))["items"]
        return [event for event in found if event["involvedObject"]["name"] == name]

    async def apply(self, body: dict[str, Any]) -> Any:
        path = self.isvc_path(body["metadata"]["name"])
        return await self.call("PATCH", f"{path}?fieldManager=train-and-serve&force=true", body, APPLY)

    async def patch(self, body: dict[str, Any], name: str = "demo") -> Any:
        return await self.call("PATCH", self.isvc_path(name), body, MERGE)

    async def set_secret_key(self, secret_key: str) -> None:
        body = {"stringData": {"AWS_SECRET_ACCESS_KEY": secret_key}}
        await self.call("PATCH", f"/api/v1/namespaces/{self.name}/secrets/object-store", body, MERGE)

    async def credentials(self, server: S3Server) -> None:
        """A Secret the way KServe reads it, listed under ServiceAccount ``predictor``."""
        secret = {
            "metadata": {
                "name": "object-store",
                "annotations": {
                    "serving.kserve.io/s3-endpoint": server.url.removeprefix("http://"),
                    "serving.kserve.io/s3-usehttps": "0",
                    "serving.kserve.io/s3-region": "us-east-1",
                },
            },
            "stringData": {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY},
        }
        account = {"metadata": {"name": "predictor"}, "secrets": [{"name": "object-store"}]}
        await self.call("POST", f"/api/v1/namespaces/{self.name}/secrets", secret)
        await self.call("POST", f"/api/v1/namespaces/{self.name}/serviceaccounts", account)

    async def serves(self, uri: str, name: str = "demo") -> bool:
        """The proof of design and facts: the Deployment's template, generation and replicas."""
        found = await self.deployment(name)
        if found is None or "status" not in found:
            return False
        status, template = found["status"], found["spec"]["template"]
        return (
            template["metadata"]["annotations"][SOURCE_URI] == uri
            and status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("updatedReplicas") == status.get("replicas") == status.get("availableReplicas")
            and (await self.status(name)).get("modelStatus", {}).get("transitionStatus") == "UpToDate"
        )


@asynccontextmanager
async def running(ns: Namespace, workdir: Path | None = None, **settings: Any) -> AsyncIterator[KServe]:
    """A stand-in for one namespace, with servers that need no TensorFlow."""
    settings = {"servers": FakeServers(workdir), "pace": FAST, "namespace": ns.name} | settings
    standin = KServe(ns.plane.kubeconfig, **settings)
    await standin.start()
    try:
        yield standin
    finally:
        await standin.stop()


def isvc(uri: str, name: str = "demo", **predictor: Any) -> dict[str, Any]:
    """What the operator applies, as far as KServe looks at it."""
    model = {
        "modelFormat": {"name": "tensorflow"},
        "storageUri": uri,
        "readinessProbe": {"httpGet": {"path": f"/v1/models/{name}", "port": 8080}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 6}}},
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": {"serving.kserve.io/deploymentMode": "Standard"}},
        "spec": {"predictor": {"serviceAccountName": "predictor", "model": model, **predictor}},
    }


def uri(model: str) -> str:
    return f"s3://{BUCKET}/{model}/"


async def until(holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Poll an awaitable condition until it is true; its value."""
    deadline = time.monotonic() + 3 * seconds  # for what never comes; a busy machine is no failure
    while not (value := await holds()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        await asyncio.sleep(0.03)
    return value


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {
        row["type"]: "/".join(filter(None, [row["status"], row.get("reason")]))
        for row in status["conditions"]
    }


def model_states(status: dict[str, Any]) -> tuple[str, str, str]:
    found = status["modelStatus"]
    states = found.get("states") or {}
    return found["transitionStatus"], states.get("activeModelState", ""), states.get("targetModelState", "")


async def predict(url: str, name: str = "demo") -> Any:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/v1/models/{name}:predict", json={"instances": [[1.0]]}) as answer:
            return (answer.status, await answer.json() if answer.status == 200 else await answer.text())


class Requests:
    """A steady stream of predictions, and what came of them."""

    def __init__(self, url: str, name: str = "demo") -> None:
        self.url, self.name = url, name
        self.answers: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Requests:
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(3)]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self) -> None:
        async with aiohttp.ClientSession() as session:
            url, body = f"{self.url}/v1/models/{self.name}:predict", {"instances": [[1.0]]}
            while True:
                try:
                    async with session.post(url, json=body) as answer:
                        said = await answer.text()
                        self.answers.append(
                            json.loads(said) if answer.status == 200 else (answer.status, said)
                        )
                except aiohttp.ClientError as error:
                    self.answers.append(repr(error))
                await asyncio.sleep(0.005)

    @property
    def versions(self) -> set[int]:
        return {answer["predictions"][0]["version"] for answer in self.answers if isinstance(answer, dict)}

    @property
    def failed(self) -> list[Any]:
        return [answer for answer in self.answers if not isinstance(answer, dict)]


@dataclass
class History:
    """Every state that the InferenceService went through, as a watch tells."""

    ns: Namespace
    states: list[tuple[Any, ...]] = field(default_factory=list)

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[History]:
        cluster = await Cluster.connected(self.ns.plane.kubeconfig)
        task = asyncio.create_task(cluster.watch_forever(INFERENCE_SERVICES, self.ns.name, "", self._see))
        yield self
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await cluster.close()

    def _see(self, found: dict[str, Any]) -> None:
        if not found.get("status", {}).get("conditions"):
            return
        status, generation = found["status"], found["metadata"]["generation"]
        told = conditions(status)
        state = (generation, status.get("observedGeneration"), told["Ready"], told["PredictorReady"])
        state += model_states(status)
        if not self.states or self.states[-1] != state:
            self.states.append(state)


async def deployed(ns: Namespace, model: str = "v1", **predictor: Any) -> str:
    """Apply and wait; the InferenceService's address."""
    await ns.apply(isvc(uri(model), **predictor))
    await until(lambda: ns.serves(uri(model)))
    return str((await ns.status())["url"])
