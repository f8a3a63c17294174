"""A status that somebody takes away comes back from what others still know, and nothing is trained for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.operator_path.api import MERGE, OURS, until
from tests.api.operator_path.site import Site, served, told
from tests.api.operator_path.training import Lesson


async def _lose(site: Site, name: str) -> None:
    path = f"{site.path(OURS, name)}/status"
    status = dict.fromkeys(await site.status(name))
    await site.api.call("PATCH", path, {"status": status}, MERGE)


async def _rebuilt(site: Site, name: str) -> bool:
    return "StatusRebuilt" in await site.reasons(name)


KEPT = ("version", "runId", "uri", "resultDigest", "metrics", "url")


def _kept(status: dict[str, Any]) -> dict[str, Any]:
    return {field: status["served"][field] for field in KEPT}


@pytest.mark.slow
async def test_while_a_version_serves(shared: Site) -> None:
    await shared.apply("serving")
    await shared.serves("serving", 1)
    await shared.retrain("serving", "once")
    before = await shared.serves("serving", 2)
    service = await shared.service("serving")
    await _lose(shared, "serving")

    await until(lambda: _rebuilt(shared, "serving"))
    after = await shared.serves("serving", 2)
    assert _kept(after) == _kept(before)
    assert after["lastVersion"] == 2 and after["lastTrainingHash"] == before["lastTrainingHash"]
    assert after["lastHandledRetrain"] == "once"
    assert after["candidate"]["metrics"] == before["candidate"]["metrics"]
    assert await shared.service("serving") == service
    assert len(shared.runs("serving")) == 2


@pytest.mark.slow
async def test_while_a_run_is_on(shared: Site) -> None:
    await shared.apply("training")
    before = await shared.serves("training", 1)
    lesson = shared.lesson("training", Lesson(holds="train"))
    await shared.apply("training", training={"parameters": {"epochs": 2}})
    await lesson.held.wait()
    run = (await shared.status("training"))["run"]["id"]
    await _lose(shared, "training")

    await until(lambda: _rebuilt(shared, "training"))
    status = await shared.settles("training", Ready="True", ModelTrained="Unknown/Training")
    assert (status["run"]["id"], status["run"]["version"]) == (run, 2)
    assert _kept(status) == _kept(before)
    lesson.go.set()
    await shared.serves("training", 2)
    assert len(shared.runs("training")) == 2


@pytest.mark.slow
async def test_after_a_rejected_version(shared: Site) -> None:
    await shared.apply("rejected")
    before = await shared.serves("rejected", 1)
    shared.lesson("rejected", Lesson({"accuracy": 0.1}))
    await shared.apply("rejected", training={"parameters": {"epochs": 2}})
    await shared.settles("rejected", ModelAccepted="False/Rejected")
    await _lose(shared, "rejected")

    await until(lambda: _rebuilt(shared, "rejected"))
    status = await shared.settles("rejected", ModelAccepted="False/Rejected", Ready="True/Rejected")
    assert (served(status), status["lastVersion"]) == (1, 2)
    assert _kept(status) == _kept(before)
    assert len(shared.runs("rejected")) == 2
    assert told(status).get("Stalled") is None


@pytest.mark.slow
async def test_after_a_version_that_could_not_be_served(shared: Site) -> None:
    await shared.apply("crashed")
    before = await shared.serves("crashed", 1)
    shared.lesson("crashed", Lesson(model={"crash": True, "message": "no such op"}))
    await shared.apply("crashed", training={"parameters": {"epochs": 2}})
    await shared.settles("crashed", ModelAccepted="False/FailedToServe", Ready="True/FailedToServe")
    status = await shared.serves("crashed", 1)
    record = shared.storage.beside(status["candidate"]["uri"], "version.json")
    await until(lambda: json.loads(shared.storage.get(record))["verdict"] == "FailedToServe")
    service = await shared.service("crashed")
    history = (await shared.status("crashed"))["history"]
    await _lose(shared, "crashed")

    await until(lambda: _rebuilt(shared, "crashed"))
    status = await shared.settles("crashed", ModelAccepted="False/FailedToServe", Ready="True/FailedToServe")
    assert _kept(status) == _kept(before)
    assert [_told(entry) for entry in status["history"]] == [_told(entry) for entry in history]
    assert await shared.service("crashed") == service
    assert len(shared.runs("crashed")) == 2


def _told(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("servedAt", "recorded")}
