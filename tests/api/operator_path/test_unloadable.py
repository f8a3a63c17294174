"""Models that pass every bound and that no server can load."""

from __future__ import annotations

import pytest

from tests.api.operator_path.api import SERVICES, until
from tests.api.operator_path.site import Site, message, told
from tests.api.operator_path.traffic import Traffic
from tests.api.operator_path.training import Lesson

CRASH = {"crash": True, "message": "no such op: Frobnicate"}


WRONG = {"predictions": [{"version": 7}]}


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(CRASH, id="crash"),
        pytest.param({"failPredict": True}, id="no answers", marks=pytest.mark.slow),
        pytest.param(WRONG, id="wrong", marks=pytest.mark.slow),
    ],
)
async def test_a_version_that_cannot_serve_never_meets_users(
    shared: Site, model: dict[str, object], request: pytest.FixtureRequest
) -> None:
    name = "back-" + request.node.callspec.id.split()[0]
    await shared.apply(name)
    status = await shared.serves(name, 1)
    before = await shared.service(name)
    shared.lesson(name, Lesson(model=model, predictions=[{"version": 2}]))
    async with Traffic.on(status["served"]["url"], name) as traffic:
        await shared.apply(name, training={"parameters": {"epochs": 2}})
        status = await shared.settles(name, ModelAccepted="False/FailedToServe", Ready="True/FailedToServe")
        status = await shared.serves(name, 1)

    assert traffic.failures == []
    assert set(traffic.versions) == {1}
    if model == CRASH:
        assert "no such op: Frobnicate" in message(status, "ModelAccepted")
    if model == WRONG:
        assert "predictions are wrong: sample 1 of 1" in message(status, "ModelAccepted")
    after = await shared.service(name)
    assert before and after and after["metadata"]["generation"] == before["metadata"]["generation"]
    assert shared.recorder.services_made(f"{name}-candidate") == 1
    await shared.gone(f"{name}-candidate", SERVICES)
    events = [event["message"] for event in await shared.events(name) if event["reason"] == "RolledBack"]
    assert len(events) == 1 and "version 1 went on serving" in events[0]
    ready = [told(one).get("Ready", "") for one in shared.recorder.statuses(name)]
    assert all(one.startswith("True/") for one in ready[ready.index("True/Serving") :]), ready
    assert len(shared.runs(name)) == 2


async def test_a_missing_file_is_seen_before_the_service_is_touched(shared: Site) -> None:
    await shared.apply("missing")
    status = await shared.serves("missing", 1)
    await shared.apply("missing", suspend=True)
    await shared.settles("missing", Ready="True/Suspended")
    service = await shared.service("missing")
    key = shared.storage.key(status["served"]["uri"]) + "1/saved_model.pb"
    shared.storage.delete(key)
    await shared.delete("missing", SERVICES)
    await shared.gone("missing", SERVICES)
    await shared.apply("missing", suspend=None)

    status = await shared.settles("missing", Ready="False/ModelChanged")
    assert "saved_model.pb is missing" in message(status, "Ready")
    assert await shared.service("missing") is None and service is not None
    shared.storage.put("", key, b"a model")
    await shared.serves("missing", 1, seconds=60)


async def test_a_first_version_that_cannot_serve_is_taken_down(shared: Site) -> None:
    shared.lesson("first", Lesson(model=CRASH))
    await shared.apply("first")
    status = await shared.settles("first", Stalled="True/FailedToServe", Ready="False/FailedToServe")
    assert "no such op: Frobnicate" in message(status, "Ready")
    assert status["phase"] == "Failed"
    await shared.gone("first", SERVICES)

    shared.lesson("first", Lesson())
    await shared.apply("first", training={"parameters": {"epochs": 2}})
    await shared.serves("first", 2)


async def test_a_server_whose_container_dies_is_started_again_and_said(shared: Site) -> None:
    shared.lesson("dies", Lesson(model={"loadSeconds": 1}))
    await shared.apply("dies")
    status = await shared.serves("dies", 1)
    for pod in shared.kserve.pods(shared.namespace, "dies"):
        assert pod.container is not None
        pod.container.kill()

    await until(lambda: _phases_end(shared, "dies", ["Serving", "RollingOut", "Serving"]))
    assert (await shared.serves("dies", 1))["served"]["since"] == status["served"]["since"]
    ready = [told(one).get("Ready") for one in shared.recorder.statuses("dies")]
    assert ready[-2:] == ["False/NotAnswering", "True/Serving"]


def _phases_end(site: Site, name: str, wanted: list[str]) -> bool:
    return site.recorder.phases(name)[-len(wanted) :] == wanted
