"""Knative mode as KServe v0.20 and Knative Serving have it in their sources, restated, and held against the stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sandbox.controlplane.rest import RestError
from sandbox.kserve import KServe
from sandbox.prometheus import Monitor
from tests.api.kserve.ground import (
    MERGE,
    Namespace,
    Requests,
    conditions,
    deployed,
    isvc,
    model_states,
    predict,
    running,
    until,
    uri,
)

pytestmark = pytest.mark.slow  # what the sandbox is made of; the tests of the operator use it too

MODE = "serving.kserve.io/deploymentMode"
FIRST, SECOND, THIRD = (f"demo-predictor-{number:05}" for number in (1, 2, 3))
UP = {
    "IngressReady": "True",
    "LatestDeploymentReady": "True",
    "PredictorConfigurationReady": "True",
    "PredictorReady": "True",
    "PredictorRouteReady": "True",
    "Ready": "True",
    "RoutesReady": "True",
    "Stopped": "False",
}
LOADING = UP | {
    "LatestDeploymentReady": "Unknown/PredictorConfigurationReady not ready",
    "PredictorConfigurationReady": "Unknown",
    "PredictorReady": "Unknown",
    "Ready": "Unknown",
}
FAILED = UP | {
    "LatestDeploymentReady": "False/PredictorConfigurationReady not ready",
    "PredictorConfigurationReady": "False/RevisionFailed",
    "PredictorReady": "False/RevisionFailed",
    "Ready": "False/RevisionFailed",
}


@pytest.fixture
async def standin(ns: Namespace) -> AsyncIterator[KServe]:
    async with running(ns, knative=True) as one:
        yield one


def knative(model: str, canary: int | None = None, **annotations: str) -> dict[str, Any]:
    """What the operator applies in Knative mode: no preStop, which Knative refuses."""
    body = isvc(uri(model))
    body["metadata"]["annotations"] = {MODE: "Knative", **annotations}
    del body["spec"]["predictor"]["model"]["lifecycle"]
    if canary is not None:
        body["spec"]["predictor"]["canaryTrafficPercent"] = canary
    return body


async def component(ns: Namespace) -> dict[str, Any]:
    found: dict[str, Any] = ((await ns.status()).get("components") or {}).get("predictor") or {}
    return found


async def traffic(ns: Namespace) -> list[str]:
    """``"00002 10"``, ``"00001 90 prev"``."""
    rows = (await component(ns)).get("traffic") or []
    return [
        " ".join(filter(None, [row["revisionName"][-5:], str(row["percent"]), row.get("tag")]))
        for row in rows
    ]


async def follows(ns: Namespace, model: str, canary: int | None, *expected: str) -> dict[str, Any]:
    """Apply, and wait until the traffic is as expected and everything is ready; the component then."""
    await ns.apply(knative(model, canary))

    async def holds() -> bool:
        return await traffic(ns) == list(expected) and conditions(await ns.status()) == UP

    await until(holds)
    return await component(ns)


def rolled_out(found: dict[str, Any]) -> tuple[str | None, str | None]:
    return found.get("latestRolledoutRevision"), found.get("previousRolledoutRevision")


async def replicas(ns: Namespace) -> dict[str, tuple[int, int]]:
    """Wanted and ready, by revision."""
    selector = "labelSelector=serving.knative.dev%2Fconfiguration%3Ddemo-predictor"
    found = await ns.call("GET", f"/apis/apps/v1/namespaces/{ns.name}/deployments?{selector}")
    return {
        one["metadata"]["labels"]["serving.knative.dev/revision"]: (
            one["spec"]["replicas"],
            (one.get("status") or {}).get("readyReplicas", 0),
        )
        for one in found["items"]
    }


async def test_versions_are_split_promoted_and_rolled_back_and_no_request_is_lost(
    ns: Namespace, standin: KServe
) -> None:
    first = await follows(ns, "v1", 10, "00001 100")  # the first one is never split
    assert (first["latestCreatedRevision"], first["latestReadyRevision"]) == (FIRST, FIRST)
    assert rolled_out(first) == (FIRST, None)
    url = (await ns.status())["url"]
    async with Requests(url) as requests:
        held = await follows(ns, "v2", 0, "00002 0", "00001 100 prev")
        assert (held["latestCreatedRevision"], rolled_out(held)) == (SECOND, (FIRST, None))
        assert requests.versions == {1}

        await follows(ns, "v2", 50, "00002 50", "00001 50 prev")
        start = len(requests.answers)
        await until(lambda: enough(requests, start))
        share = [answer["predictions"][0]["version"] for answer in requests.answers[start:]].count(2)
        count = len(requests.answers) - start
        assert (
            abs(share / count - 0.5) < 5 * (0.25 / count) ** 0.5
        )  # five deviations: no test that fails by chance

        promoted = await follows(ns, "v2", None, "00002 100")
        assert rolled_out(promoted) == (SECOND, FIRST)
        await until(lambda: scaled(ns, {FIRST: (0, 0), SECOND: (1, 1)}))
        start = len(requests.answers)
        await until(lambda: enough(requests, start, 20))
        assert {answer["predictions"][0]["version"] for answer in requests.answers[start:]} == {2}

        back = await follows(ns, "v2", 0, "00002 0", "00001 100 prev")  # whose pods have gone, and come again
        assert rolled_out(back) == (FIRST, FIRST)
        await until(lambda: scaled(ns, {FIRST: (1, 1), SECOND: (1, 1)}))
        assert await predict(url) == (200, {"predictions": [{"version": 1}]})
    assert requests.failed == []


async def enough(requests: Requests, start: int, count: int = 200) -> bool:
    return len(requests.answers) >= start + count


async def scaled(ns: Namespace, expected: dict[str, tuple[int, int]]) -> bool:
    return await replicas(ns) == expected


async def test_a_new_revision_that_loads_leaves_the_share_to_what_was_the_latest_before(
    ns: Namespace, standin: KServe
) -> None:
    """Also where that one was just taken back: a new model is to be applied with no share at first."""
    await follows(ns, "v1", None, "00001 100")
    await follows(ns, "v2", 0, "00002 0", "00001 100 prev")
    await ns.apply(knative("crash", 30))
    await until(lambda: created(ns, THIRD))
    assert await traffic(ns) == ["00002 30", "00001 70 prev"]


async def created(ns: Namespace, revision: str) -> bool:
    return bool((await component(ns)).get("latestCreatedRevision") == revision)


async def test_a_revision_that_loads_is_unknown_and_one_that_crashes_is_told_while_the_old_one_serves(
    ns: Namespace, standin: KServe
) -> None:
    await follows(ns, "v1", None, "00001 100")
    url = (await ns.status())["url"]
    async with Requests(url) as requests:
        await ns.apply(knative("slow", 20))
        await until(lambda: told(ns, LOADING))
        await follows(ns, "slow", 20, "00002 20", "00001 80 prev")
        body = knative("crash", 20)
        body["spec"]["predictor"]["model"]["terminationMessagePolicy"] = "FallbackToLogsOnError"
        await ns.apply(body)
        await until(lambda: told(ns, FAILED))
        status = await ns.status()
        (row,) = [row for row in status["conditions"] if row["type"] == "PredictorReady"]
        assert row["message"] == (
            f'Revision "{THIRD}" failed with message: Container failed with: no such op: Frobnicate.'
        )
        await until(lambda: blocked(ns))
        found = await component(ns)
        assert (found["latestCreatedRevision"], found["latestReadyRevision"]) == (THIRD, SECOND)
        assert await traffic(ns) == ["00002 20", "00001 80 prev"]
    assert (requests.failed, requests.versions) == ([], {1, 7})


async def told(ns: Namespace, expected: dict[str, str]) -> bool:
    status = await ns.status()
    return bool(status.get("conditions")) and conditions(status) == expected


async def blocked(ns: Namespace) -> bool:
    return model_states(await ns.status()) == ("BlockedByFailedLoad", "Loaded", "FailedToLoad")


async def test_a_model_that_is_not_there_leaves_the_revision_unknown_and_is_told_as_a_failed_load(
    ns: Namespace, standin: KServe
) -> None:
    await follows(ns, "v1", None, "00001 100")
    await ns.apply(knative("nowhere", 0))
    await until(lambda: blocked(ns))
    assert conditions(await ns.status()) == LOADING
    assert await traffic(ns) == ["00001 0", "00001 100 prev"]
    await follows(ns, "v2", 0, "00003 0", "00001 100 prev")
    await until(lambda: scaled(ns, {FIRST: (1, 1), SECOND: (0, 0), THIRD: (1, 1)}))


async def test_the_objects_of_a_revision_look_as_the_operator_reads_them(
    ns: Namespace, standin: KServe
) -> None:
    body = knative("v1", **{"serving.kserve.io/enable-tag-routing": "true"})
    body["spec"]["predictor"]["annotations"] = {"trainandserve.io/version": "1"}
    await ns.apply(body)
    await until(lambda: told(ns, UP))
    found = await ns.get(f"/apis/apps/v1/namespaces/{ns.name}/deployments/{FIRST}-deployment")
    assert found["metadata"]["labels"]["serving.knative.dev/revision"] == FIRST
    assert found["metadata"]["labels"]["serving.kserve.io/inferenceservice"] == "demo"
    assert found["spec"]["template"]["metadata"]["annotations"]["trainandserve.io/version"] == "1"
    (pod,) = await ns.pods()
    assert pod["metadata"]["labels"]["serving.knative.dev/revision"] == FIRST
    assert pod["metadata"]["name"].startswith(f"{FIRST}-deployment-")
    status = await ns.status()
    assert (status["deploymentMode"], status["observedGeneration"]) == ("Knative", 1)
    severities = {row["type"] for row in status["conditions"] if row.get("severity") == "Info"}
    assert severities == set(UP) - {"IngressReady", "PredictorReady", "Ready"}
    (row,) = (await component(ns))["traffic"]
    assert (row["latestRevision"], row["tag"]) == (True, "latest")
    assert row["url"] != status["url"]


async def test_a_tag_is_an_address_of_one_revision(ns: Namespace, standin: KServe) -> None:
    tagged = {"serving.kserve.io/enable-tag-routing": "true"}
    await ns.apply(knative("v1", **tagged))
    await until(lambda: told(ns, UP))
    await ns.apply(knative("v2", 0, **tagged))
    await until(lambda: split(ns, ["00002 0 latest", "00001 100 prev"]))
    latest, previous = (row["url"] for row in (await component(ns))["traffic"])
    assert await predict(latest) == (200, {"predictions": [{"version": 2}]})
    assert await predict(previous) == (200, {"predictions": [{"version": 1}]})
    assert await predict((await ns.status())["url"]) == (200, {"predictions": [{"version": 1}]})


async def split(ns: Namespace, expected: list[str]) -> bool:
    return await traffic(ns) == expected


async def test_what_knative_refuses_is_told_and_the_old_revision_serves_on(
    ns: Namespace, standin: KServe
) -> None:
    await follows(ns, "v1", None, "00001 100")
    body = knative("v2")
    body["spec"]["predictor"]["model"]["lifecycle"] = {"preStop": {"sleep": {"seconds": 6}}}
    await ns.apply(body)
    event = (await until(ns.events))[0]
    assert "must not set the field(s): spec.template.spec.containers[0].lifecycle" in event["message"]
    await until(lambda: predictor_is(ns, "False/ReconcileFailed"))
    assert await predict((await ns.status())["url"]) == (200, {"predictions": [{"version": 1}]})
    await follows(ns, "v2", None, "00002 100")


async def predictor_is(ns: Namespace, expected: str) -> bool:
    return conditions(await ns.status())["PredictorReady"] == expected


async def test_a_standin_that_is_started_again_goes_on_with_the_split(ns: Namespace) -> None:
    async with running(ns, knative=True):
        await follows(ns, "v1", None, "00001 100")
        before = await follows(ns, "v2", 30, "00002 30", "00001 70 prev")
        url = (await ns.status())["url"]
    async with running(ns, knative=True):
        await until(lambda: restarted(ns))
        async with Requests(url) as requests:
            await until(lambda: enough(requests, 0, 60))
        assert (requests.failed, requests.versions) == ([], {1, 2})
        after = await component(ns)
        assert {**after, "traffic": 0} == {**before, "traffic": 0}
        assert set(await replicas(ns)) == {FIRST, SECOND}
        await follows(ns, "v2", None, "00002 100")
        await ns.call("DELETE", ns.isvc_path())
        await until(lambda: gone(ns))


async def restarted(ns: Namespace) -> bool:
    rows = [row for pod in await ns.pods() for row in pod["status"]["containerStatuses"]]
    return len(rows) == 2 and all(row["restartCount"] == 1 and row["ready"] for row in rows)


async def gone(ns: Namespace) -> bool:
    return await ns.isvc() is None and await replicas(ns) == {} and not await ns.pods()


async def test_the_mode_of_a_living_inference_service_cannot_be_changed(ns: Namespace) -> None:
    async with running(ns, knative=True):
        await deployed(ns)
        with pytest.raises(RestError) as caught:
            await until(lambda: changed(ns, "Knative"))
        assert caught.value.status == 403
        refusal = "update rejected: deploymentMode cannot be changed from 'Standard' to 'Knative'"
        assert refusal in str(caught.value)
        await ns.patch({"metadata": {"annotations": {MODE: "RawDeployment"}}})  # another name of the same


async def changed(ns: Namespace, mode: str) -> bool:
    """False while the policy is not in force yet: nothing is changed until then."""
    await ns.call("PATCH", f"{ns.isvc_path()}?dryRun=All", {"metadata": {"annotations": {MODE: mode}}}, MERGE)
    return False


async def test_the_requests_of_a_revision_are_counted_under_knatives_names(
    ns: Namespace, standin: KServe
) -> None:
    await follows(ns, "v1", None, "00001 100")
    await follows(ns, "v2", 0, "00002 0", "00001 100 prev")
    url = (await ns.status())["url"]
    async with Monitor(standin.targets_url, interval=0.05) as monitor:
        assert (await predict(url, "another"))[0] == 404
        for _ in range(7):
            await predict(url)
        name = "revision_app_request_count"
        by = f'sum by (revision_name, response_code_class) ({name}{{namespace_name="{ns.name}"}})'
        counted = {
            (("response_code_class", "2xx"), ("revision_name", FIRST)): 7.0,
            (("response_code_class", "4xx"), ("revision_name", FIRST)): 1.0,
        }
        await until(lambda: answered(monitor, by, counted))
        predicted = f'sum(request_predict_seconds_count{{namespace="{ns.name}",model_name="demo"}})'
        await until(lambda: answered(monitor, predicted, {(): 7.0}))
        latency = "revision_app_request_latencies"
        slow = f"count(sum by (revision_name) ({latency}_sum) / sum by (revision_name) ({latency}_count) > 0)"
        await until(lambda: answered(monitor, slow, {(): 1.0}))


async def answered(monitor: Monitor, query: str, expected: dict[Any, float]) -> bool:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{monitor.url}/api/v1/query", params={"query": query}) as answer:
            result = (await answer.json())["data"]["result"]
    return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in result} == expected
