"""What was seen on a real KServe v0.20.0 in Standard mode, restated, and held against the stand-in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.kserve import KServe, ProcessServers
from sandbox.processes import ChildProcess
from sandbox.s3 import S3Server
from tests.api.kserve.ground import (
    BUCKET,
    ISVC_LABEL,
    MERGE,
    SECRET_KEY,
    SOURCE_URI,
    History,
    Namespace,
    Requests,
    conditions,
    deployed,
    isvc,
    model_states,
    predict,
    running,
    s3_client,
    until,
    uri,
)

pytestmark = pytest.mark.slow  # what the sandbox is made of; the tests of the operator use it too

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


async def gone(ns: Namespace, name: str = "demo") -> bool:
    return await ns.isvc(name) is None and await ns.deployment(name) is None and not await ns.pods(name)


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


async def test_a_candidate_beside_it_has_its_own_pods_and_address_and_leaves_without_a_trace(
    ns: Namespace, standin: KServe
) -> None:
    url = await deployed(ns)
    before = await ns.deployment()
    async with Requests(url) as requests:
        await ns.apply(isvc(uri("v2"), "demo-candidate"))
        await until(lambda: ns.serves(uri("v2"), "demo-candidate"))
        apart = (await ns.status("demo-candidate"))["url"]
        assert apart != url
        assert await predict(apart, "demo-candidate") == (200, {"predictions": [{"version": 2}]})
        assert (await predict(apart, "demo"))[0] == 404
        (pod,) = await ns.pods("demo-candidate")
        assert pod["metadata"]["labels"]["app"] == "isvc.demo-candidate-predictor"
        assert len(await ns.pods()) == 1
        await ns.call("DELETE", ns.isvc_path("demo-candidate"))
        await until(lambda: gone(ns, "demo-candidate"))
    assert (requests.failed, requests.versions) == ([], {1})
    assert (await ns.deployment())["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


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
    child = ChildProcess.start("kserve", command, tmp_path / "log", cwd=Path(__file__).parents[3])
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


@pytest.mark.campaign  # `make demo` asks the same server through three updates
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
