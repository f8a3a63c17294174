"""The operator dies at the worst moments; the next one ends where the first would have ended, and launches nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sandbox.kfp import Fault
from tests.api.operator_path.api import SERVICES, until
from tests.api.operator_path.conftest import Sites
from tests.api.operator_path.site import Site
from tests.api.operator_path.traffic import Traffic
from tests.api.operator_path.training import Lesson
from tests.harness.proxy import When

STATUS = "/trainandserves/digits/status$"
campaign, slow = pytest.mark.campaign, pytest.mark.slow
WRITES = [
    pytest.param("PATCH", "/trainandserves/digits$", "", id="the finalizer", marks=campaign),
    pytest.param("PUT", STATUS, "", id="first sight", marks=campaign),
    pytest.param("PUT", STATUS, '"state": ?"Submitting"', id="the intent to submit"),
    pytest.param("PUT", STATUS, '"state": ?"Running"', id="the adopted run", marks=campaign),
    pytest.param("PUT", STATUS, '"verdict":', id="the verdict", marks=slow),
    pytest.param("PATCH", "/inferenceservices/digits$", "", id="the InferenceService", marks=slow),
    pytest.param("PUT", STATUS, '"proof":', id="the proof", marks=campaign),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "path", "says"), WRITES)
async def test_killed_before_a_write_or_before_its_answer(
    bare: Site, method: str, path: str, says: str, when: When
) -> None:
    site = bare
    operator = await site.start_operator()
    point = operator.proxy.stop_at(method, path, when, says=says)
    await site.apply("digits")
    await asyncio.wait_for(point.reached.wait(), 60)
    await site.restart_operator()
    await _ends_as_ever(site)


@pytest.mark.parametrize("when", ["before", "between", "after"])
async def test_killed_while_it_submits(bare: Site, when: str) -> None:
    site = bare
    await site.start_operator()
    fault = site.kfp.faults.add(Fault("POST", "/runs$", when, "hang"))  # type: ignore[arg-type]
    await site.apply("digits")
    await until(lambda: fault.times == 0)
    await site.restart_operator()
    await _ends_as_ever(site)


@pytest.mark.parametrize("step", [pytest.param("download", marks=slow), "export"])
async def test_killed_while_a_run_is_on(bare: Site, step: str) -> None:
    site = bare
    lesson = site.lesson("digits", Lesson(holds=step))
    await site.start_operator()
    await site.apply("digits")
    await lesson.held.wait()
    await site.operator.kill()
    lesson.go.set()
    await until(lambda: site.run_states("digits") == ["SUCCEEDED"])  # nobody looks
    await site.drop_lease()
    await site.start_operator()
    await _ends_as_ever(site)
    assert site.posts() == 1


ROLLOUT = [
    pytest.param("PUT", STATUS, '"stage": ?"Proving"', id="the rollout begins"),
    pytest.param(
        "PATCH", "/inferenceservices/digits-candidate$", "", id="the candidate's service", marks=campaign
    ),
    pytest.param("PUT", STATUS, '"stage": ?"Promoting"', id="proven without users", marks=campaign),
    pytest.param(
        "DELETE", "/inferenceservices/digits-candidate$", "", id="the end of the candidate's service"
    ),
    pytest.param("PATCH", "/inferenceservices/digits$", "", id="the users' service", marks=campaign),
]


@slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "path", "says"), ROLLOUT)
async def test_killed_in_a_rollout(bare: Site, method: str, path: str, says: str, when: When) -> None:
    site = bare
    operator = await site.start_operator()
    await site.apply("digits")
    status = await site.serves("digits", 1)
    point = operator.proxy.stop_at(method, path, when, says=says)
    async with Traffic.on(status["served"]["url"], "digits") as traffic:
        await site.apply("digits", training={"parameters": {"epochs": 2}})
        await asyncio.wait_for(point.reached.wait(), 60)
        await site.restart_operator()
        await site.serves("digits", 2, seconds=40)
        await traffic.more()

    assert traffic.failures == [] and set(traffic.versions) == {1, 2}
    await site.gone("digits-candidate", SERVICES)
    assert site.recorder.services_made("digits") == 1
    await site.check()


MADE_AGAIN = [
    pytest.param("PUT", STATUS, '"phase": ?"RollingOut"', id="that it is gone"),
    pytest.param("PATCH", "/inferenceservices/digits$", "", id="the InferenceService"),
    pytest.param("PUT", STATUS, '"phase": ?"Serving"', id="that it serves again"),
]


@slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "path", "says"), MADE_AGAIN)
async def test_killed_while_a_deleted_service_is_made_again(
    bare: Site, method: str, path: str, says: str, when: When
) -> None:
    site = bare
    operator = await site.start_operator()
    await site.apply("digits")
    await site.serves("digits", 1)
    point = operator.proxy.stop_at(method, path, when, says=says)
    await site.delete("digits", SERVICES)
    await asyncio.wait_for(point.reached.wait(), 60)
    await site.restart_operator()
    await until(lambda: site.recorder.phases("digits")[-3:] == ["Serving", "RollingOut", "Serving"])
    await site.serves("digits", 1)
    assert site.posts() == 1 and site.recorder.services_made("digits") == 2
    await site.check()


async def _ends_as_ever(site: Site) -> None:
    """One version, made by one run that counts, served once; every other run over, no Workflow without a row."""
    status = await site.serves("digits", 1, seconds=40)
    assert site.run_states("digits").count("SUCCEEDED") == 1
    assert status["lastVersion"] == 1 and status["run"]["failures"] == 0
    assert site.recorder.services_made("digits") == 1
    assert (
        site.posts() <= status["run"]["attempt"]
    )  # each attempt has an id of its own: one POST for each at most
    await until(lambda: _only_counted_workflows(site))
    await site.check()


async def _only_counted_workflows(site: Site) -> bool:
    flows = [flow["metadata"]["labels"]["pipeline/runid"] for flow in await site.workflows()]
    return set(flows) <= set(site.kfp.rows.runs)


KNATIVE: dict[str, Any] = {"settings": {"TAS_DEPLOYMENT_MODE": "Knative"}, "kserve": {"knative": True}}
CANARY = {"rollout": {"strategy": "Canary", "steps": [50], "stepDuration": "1s"}}
SERVICE = "/inferenceservices/digits$"
STEPS = [
    pytest.param("PATCH", SERVICE, '"canaryTrafficPercent": ?0', id="the revision without users", marks=slow),
    pytest.param("PUT", STATUS, '"stage": ?"Canary"', id="the intent to send users", marks=slow),
    pytest.param("PATCH", SERVICE, '"canaryTrafficPercent": ?50', id="the users of a step", marks=slow),
    pytest.param("PUT", STATUS, '"stage": ?"Promoting"', id="the intent to send all users", marks=slow),
]


@pytest.fixture
async def knative(sites: Sites) -> AsyncIterator[Site]:
    """A site without an operator, whose operators have KServe run InferenceServices in Knative mode."""
    async with sites(operator=False, **KNATIVE) as made:
        yield made


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "path", "says"), STEPS)
async def test_killed_in_a_canary(knative: Site, method: str, path: str, says: str, when: When) -> None:
    site = knative
    operator = await site.start_operator()
    await site.apply("digits", serving=CANARY)
    status = await site.serves("digits", 1)
    point = operator.proxy.stop_at(method, path, when, says=says)
    async with Traffic.on(status["served"]["url"], "digits") as traffic:
        await site.apply("digits", serving=CANARY, training={"parameters": {"epochs": 2}})
        await asyncio.wait_for(point.reached.wait(), 60)
        await site.restart_operator()
        await site.serves("digits", 2, seconds=40)
        await traffic.more()

    assert traffic.failures == [] and set(traffic.versions[-5:]) == {2}
    await _ends_with_revisions(site, 2)


BACK = [
    pytest.param("PUT", STATUS, '"FailedToServe"', id="that it failed", marks=slow),
    pytest.param("PATCH", SERVICE, "", id="the way back", marks=slow),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "path", "says"), BACK)
async def test_killed_on_the_way_back(knative: Site, method: str, path: str, says: str, when: When) -> None:
    site = knative
    operator = await site.start_operator()
    await site.apply("digits", serving=CANARY)
    status = await site.serves("digits", 1)
    site.lesson("digits", Lesson(model={"crash": True, "message": "no such op"}))
    async with Traffic.on(status["served"]["url"], "digits") as traffic:
        # An InferenceService is also written to bring version 2 without users: what is meant asks for version 1 again.
        point = operator.proxy.stop_at(method, path, when, says=says or status["served"]["uri"])
        await site.apply("digits", serving=CANARY, training={"parameters": {"epochs": 2}})
        await asyncio.wait_for(point.reached.wait(), 60)
        await site.restart_operator()
        await site.settles("digits", ModelAccepted="False/FailedToServe", seconds=40)
        await site.serves("digits", 1)
        await traffic.more()

    assert traffic.failures == [] and set(traffic.versions) == {1}
    await _ends_with_revisions(site, 1)


async def _ends_with_revisions(site: Site, version: int) -> None:
    """One InferenceService, which asks for the version alone; one run for each of the two."""

    async def alone() -> bool:
        service = await site.service("digits")
        assert service is not None
        predictor = service["spec"]["predictor"]
        return "canaryTrafficPercent" not in predictor and f"/{version}-" in predictor["model"]["storageUri"]

    await until(alone, what=lambda: site.service("digits"))
    assert site.recorder.services_made("digits") == 1
    assert site.run_states("digits") == ["SUCCEEDED", "SUCCEEDED"] and site.posts() == 2
    await site.check()


BOUNDS = {"metrics": [{"name": "accuracy", "min": 0.5}]}
EVALUATION = [
    pytest.param("PUT", STATUS, '"kind": ?"Evaluate"', id="the intent to evaluate", marks=slow),
    pytest.param("PUT", STATUS, '"evaluation": ?{', id="the new numbers", marks=slow),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "path", "says"), EVALUATION)
async def test_killed_around_an_evaluation(bare: Site, method: str, path: str, says: str, when: When) -> None:
    site = bare
    operator = await site.start_operator()
    result = await _serves_one(site)
    point = operator.proxy.stop_at(method, path, when, says=says)
    await site.apply("digits", evaluation=await _other_data(site))
    await asyncio.wait_for(point.reached.wait(), 60)
    await site.restart_operator()
    await _evaluated_once(site, result)


@slow
@pytest.mark.parametrize("when", ["before", "between", "after"])
async def test_killed_while_it_submits_an_evaluation(bare: Site, when: str) -> None:
    site = bare
    await site.start_operator()
    result = await _serves_one(site)
    fault = site.kfp.faults.add(Fault("POST", "/runs$", when, "hang"))  # type: ignore[arg-type]
    await site.apply("digits", evaluation=await _other_data(site))
    await until(lambda: fault.times == 0)
    await site.restart_operator()
    await _evaluated_once(site, result)


async def _serves_one(site: Site) -> bytes:
    """A version that serves; its result file."""
    await site.apply("digits")
    status = await site.serves("digits", 1)
    return site.storage.get(
        site.storage.key(status["candidate"]["uri"]).removesuffix("model/") + "result.json"
    )


async def _other_data(site: Site) -> dict[str, object]:
    """Bounds as ever, on data of their own: nothing else was edited."""
    await asyncio.to_thread(site.storage.put, "data/held-out/", "test.bin", b"2")
    return {**BOUNDS, "data": {"uri": site.storage.uri("data/held-out/")}}


async def _evaluated_once(site: Site, result: bytes) -> None:
    """One version, trained by one run, evaluated again by one run that counts, and as it was."""

    async def evaluated() -> bool:
        status = await site.status("digits")
        return "evaluation" in (status.get("candidate") or {}) and status["run"]["state"] == "Succeeded"

    await until(evaluated, 40, lambda: site.status("digits"))
    status = await site.serves("digits", 1)
    assert status["lastVersion"] == 1 and status["run"]["failures"] == 0
    assert site.run_states("digits").count("SUCCEEDED") == 2
    assert status["candidate"]["evaluation"]["runId"] == status["run"]["id"]
    assert site.posts() <= status["run"]["attempt"]
    assert (
        site.storage.get(site.storage.key(status["candidate"]["uri"]).removesuffix("model/") + "result.json")
        == result
    )
    assert site.recorder.services_made("digits") == 1
    await until(lambda: _only_counted_workflows(site))
    await site.check()
