"""Workflows are seen by their metadata alone."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.operator_path.api import WORKFLOWS, Json, until
from tests.api.operator_path.site import Site
from tests.api.operator_path.training import Lesson

COUNT, SIZE = 1_000, 100_000


def _workflow(number: int) -> Json:
    """A Workflow as heavy as that of a run with two tasks."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": f"other-{number}",
            "labels": {"pipeline/runid": f"run-{number}", "workflows.argoproj.io/phase": "Running"},
        },
        "spec": {},
        "status": {"message": "x" * SIZE},
    }


async def _fill(site: Site) -> None:
    numbers = iter(range(COUNT))

    async def create() -> None:
        for number in numbers:
            await site.api.call("POST", site.path(WORKFLOWS), _workflow(number))

    await asyncio.gather(*(create() for _ in range(8)))


@pytest.mark.slow
async def test_memory_stays_flat_with_a_thousand_heavy_workflows(bare: Site) -> None:
    site = bare
    operator = await site.start_operator()
    await site.apply("digits")
    await site.serves("digits", 1)
    before, passes = operator.memory(), await _passes(site)
    await _fill(site)
    lesson = site.lesson("digits", Lesson(holds="train"))
    await site.apply("digits", training={"parameters": {"epochs": 2}})
    await lesson.held.wait()
    lesson.go.set()
    await site.serves("digits", 2)

    assert operator.memory() - before < 30, (before, operator.memory())
    asked = [one for one in operator.proxy.requests if one.path == site.path(WORKFLOWS)]
    assert asked and all("as=PartialObjectMetadata" in one.accept for one in asked if "watch" in one.query)
    assert all(one.query.get("labelSelector", "").startswith("pipeline/runid") for one in asked)
    assert sum(one.size for one in asked if "watch" in one.query) < COUNT * 3_000
    assert await _passes(site) - passes < COUNT / 10  # none for another's Workflow

    started = await site.start_operator(TAS_LEASE_NAME=f"{site.namespace}-2")
    await until(lambda: _listed(site), 20)
    assert started.memory() < before + 30


async def _listed(site: Site) -> bool:
    asked = [one for one in site.operator.proxy.requests if one.path == site.path(WORKFLOWS)]
    return any("watch" in one.query for one in asked)


@pytest.mark.slow
async def test_a_workflow_wakes_only_its_owner(shared: Site) -> None:
    for name in ("owner", "bystander", "another"):
        await shared.apply(name)
        await shared.serves(name, 1)
    run = (await shared.status("owner"))["run"]["id"]
    flows = [flow["metadata"] for flow in await shared.workflows()]
    flow = next(flow["name"] for flow in flows if flow["labels"]["pipeline/runid"] == run)
    before = await _passes(shared)
    for count in range(1, 6):
        await shared.patch(flow, {"metadata": {"annotations": {"count": str(count)}}}, WORKFLOWS)
        await until(lambda wanted=before + count: _reached(shared, wanted))
    assert await _passes(shared) < before + 2 * 5  # three resources: were all of them woken, it would be 15


async def _passes(site: Site) -> float:
    return await site.operator.metric("passes_total{done}")


async def _reached(site: Site, wanted: float) -> bool:
    return await _passes(site) >= wanted
