"""A version that waits is evaluated again when another one comes to serve, and when it is to be judged on other data; nothing is trained."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.api.operator_path.api import Json, until
from tests.api.operator_path.site import Site, served
from tests.api.operator_path.training import Lesson, name_of

NAME = "again"
BOUND = {"metrics": [{"name": "accuracy", "min": 0.5, "maxRegression": 0.02}], "approval": "Manual"}
SPEC: dict[str, Any] = {"evaluation": BOUND, "training": {"parameters": {"epochs": 2}}}


@pytest.mark.slow
async def test_a_waiting_version_is_compared_with_the_one_a_pin_brought_back_and_nothing_is_trained(
    shared: Site,
) -> None:
    shared.lesson(NAME, Lesson({"accuracy": 0.8}))
    await shared.apply(NAME)
    await shared.serves(NAME, 1)
    shared.lesson(NAME, Lesson({"accuracy": 0.9}))
    await shared.retrain(NAME, "once")
    await shared.serves(NAME, 2)
    shared.lesson(NAME, Lesson({"accuracy": 0.95}))
    await shared.apply(NAME, **SPEC)
    first = await shared.settles(NAME, ModelAccepted="Unknown/AwaitingApproval")
    assert _compared(first) == (3, 2, 0.9)
    result = shared.storage.get(_result(shared, first))

    await shared.apply(NAME, **SPEC, serving={"pinnedVersion": 1})
    status = await shared.status_with(NAME, lambda status: _waits(status, 1))
    assert served(status) == 1
    assert _compared(status) == (3, 1, 0.8)
    assert status["run"]["kind"] == "Evaluate"
    assert status["run"]["reason"] == "evaluates version 3 against version 1, which serves now"
    assert status["candidate"]["verdict"]["checks"][0]["difference"] > 0.1
    assert status["candidate"]["runId"] == first["candidate"]["runId"]
    assert shared.storage.get(_result(shared, status)) == result
    assert _kinds(shared) == ["train", "train", "train", "evaluate"]
    folder = shared.storage.key(status["run"]["prefix"])
    assert shared.storage.keys(folder) == [f"{folder}evaluation.json"]

    old, new = await _tokens(shared)
    assert old != new
    await shared.patch(NAME, {"metadata": {"annotations": {"trainandserve.io/approve": new}}})
    await shared.apply(NAME, **SPEC)
    status = await shared.serves(NAME, 3)
    assert status["candidate"]["verdict"]["reason"] == "Approved"

    await asyncio.to_thread(shared.storage.put, "data/held-out/", "test.bin", b"2")
    other = {**BOUND, "data": {"uri": shared.storage.uri("data/held-out/")}}
    await shared.apply(NAME, **{**SPEC, "evaluation": other})
    status = await shared.status_with(NAME, _evaluated_alone)
    assert (served(status), status["candidate"]["version"], status["lastVersion"]) == (3, 3, 3)
    await shared.settles(NAME, Ready="True/Serving")
    assert _kinds(shared) == ["train", "train", "train", "evaluate", "evaluate"]


def _compared(status: Json) -> tuple[int, int, float]:
    candidate = status["candidate"]
    before = candidate["incumbent"]
    return candidate["version"], before["version"], before["metrics"]["accuracy"]


def _result(site: Site, status: Json) -> str:
    return site.storage.beside(status["candidate"]["uri"], "result.json")


def _kinds(site: Site) -> list[str]:
    """What each run did, by its steps."""
    tasks = [run.pipeline.tasks for run in site.execution.runs if name_of(run) == NAME]
    return ["train" if "train" in one else "evaluate" for one in tasks]


def _waits(status: Json, incumbent: int) -> bool:
    candidate = status["candidate"]
    compared = (candidate.get("incumbent") or {}).get("version")
    return candidate["verdict"]["reason"] == "AwaitingApproval" and compared == incumbent


def _evaluated_alone(status: Json) -> bool:
    alone = "incumbent" not in status["candidate"] and status["run"]["state"] == "Succeeded"
    return alone and status["lastTrainingHash"] == status["run"]["trainingHash"]


async def _tokens(site: Site) -> list[str]:
    """What the events ask for, in their order."""

    async def both() -> list[str] | None:
        asked = [one["message"] for one in await site.events(NAME) if one["reason"] == "ApprovalNeeded"]
        found = [match[1] for text in asked if (match := re.search(r'approve: "(3@[0-9a-f]{8})"', text))]
        return found if len(found) == 2 else None

    return await until(both, what=lambda: site.events(NAME)) or []
