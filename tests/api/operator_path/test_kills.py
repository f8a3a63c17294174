"""The operator dies at the worst moments; the next one ends where the first would have ended, and launches nothing twice."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.kfp import Fault
from tests.api.operator_path.api import SERVICES, until
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
