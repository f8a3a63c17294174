"""Runs that do not go as they should."""

from __future__ import annotations

import time

import pytest

from tests.cluster.conftest import Saw
from tests.cluster.place import Place
from tests.harness.api import WORKFLOWS, until
from tests.harness.namespace import message


async def test_a_workflow_that_is_deleted_is_a_lost_run_and_another_attempt(place: Place, saw: Saw) -> None:
    name = place.name("workflow")
    await place.apply(name)
    first = (await place.under_way(name, 1))["run"]["id"]
    [flow] = await place.workflows_of(name)
    began = time.monotonic()
    where = WORKFLOWS.format(namespace=flow["metadata"]["namespace"])
    await place.api.call("DELETE", f"{where}/{flow['metadata']['name']}")

    status = await place.status_with(name, lambda status: status["run"]["id"] != first)
    noticed, second = time.monotonic() - began, status["run"]["id"]
    assert (status["run"]["version"], status["run"]["attempt"]) == (1, 2)
    status = await place.serves(name, 1)
    assert status["run"]["id"] == second
    runs = await place.runs(name)
    assert [run.id for run in runs if run.state == "SUCCEEDED"] == [second], runs
    assert len(runs) == 2, runs
    failed = [one["message"] for one in await place.events(name) if one["reason"] == "RunFailed"]
    assert len(failed) == 1, failed
    states = ", ".join(f"attempt {run.attempt} {run.state}" for run in runs)
    saw(
        f"attempt 2 began {noticed:.0f} s after the deletion ({failed[0]}); in the end {states}; version 1 serves"
    )
    await place.recorder.check()
    await place.delete(name)


async def test_an_image_that_cannot_be_pulled_is_named_in_a_condition(place: Place, saw: Saw) -> None:
    image = place.settings.unpullable_image
    if not image:
        pytest.skip("steps are processes here and nothing is pulled: TAS_E2E_UNPULLABLE_IMAGE is empty")
    name, began = place.name("image"), time.monotonic()
    await place.apply(name, training={"image": image})
    status = await place.settles(name, ModelTrained="Unknown/RunStuck")
    took, words = time.monotonic() - began, message(status, "ModelTrained")
    assert image in words, words
    assert "Pull" in words, words
    await place.delete(name)
    await place.gone(name)

    async def over() -> bool:
        return {run.state for run in await place.runs(name)} <= {"FAILED", "CANCELED"}

    await until(over, place.seconds, lambda: place.runs(name), place.every)
    saw(f"after {took:.0f} s: {words}")
    await place.recorder.check()
