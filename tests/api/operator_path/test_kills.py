"""The operator dies at the worst moments; the next one ends where the first would have ended, and launches nothing twice."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.kfp import Fault
from tests.api.operator_path.api import until
from tests.api.operator_path.site import Site
from tests.api.operator_path.training import Lesson

STATUS, SERVICE = "/trainandserves/digits/status$", "/inferenceservices/digits$"
WRITES = [
    pytest.param("PATCH", "/trainandserves/digits$", 1, id="finalizer"),
    pytest.param("PUT", STATUS, 1, id="first sight"),
    pytest.param("PUT", STATUS, 2, id="Submitting"),
    pytest.param("PUT", STATUS, 3, id="adopted"),
    pytest.param("PATCH", SERVICE, 1, id="InferenceService"),
]
WHEN = [pytest.param("before", id="before it"), pytest.param("after", id="between it and its answer")]


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(("method", "path", "number"), WRITES)
async def test_killed_at_a_write(bare: Site, method: str, path: str, number: int, when: str) -> None:
    """Stop the operator at its n-th such write: the world is the same, whatever it had not yet done."""
    site = bare
    operator = await site.start_operator()
    for earlier in range(1, number):
        del earlier
        operator.proxy.stop_at(method, path, "before").go.set()
    point = operator.proxy.stop_at(method, path, when)  # type: ignore[arg-type]
    await site.apply("digits")
    await asyncio.wait_for(point.reached.wait(), 20)
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


@pytest.mark.parametrize("step", ["download", "export"])
async def test_killed_while_a_run_is_on(bare: Site, step: str) -> None:
    site = bare
    lesson = site.lesson("digits", Lesson(holds=step))
    await site.start_operator()
    await site.apply("digits")
    await lesson.held.wait()
    await site.operator.kill()
    lesson.go.set()
    await until(lambda: site.run_states("digits") == ["SUCCEEDED"])  # nobody looks
    await site._drop_lease()
    await site.start_operator()
    await _ends_as_ever(site)
    assert site.posts() == 1


async def _ends_as_ever(site: Site) -> None:
    """One version, made by one run that counts, served once; every other run over, no Workflow without a row."""
    status = await site.serves("digits", 1, seconds=40)
    assert site.run_states("digits").count("SUCCEEDED") == 1
    assert status["lastVersion"] == 1 and status["run"]["failures"] == 0
    assert site.recorder.services_made("digits") == 1
    assert site.posts() == len(set(site.runs("digits"))) or site.posts() <= status["run"]["attempt"]
    await until(lambda: _only_counted_workflows(site))
    await site.check()


async def _only_counted_workflows(site: Site) -> bool:
    flows = [flow["metadata"]["labels"]["pipeline/runid"] for flow in await site.workflows()]
    return set(flows) <= set(site.kfp.rows.runs)
