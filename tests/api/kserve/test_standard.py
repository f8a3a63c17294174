"""What was seen on a real KServe v0.20.0 in Standard mode, restated, and held against the stand-in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import RestError
from sandbox.kserve import FakeServers, KServe, Pace, ProcessServers
from sandbox.kserve.cluster import INFERENCE_SERVICES, Cluster
from sandbox.processes import ChildProcess
from sandbox.s3 import S3Server

ACCESS_KEY, SECRET_KEY = "standin", "standin-secret"
BUCKET = "models"
FAST = Pace(backoff=0.02, pre_stop=0.02)
SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"
ISVC_LABEL = "serving.kserve.io/inferenceservice"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server.started(ACCESS_KEY, SECRET_KEY) as server:
        client = s3_client(server)
        client.create_bucket(Bucket=BUCKET)
        models = {
            "v1/": {"1/saved_model.pb": "x"},
            "v2/": {"2/saved_model.pb": "x"},
            "slow/": {"7/fake.json": '{"loadSeconds": 0.6}'},
            "crash/": {"3/fake.json": '{"crash": true, "message": "no such op: Frobnicate"}'},
            "flat/": {"saved_model.pb": "x"},
            "run-1": {"/1/fake.json": '{"predictions": ["one"]}'},
            "run-10": {"/5/fake.json": '{"predictions": ["ten"]}'},
        }
        for prefix, objects in models.items():
            for key, body in objects.items():
                client.put_object(Bucket=BUCKET, Key=prefix + key, Body=body.encode())
        client.close()
        yield server


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


@pytest.fixture
async def ns(plane: ControlPlane, namespace: str, s3: S3Server) -> Namespace:
    found = Namespace(plane, namespace)
    await found.credentials(s3)
    return found


@pytest.fixture
async def standin(ns: Namespace) -> AsyncIterator[KServe]:
    async with running(ns) as one:
        yield one


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


NOT_CREATED = "False/Predictor ingress not created"


async def test_a_first_deployment_goes_through_the_recorded_states(ns: Namespace, standin: KServe) -> None:
    async with History(ns).followed() as history:
        url = await deployed(ns, "slow")
    unavailable = "False/MinimumReplicasUnavailable"
    done = "True/NewReplicaSetAvailable"
    assert history.states == [
        (1, None, NOT_CREATED, "False", "InProgress", "", "Pending"),
        (1, 1, NOT_CREATED, unavailable, "InProgress", "", "Loading"),
        (1, 1, NOT_CREATED, unavailable, "InProgress", "", "Pending"),
        (1, 1, "True", done, "InProgress", "", "Pending"),
        (1, 1, "True", done, "UpToDate", "Loaded", "Loaded"),
    ]
    status = await ns.status()
    assert [row["type"] for row in status["conditions"]] == [
        "IngressReady",
        "PredictorReady",
        "Ready",
        "Stopped",
    ]
    assert status["address"] == {"url": url}
    assert status["components"] == {"predictor": {"url": url}}
    assert status["modelStatus"]["copies"] == {"failedCopies": 0, "totalCopies": 1}
    assert status["deploymentMode"] == "Standard"
    assert await predict(url) == (200, {"predictions": [{"version": 7}]})


async def test_the_objects_look_as_the_operator_reads_them(ns: Namespace, standin: KServe) -> None:
    await deployed(
        ns,
        annotations={"trainandserve.io/version": "1"},
        nodeSelector={"disk": "fast"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
    )
    found = await ns.deployment()
    service = await ns.isvc()
    assert service["metadata"]["finalizers"] == ["inferenceservice.finalizers"]
    assert service["metadata"]["annotations"]["modelFormat"] == "tensorflow"
    assert service["metadata"]["generation"] == 1
    owner = found["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"], owner["controller"]) == (
        "InferenceService",
        service["metadata"]["uid"],
        True,
    )
    assert found["metadata"]["labels"][ISVC_LABEL] == "demo"
    assert found["metadata"]["annotations"][SOURCE_URI] == uri("v1")
    template = found["spec"]["template"]
    assert template["metadata"]["annotations"]["trainandserve.io/version"] == "1"
    assert template["spec"]["nodeSelector"] == {"disk": "fast"}
    assert template["spec"]["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert template["spec"]["initContainers"][0]["name"] == "storage-initializer"
    container = template["spec"]["containers"][0]
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 6}}
    assert container["readinessProbe"]["httpGet"]["path"] == "/v1/models/demo"
    assert container["resources"]["requests"]["cpu"] == "1"
    (pod,) = await ns.pods()
    assert pod["metadata"]["labels"]["app"] == "isvc.demo-predictor"
    assert pod["metadata"]["labels"]["pod-template-hash"] in pod["metadata"]["name"]
    assert pod["status"]["phase"] == "Running"
    assert SECRET_KEY not in json.dumps([found, pod, await ns.events()])


async def test_an_update_loses_no_request_and_says_too_early_that_it_is_done(
    ns: Namespace, standin: KServe
) -> None:
    url = await deployed(ns)
    async with History(ns).followed() as history, Requests(url) as requests:
        for model in ("v2", "slow", "v1"):
            await ns.apply(isvc(uri(model)))
            await until(lambda model=model: ns.serves(uri(model)))
    assert requests.failed == []
    assert requests.versions == {1, 2, 7}
    assert len(requests.answers) > 50
    assert {state[2] for state in history.states} == {"True"}
    reasons = {state[3] for state in history.states}
    assert reasons == {"True/NewReplicaSetAvailable", "True/MinimumReplicasAvailable"}
    assert (await ns.status())["url"] == url
    assert len(await until(lambda: only_staying(ns))) == 1


async def only_staying(ns: Namespace) -> list[Any]:
    pods = await ns.pods()
    return pods if not any("deletionTimestamp" in pod["metadata"] for pod in pods) else []


async def test_a_model_that_is_not_there_leaves_the_old_one_serving_and_is_told(
    ns: Namespace, standin: KServe
) -> None:
    url = await deployed(ns)
    async with Requests(url) as requests:
        await ns.apply(isvc(uri("nowhere")))
        status = await until(lambda: status_with(ns, "BlockedByFailedLoad"))
        assert conditions(status)["Ready"] == "True"
        assert conditions(status)["PredictorReady"] == "True/MinimumReplicasAvailable"
        assert model_states(status) == ("BlockedByFailedLoad", "Loaded", "FailedToLoad")
        failure = status["modelStatus"]["lastFailureInfo"]
        assert (failure["reason"], failure["exitCode"]) == ("ModelLoadFailed", 1)
        assert "No model found in" in failure["message"]
        pod = await until(lambda: backing_off(ns, "initContainerStatuses"))
        assert pod["status"]["phase"] == "Pending"
        found = await ns.deployment()
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        assert (found["status"]["replicas"], found["status"]["updatedReplicas"]) == (2, 1)
        assert (found["status"]["availableReplicas"], found["status"]["unavailableReplicas"]) == (1, 1)
        await ns.apply(isvc(uri("v2")))
        await until(lambda: ns.serves(uri("v2")))
    assert requests.failed == []
    # A later success does not clear it.
    assert "No model found in" in (await ns.status())["modelStatus"]["lastFailureInfo"]["message"]


async def status_with(ns: Namespace, transition: str) -> dict[str, Any] | None:
    status = await ns.status()
    return status if (status.get("modelStatus") or {}).get("transitionStatus") == transition else None


async def backing_off(ns: Namespace, statuses: str) -> Any:
    for pod in await ns.pods():
        for row in pod.get("status", {}).get(statuses) or []:
            if row["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff":
                return pod
    return None


@pytest.mark.parametrize("policy", ["File", "FallbackToLogsOnError"])
async def test_a_server_that_crashes_while_it_loads_shows_in_its_pod_only(
    ns: Namespace, standin: KServe, policy: str
) -> None:
    url = await deployed(ns)
    body = isvc(uri("crash"))
    body["spec"]["predictor"]["model"]["terminationMessagePolicy"] = policy
    await ns.apply(body)
    pod = await until(lambda: backing_off(ns, "containerStatuses"))
    (row,) = pod["status"]["containerStatuses"]
    ended = row["lastState"]["terminated"]
    assert row["restartCount"] >= 1
    assert (ended["exitCode"], ended["reason"]) == (1, "Error")
    # Kubernetes keeps a container's last words only where it is asked to.
    assert ("Frobnicate" in ended.get("message", "")) == (policy == "FallbackToLogsOnError")
    status = await ns.status()
    assert conditions(status)["Ready"] == "True"
    assert model_states(status) == ("UpToDate", "Loaded", "Loaded")
    assert await predict(url) == (200, {"predictions": [{"version": 1}]})


async def test_a_stuck_update_turns_ready_false_at_its_deadline_while_the_old_pod_serves(
    ns: Namespace,
) -> None:
    async with running(ns, progress_deadline=1.5):
        url = await deployed(ns)
        await ns.apply(isvc(uri("nowhere")))
        await until(lambda: ready_is(ns, NOT_CREATED))
        status = await ns.status()
        assert conditions(status)["PredictorReady"] == "False/ProgressDeadlineExceeded"
        assert conditions(status)["IngressReady"] == NOT_CREATED
        assert status["url"] == url
        assert (await predict(url))[0] == 200
        await ns.apply(isvc(uri("v2")))
        await until(lambda: ns.serves(uri("v2")))
        assert conditions(await ns.status())["Ready"] == "True"


async def test_a_crashing_first_deployment_stays_pending_until_its_deadline(ns: Namespace) -> None:
    async with running(ns, progress_deadline=1.5):
        await ns.apply(isvc(uri("crash")))
        await until(lambda: backing_off(ns, "containerStatuses"))
        await until(lambda: pending(ns))
        status = await until(lambda: status_with(ns, "BlockedByFailedLoad"))
        assert conditions(status)["PredictorReady"] == "False/MinimumReplicasUnavailable"
        assert status["modelStatus"]["lastFailureInfo"] == {"exitCode": 1, "reason": "ModelLoadFailed"}
        assert "url" not in status


async def pending(ns: Namespace) -> bool:
    return model_states(await ns.status()) == ("InProgress", "", "Pending")


async def ready_is(ns: Namespace, wanted: str) -> bool:
    status = await ns.status()
    return bool(status.get("conditions")) and conditions(status)["Ready"] == wanted


UNKNOWN = {"IngressReady": "Unknown", "PredictorReady": "Unknown", "Ready": "Unknown"}


async def test_an_unknown_runtime_is_an_invalid_spec(ns: Namespace, standin: KServe) -> None:
    body = isvc(uri("v1"))
    body["spec"]["predictor"]["model"]["runtime"] = "nope"
    await ns.apply(body)
    status = await until(lambda: status_with(ns, "InvalidSpec"))
    assert conditions(status) == UNKNOWN
    assert "observedGeneration" not in status
    assert status["modelStatus"]["lastFailureInfo"] == {
        "reason": "RuntimeNotRecognized",
        "message": "Waiting for runtime to become available",
    }
    assert await ns.deployment() is None


@pytest.mark.parametrize(("field", "value"), [("modelFormat", {"name": "zzz"}), ("protocolVersion", "v2")])
async def test_a_format_or_protocol_without_a_runtime_is_an_invalid_spec(
    ns: Namespace, standin: KServe, field: str, value: Any
) -> None:
    body = isvc(uri("v1"))
    body["spec"]["predictor"]["model"][field] = value
    await ns.apply(body)
    status = await until(lambda: status_with(ns, "InvalidSpec"))
    assert status["modelStatus"]["lastFailureInfo"]["reason"] == "NoSupportingRuntime"


@pytest.mark.parametrize("address", ["ftp://x/y", "minio://models/v1/"])
async def test_a_scheme_that_is_not_supported_shows_in_an_event_only(
    ns: Namespace, standin: KServe, address: str
) -> None:
    await ns.apply(isvc(address))
    (event,) = await until(ns.events)
    assert "StorageURI not supported" in event["message"]
    status = await until(ns.status)
    assert conditions(status) == UNKNOWN
    assert status["modelStatus"] == {"transitionStatus": ""}


async def test_without_the_mode_annotation_the_shipped_default_is_rejected(
    ns: Namespace, standin: KServe
) -> None:
    body = isvc(uri("v1"))
    body["metadata"]["annotations"] = {}
    await ns.apply(body)
    status = await until(ns.status)
    assert conditions(status) == UNKNOWN
    assert status["deploymentMode"] == "Knative"
    (event,) = await until(ns.events)
    assert (event["type"], event["reason"]) == ("Warning", "ServerlessModeRejected")


async def test_a_missing_service_account_is_told_and_got_over(ns: Namespace, standin: KServe) -> None:
    await ns.apply(isvc(uri("v1"), serviceAccountName="nosuch"))
    status = await until(lambda: predictor_reason(ns, "False/FailedCreate"))
    (row,) = [row for row in status["conditions"] if row["type"] == "PredictorReady"]
    assert row["message"].endswith(
        f'is forbidden: error looking up service account {ns.name}/nosuch: serviceaccount "nosuch" not found'
    )
    assert conditions(status)["Ready"] == NOT_CREATED
    account = {"metadata": {"name": "nosuch"}, "secrets": [{"name": "object-store"}]}
    await ns.call("POST", f"/api/v1/namespaces/{ns.name}/serviceaccounts", account)
    await until(lambda: ns.serves(uri("v1")))


async def predictor_reason(ns: Namespace, wanted: str) -> dict[str, Any] | None:
    status = await ns.status()
    return status if status.get("conditions") and conditions(status)["PredictorReady"] == wanted else None


async def test_without_credentials_the_load_fails_with_that_reason(ns: Namespace, standin: KServe) -> None:
    await ns.apply(isvc(uri("v1"), serviceAccountName="default"))
    status = await until(lambda: status_with(ns, "BlockedByFailedLoad"))
    assert "S3 authentication failed" in status["modelStatus"]["lastFailureInfo"]["message"]
    assert model_states(status) == ("BlockedByFailedLoad", "", "FailedToLoad")


async def test_wrong_credentials_are_refused_until_the_secret_is_put_right(
    ns: Namespace, standin: KServe
) -> None:
    await ns.set_secret_key("another-secret")
    await ns.apply(isvc(uri("v1")))
    status = await until(lambda: status_with(ns, "BlockedByFailedLoad"))
    assert "S3 authentication failed" in status["modelStatus"]["lastFailureInfo"]["message"]
    await ns.set_secret_key(SECRET_KEY)
    await until(lambda: ns.serves(uri("v1")))


async def test_the_secret_named_on_the_inference_service_comes_before_the_service_account(
    ns: Namespace, standin: KServe
) -> None:
    body = isvc(uri("v1"), serviceAccountName="default")
    body["metadata"]["annotations"]["serving.kserve.io/storageSecretName"] = "object-store"
    await ns.apply(body)
    await until(lambda: ns.serves(uri("v1")))


async def test_a_prefix_without_its_slash_takes_its_neighbours_too(ns: Namespace, tmp_path: Path) -> None:
    async with running(ns, tmp_path):
        await prefix_trap(ns, tmp_path)


async def prefix_trap(ns: Namespace, tmp_path: Path) -> None:
    await ns.apply(isvc(f"s3://{BUCKET}/run-1"))
    await until(lambda: ns.serves(f"s3://{BUCKET}/run-1"))
    folders = {one.name for one in (tmp_path / "pods").glob("*/models/*")}
    assert folders == {"0", "1"}  # run-10/5/ arrived as 0/5/
    assert (await predict((await ns.status())["url"]))[1] == {"predictions": ["one"]}
    await ns.apply(isvc(f"s3://{BUCKET}/run-10/"))
    await until(lambda: ns.serves(f"s3://{BUCKET}/run-10/"))
    assert (await predict((await ns.status())["url"]))[1] == {"predictions": ["ten"]}


@pytest.mark.parametrize("kind", ["annotations", "labels"])
async def test_any_annotation_or_label_restarts_the_pods(ns: Namespace, standin: KServe, kind: str) -> None:
    await deployed(ns)
    (before,) = await ns.pods()
    generation = (await ns.isvc())["metadata"]["generation"]
    await ns.patch({"metadata": {kind: {"example.com/note": "hello"}}})
    after = await until(lambda: another_pod(ns, before))
    assert after["metadata"][kind]["example.com/note"] == "hello"
    await until(lambda: ns.serves(uri("v1")))
    found = await ns.isvc()
    # observedGeneration is the Deployment's.
    assert (found["metadata"]["generation"], found["status"]["observedGeneration"]) == (generation, 2)


async def another_pod(ns: Namespace, before: Any) -> Any:
    pods = await only_staying(ns)
    return pods[0] if len(pods) == 1 and pods[0]["metadata"]["uid"] != before["metadata"]["uid"] else None


async def test_an_edited_deployment_is_put_back(ns: Namespace, standin: KServe) -> None:
    await deployed(ns)
    before = await ns.deployment()
    edit = {
        "metadata": {"annotations": {SOURCE_URI: "s3://elsewhere/"}},
        "spec": {"template": {"metadata": {"annotations": {SOURCE_URI: "s3://elsewhere/", "mine": "too"}}}},
    }
    edited = await ns.call("PATCH", ns.deployment_path(), edit, MERGE)
    assert edited["metadata"]["generation"] == before["metadata"]["generation"] + 1
    await until(lambda: ns.serves(uri("v1")))
    found = await ns.deployment()
    assert found["spec"] == before["spec"]
    assert found["metadata"]["annotations"] == before["metadata"]["annotations"]


async def test_a_deleted_deployment_is_made_again(ns: Namespace, standin: KServe) -> None:
    url = await deployed(ns)
    before = await ns.deployment()
    await ns.call("DELETE", ns.deployment_path())
    await until(lambda: another_deployment_serves(ns, before))
    assert (await predict(url))[0] == 200
    assert (await ns.status())["url"] == url


async def another_deployment_serves(ns: Namespace, before: Any) -> bool:
    found = await ns.deployment()
    if (
        found is None
        or found["metadata"]["uid"] == before["metadata"]["uid"]
        or len(await only_staying(ns)) != 1
    ):
        return False
    return await ns.serves(uri("v1"))


async def test_a_deleted_pod_is_replaced(ns: Namespace, standin: KServe) -> None:
    await deployed(ns)
    (before,) = await ns.pods()
    await ns.call("DELETE", f"/api/v1/namespaces/{ns.name}/pods/{before['metadata']['name']}")
    await until(lambda: another_pod(ns, before))
    await until(lambda: ns.serves(uri("v1")))


async def test_a_killed_server_starts_again_in_its_pod(ns: Namespace, standin: KServe) -> None:
    url = await deployed(ns)
    (before,) = await ns.pods()
    (run,) = standin.pods(ns.name, "demo")
    assert run.container is not None
    run.container.kill()
    pod = await until(lambda: restarted(ns))
    assert pod["metadata"]["uid"] == before["metadata"]["uid"]
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
    await until(lambda: ns.serves(uri("v1")))
    assert (await predict(url))[0] == 200


async def restarted(ns: Namespace) -> Any:
    (pod,) = await ns.pods()
    (row,) = pod["status"]["containerStatuses"]
    return pod if row["restartCount"] == 1 and row["ready"] else None


async def test_deleting_ends_the_servers_and_everything_made_for_them(ns: Namespace, standin: KServe) -> None:
    url = await deployed(ns)
    await ns.call("DELETE", ns.isvc_path())
    await until(lambda: gone(ns))
    assert standin.pods(ns.name, "demo") == []
    with pytest.raises(aiohttp.ClientError):
        await predict(url)
    await deployed(ns, "v2")


async def gone(ns: Namespace) -> bool:
    return await ns.isvc() is None and await ns.deployment() is None and not await ns.pods()


async def test_while_the_standin_is_away_a_deletion_waits_for_it(ns: Namespace) -> None:
    async with running(ns):
        await deployed(ns)
    await ns.call("DELETE", ns.isvc_path())
    assert "deletionTimestamp" in (await ns.isvc())["metadata"]
    async with running(ns):
        await until(lambda: gone(ns))


async def test_a_standin_that_is_started_again_goes_on_at_the_same_address(ns: Namespace) -> None:
    async with running(ns):
        url = await deployed(ns)
        (before,) = await ns.pods()
    with pytest.raises(aiohttp.ClientError):
        await predict(url)
    async with running(ns):
        await until(lambda: restarted(ns))
        await until(lambda: ns.serves(uri("v1")))
        assert (await predict(url))[0] == 200
        (after,) = await ns.pods()
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        await ns.apply(isvc(uri("v2")))
        await until(lambda: ns.serves(uri("v2")))
        assert (await predict(url))[1] == {"predictions": [{"version": 2}]}


async def test_applying_the_same_again_changes_nothing(ns: Namespace, standin: KServe) -> None:
    await deployed(ns)
    await until(lambda: settled(ns))
    before, deployment = await ns.isvc(), await ns.deployment()
    for _ in range(3):
        again = await ns.apply(isvc(uri("v1")))
        assert again["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert (await ns.deployment())["metadata"]["resourceVersion"] == deployment["metadata"]["resourceVersion"]
    owned = {
        entry["manager"]: entry
        for entry in before["metadata"]["managedFields"]
        if entry.get("subresource") != "status"
    }
    assert set(owned) == {"train-and-serve", "manager", "kserve-webhook-server"}


async def settled(ns: Namespace) -> bool:
    """Nothing is written any more: the same versions twice in a row, a quarter of a second apart."""
    before = [
        (await ns.isvc())["metadata"]["resourceVersion"],
        (await ns.deployment())["metadata"]["resourceVersion"],
    ]
    await asyncio.sleep(0.25)
    after = [
        (await ns.isvc())["metadata"]["resourceVersion"],
        (await ns.deployment())["metadata"]["resourceVersion"],
    ]
    return before == after


async def test_a_bad_spec_leaves_what_served_serving_also_over_a_restart(ns: Namespace) -> None:
    async with running(ns):
        url = await deployed(ns)
        body = isvc(uri("v1"))
        body["spec"]["predictor"]["model"]["runtime"] = "nope"
        await ns.apply(body)
        status = await until(lambda: status_with(ns, "InvalidSpec"))
        assert conditions(status)["Ready"] == "True"
        assert (await predict(url))[0] == 200
    async with running(ns):
        await until(lambda: answers(url))
        await ns.apply(isvc(uri("v2")))
        await until(lambda: ns.serves(uri("v2")))


async def answers(url: str) -> bool:
    try:
        return bool((await predict(url))[0] == 200)
    except aiohttp.ClientError:
        return False


async def test_the_program_runs_until_it_is_told_to_stop(ns: Namespace, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.kserve", "--kubeconfig", str(ns.plane.kubeconfig)]
    command += ["--workdir", str(tmp_path / "work"), "--fake-servers", "--namespace", ns.name]
    child = ChildProcess.start("kserve", command, tmp_path / "log", cwd=Path(__file__).parents[2])
    try:
        await asyncio.to_thread(child.wait_for_line, "KServe stand-in is running", 60.0)
        url = await deployed(ns)
        assert (await predict(url))[0] == 200
        os.kill(child.pid, signal.SIGTERM)
        assert await asyncio.to_thread(child.wait, 30.0) == 0
        assert SECRET_KEY not in child.output()
    finally:
        await asyncio.to_thread(child.stop)


async def test_the_old_name_of_the_mode_is_understood(ns: Namespace, standin: KServe) -> None:
    body = isvc(uri("v1"))
    body["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] = "RawDeployment"
    await ns.apply(body)
    await until(lambda: ns.serves(uri("v1")))


async def test_the_stop_annotation_stops_and_its_removal_restores(ns: Namespace, standin: KServe) -> None:
    url = await deployed(ns)
    await ns.patch({"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}})
    await until(lambda: ready_is(ns, "False/Stopped"))
    status = await ns.status()
    assert conditions(status)["Stopped"] == "True"
    assert "url" not in status
    assert await ns.deployment() is None
    assert (await predict(url))[0] == 503
    await ns.patch({"metadata": {"annotations": {"serving.kserve.io/stop": None}}})
    await until(lambda: ns.serves(uri("v1")))
    assert (await predict(url))[0] == 200


async def test_replicas_share_the_requests_and_are_replaced_one_by_one(
    ns: Namespace, standin: KServe
) -> None:
    url = await deployed(ns, minReplicas=3)
    assert len(await ns.pods()) == 3
    async with Requests(url) as requests:
        await ns.apply(isvc(uri("v2"), minReplicas=3))
        await until(lambda: ns.serves(uri("v2")))
        await ns.apply(isvc(uri("v2"), minReplicas=1))
        await until(lambda: one_pod(ns))
    assert requests.failed == []


async def one_pod(ns: Namespace) -> bool:
    return len(await ns.pods()) == 1


async def test_a_max_replicas_change_leaves_the_observed_generation_behind_for_good(
    ns: Namespace, standin: KServe
) -> None:
    await deployed(ns)
    await ns.apply(isvc(uri("v1"), maxReplicas=3))
    await until(lambda: settled(ns))
    found = await ns.isvc()
    assert (found["metadata"]["generation"], found["status"]["observedGeneration"]) == (2, 1)


async def test_kserves_own_server_serves_tensorflow_models_and_an_update_loses_no_request(
    ns: Namespace, s3: S3Server, tmp_path: Path
) -> None:
    await asyncio.to_thread(upload_factor_models, s3, tmp_path / "saved")
    async with running(ns, servers=ProcessServers(tmp_path / "work")):
        await ns.apply(isvc(uri("twice")))
        await until(lambda: ns.serves(uri("twice")), seconds=90.0)
        url = (await ns.status())["url"]
        assert (await predict(url))[1] == {"predictions": [[2.0]]}
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/v1/models/demo") as answer:
                assert (answer.status, (await answer.json())["ready"]) == (200, True)
            async with session.post(f"{url}/v1/models/demo:predict", json={"instances": ["x"]}) as answer:
                assert answer.status == 400
        async with Requests(url) as requests:
            await ns.apply(isvc(uri("thrice")))
            await until(lambda: ns.serves(uri("thrice")), seconds=90.0)
        assert requests.failed == []
        assert {answer["predictions"][0][0] for answer in requests.answers} == {2.0, 3.0}
        logs = [log.read_text() for log in (tmp_path / "work").rglob("*.log")]
        assert logs
        assert SECRET_KEY not in "".join(logs)


def upload_factor_models(s3: S3Server, folder: Path) -> None:
    """Two SavedModels that multiply one number, made in another process: TensorFlow stays out of this one."""
    program = """
import sys, tensorflow as tf
class Times(tf.Module):
    def __init__(self, factor):
        self.factor = tf.constant(factor)
    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32)])
    def __call__(self, x):
        return {"y": self.factor * x}
for name, factor in [("twice/1", 2.0), ("thrice/2", 3.0)]:
    model = Times(factor)
    tf.saved_model.save(model, f"{sys.argv[1]}/{name}", signatures={"serving_default": model.__call__})
"""
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, capture_output=True)
    client = s3_client(s3)
    for file in folder.rglob("*"):
        if file.is_file():
            client.put_object(Bucket=BUCKET, Key=str(file.relative_to(folder)), Body=file.read_bytes())
    client.close()
