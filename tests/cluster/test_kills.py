"""The operator is killed with SIGKILL; the next one ends where the first would have, with one run for one version."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.cluster.conftest import Saw
from tests.cluster.place import Place
from tests.harness.api import until
from tests.harness.proxy import When


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_while_it_submits(killed: Place, when: When, saw: Saw) -> None:
    """Its POST has not reached Kubeflow Pipelines yet, or the answer has not come back yet."""
    place, name = killed, killed.name(f"submit-{when}")
    point = place.operator.proxy.stop_at("POST", "/runs$", when)
    await place.apply(name)
    await asyncio.wait_for(point.reached.wait(), place.settings.patience.total_seconds())
    await place.operator.kill()
    began = time.monotonic()
    assert (await place.status(name))["run"]["state"] == "Submitting"
    known = len(await place.runs(name))
    assert known == (1 if when == "after" else 0)
    await place.start_operator()
    status = await place.serves(name, 1)
    await _one_run(place, name)
    saw(
        f"killed with {known} runs in Kubeflow Pipelines; served {time.monotonic() - began:.0f} s later by attempt "
        f"{status['run']['attempt']}, the only run there"
    )
    await place.delete(name)


async def test_killed_while_a_run_is_on(killed: Place, saw: Saw) -> None:
    place, name = killed, killed.name("run-is-on")
    await place.apply(name)
    await place.under_way(name, 1)
    await place.operator.kill()
    [run] = await place.runs(name)
    assert run.state in ("PENDING", "RUNNING")

    async def over() -> bool:
        return [one.state for one in await place.runs(name)] == ["SUCCEEDED"]

    await until(over, place.seconds, lambda: place.runs(name), place.every)  # nobody looks
    assert (await place.status(name))["run"]["state"] == "Running"
    began = time.monotonic()
    await place.start_operator()
    await place.serves(name, 1)
    await _one_run(place, name)
    saw(
        f"the run went on alone and succeeded; served {time.monotonic() - began:.0f} s after the next start, by that run"
    )
    await place.delete(name)


async def _one_run(place: Place, name: str) -> None:
    """One run in Kubeflow Pipelines, one Workflow, and nothing that was ever forgotten."""
    runs = await place.runs(name)
    assert [run.state for run in runs] == ["SUCCEEDED"], runs
    flows = [one["metadata"]["labels"]["pipeline/runid"] for one in await place.workflows_of(name)]
    assert flows == [run.id for run in runs], flows
    await place.recorder.check()
