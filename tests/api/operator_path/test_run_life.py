"""What can become of a run, and what is said of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import datetime

import aiohttp
import pytest

from sandbox.kfp import PodRules
from tests.api.operator_path.api import WORKFLOWS, until
from tests.api.operator_path.conftest import Sites
from tests.api.operator_path.site import Site, message, served, told
from tests.api.operator_path.training import Lesson


@pytest.fixture(scope="module")
async def shared(sites: Sites) -> AsyncIterator[Site]:
    """A site whose machine can pull but one image, and has no GPU."""
    async with sites(rules=PodRules(known_images=("trainer:",))) as made:
        yield made
        await made.check()


async def test_a_failing_step_is_named_and_tried_again_up_to_the_limit(shared: Site) -> None:
    shared.lesson("fails", Lesson(fails=("train", "ValueError: no labels")))
    await shared.apply("fails", training={"runRetries": 1})
    status = await shared.settles("fails", Stalled="True/RetriesExhausted", Ready="False/RetriesExhausted")

    assert "step train failed: ValueError: no labels" in message(status, "ModelTrained")
    assert status["phase"] == "Failed" and status["run"]["attempt"] == 2
    await until(lambda: _failures(shared, "fails", 2))
    assert all("step train failed: ValueError: no labels" in one for one in await _failures(shared, "fails"))

    shared.lesson("fails", Lesson())
    await shared.retrain("fails", "now")
    await shared.serves("fails", 2)


async def _failures(site: Site, name: str, count: int = 0) -> list[str]:
    """What the events about failed runs say; nothing while there are fewer than so many."""
    found = [event["message"] for event in await site.events(name) if event["reason"] == "RunFailed"]
    return found if len(found) >= count else []


@pytest.mark.slow
async def test_the_pauses_between_failing_runs_grow(shared: Site) -> None:
    shared.lesson("pauses", Lesson(fails=("train", "no"), failures=2))
    await shared.apply("pauses")
    status = await shared.serves("pauses", 1)
    assert status["run"]["attempt"] == 3
    runs = [one["run"] for one in shared.recorder.statuses("pauses") if one.get("run")]
    failed = [_seconds(run["finishedAt"]) for run in runs if run["state"] == "Failed"]
    begun = {run["attempt"]: _seconds(run["submittedAt"]) for run in runs}
    first, second = begun[2] - min(failed), begun[3] - max(failed)
    assert 1 <= first < second, (first, second)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_a_run_that_left_no_result_failed(shared: Site) -> None:
    lesson = shared.lesson("no-result", Lesson(leaves_result=False))
    await shared.apply("no-result", training={"runRetries": 0})
    status = await shared.settles("no-result", ModelTrained="False/RetriesExhausted")
    assert "left no result" in message(status, "ModelTrained")
    assert lesson.leaves_result is False and "candidate" not in status


@pytest.mark.slow
async def test_a_run_whose_workflow_is_deleted_is_lost_and_tried_again(shared: Site) -> None:
    lesson = shared.lesson("vanishes", Lesson(holds="train"))
    await shared.apply("vanishes")
    await lesson.held.wait()
    flow = await _workflow(shared, "vanishes")
    lesson.holds = None
    await shared.delete(flow, WORKFLOWS)

    status = await shared.serves("vanishes", 1)
    assert status["run"]["attempt"] == 2
    failures = await _failures(shared, "vanishes")
    assert len(failures) == 1 and "vanished" in failures[0]


async def _workflow(site: Site, name: str) -> str:
    run = (await site.status(name))["run"]["id"]
    flows = [flow["metadata"] for flow in await site.workflows()]
    return next(flow["name"] for flow in flows if flow["labels"]["pipeline/runid"] == run)


async def test_a_run_that_somebody_terminates_counts_as_failed(shared: Site) -> None:
    lesson = shared.lesson("stopped", Lesson(holds="train"))
    await shared.apply("stopped")
    await lesson.held.wait()
    run = (await shared.status("stopped"))["run"]["id"]
    lesson.holds = None
    await _ask_kfp(shared, run, "terminate")

    status = await shared.serves("stopped", 1)
    assert (status["run"]["attempt"], status["run"]["failures"]) == (2, 1)


async def _ask_kfp(site: Site, run: str, verb: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{site.kfp.url}/apis/v2beta1/runs/{run}:{verb}") as answer:
            assert answer.status == 200, await answer.text()


@pytest.mark.slow
async def test_a_retry_in_the_pages_of_kfp_changes_nothing(shared: Site) -> None:
    lesson = shared.lesson("latched", Lesson({"accuracy": 0.9}, fails=("train", "no")))
    await shared.apply("latched", training={"runRetries": 0})
    status = await shared.settles("latched", Stalled="True/RetriesExhausted")
    lesson.fails = None
    await _ask_kfp(shared, status["run"]["id"], "retry")
    await until(lambda: shared.run_states("latched") == ["SUCCEEDED"])
    await shared.apply("latched", training={"runRetries": 0}, serving={"minReplicas": 2})

    status = await shared.settles("latched", Stalled="True/RetriesExhausted")
    await until(lambda: _observed(shared, "latched", 2))
    status = await shared.status("latched")
    assert status["run"]["state"] == "Failed" and served(status) is None
    assert await shared.service("latched") is None


async def _observed(site: Site, name: str, generation: int) -> bool:
    return (await site.status(name))["observedGeneration"] == generation


STUCK = [
    pytest.param({"image": "nowhere/trainer:1"}, "step download: the image cannot be pulled", id="image"),
    pytest.param(
        {"nodeSelector": {"gpu": "a100"}}, "step train waits for a node", id="node", marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize(("training", "says"), STUCK)
async def test_a_run_that_does_not_move_is_explained(
    shared: Site, training: dict[str, object], says: str, request: pytest.FixtureRequest
) -> None:
    name = f"stuck-{request.node.callspec.id}"
    await shared.apply(name, training=training)
    status = await shared.settles(name, ModelTrained="Unknown/RunStuck", seconds=60)
    assert says in message(status, "ModelTrained")

    await shared.apply(name)
    await shared.retrain(
        name, "corrected"
    )  # a selector makes no other model, so that alone would start nothing
    await until(lambda: _last_serves(shared, name), 40)


@pytest.mark.slow
async def test_a_run_past_its_timeout_is_stopped_and_counts_as_failed(shared: Site) -> None:
    await shared.apply("late", training={"image": "nowhere/trainer:2", "timeout": "5s", "runRetries": 0})
    await shared.settles("late", ModelTrained="Unknown/RunStuck")
    status = await until(lambda: _ended(shared, "late"), 40)
    assert "did not move within training.timeout" in message(status, "ModelTrained")
    assert shared.run_states("late") == ["FAILED"]


async def _ended(site: Site, name: str) -> dict[str, object] | None:
    """The status of a resource whose runs are all used up. Whatever wakes the operator, it looks at the time."""
    await site.patch(name, {"metadata": {"annotations": {"nudged": str(time.monotonic())}}})
    status = await site.status(name)
    return status if told(status)["ModelTrained"] == "False/RetriesExhausted" else None


async def test_of_two_edits_during_a_run_only_the_last_is_served(shared: Site) -> None:
    lesson = shared.lesson("edited", Lesson(holds="train"))
    await shared.apply("edited")
    await lesson.held.wait()
    lesson.holds = None
    await shared.apply("edited", training={"parameters": {"epochs": 2}})
    await shared.apply("edited", training={"parameters": {"epochs": 3}})
    await until(lambda: _last_serves(shared, "edited"))
    status = await shared.status("edited")
    assert told(status)["Ready"] == "True/Serving" and served(status) == status["lastVersion"]
    states = shared.run_states("edited")
    assert states.count("SUCCEEDED") == 1 and set(states) == {"SUCCEEDED", "FAILED"}, states
    assert "RunFailed" not in await shared.reasons("edited")


async def _last_serves(site: Site, name: str) -> bool:
    """Whether what the present specification asks for serves."""
    status = await site.status(name)
    hashes = status["lastTrainingHash"], (status.get("served") or {}).get("trainingHash")
    return hashes[0] == hashes[1] and status["phase"] == "Serving"


@pytest.mark.slow
async def test_as_many_runs_as_allowed_are_on_at_a_time(sites: Sites) -> None:
    async with sites(settings={"TAS_MAX_CONCURRENT_RUNS": "1"}) as site:
        names = ["one", "two", "three"]
        lessons = {name: site.lesson(name, Lesson(holds="train")) for name in names}
        for name in names:
            await site.apply(name)
        for left in (2, 1, 0):
            await until(lambda left=left: _waiting(site, names, left))
            assert [state for name in names for state in site.run_states(name)].count("RUNNING") == 1
            running = next(name for name in names if "RUNNING" in site.run_states(name))
            lessons[running].go.set()
            await site.serves(running, 1)
        await site.check()


async def _waiting(site: Site, names: list[str], count: int) -> bool:
    """Whether so many wait for their turn while one is trained."""
    statuses = [await site.status(name) for name in names]
    queued = [status for status in statuses if told(status).get("ModelTrained") == "Unknown/Queued"]
    running = [name for name in names if "RUNNING" in site.run_states(name)]
    return (
        len(queued) == count and all(status["phase"] == "Queued" for status in queued) and len(running) == 1
    )
