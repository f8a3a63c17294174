"""What others do to the InferenceService."""

from __future__ import annotations

import time

from tests.cluster.conftest import Model, Saw
from tests.cluster.pictures import unseen
from tests.cluster.place import Place
from tests.harness.api import SERVICES, until
from tests.harness.namespace import served


async def test_a_field_of_ours_that_is_edited_comes_back_and_a_foreign_one_stays(
    place: Place, model: Model, saw: Saw
) -> None:
    before = await place.status(model.name)
    elsewhere = {"model": {"storageUri": "s3://somewhere/else/"}, "maxReplicas": 2}
    began = time.monotonic()
    edited = await place.patch(model.name, {"spec": {"predictor": elsewhere}}, SERVICES)
    assert edited["spec"]["predictor"]["model"]["storageUri"] == "s3://somewhere/else/"

    async def back() -> bool:
        service = await place.service(model.name)
        assert service is not None
        return bool(service["spec"]["predictor"]["model"]["storageUri"] == before["served"]["uri"])

    await until(back, place.seconds, lambda: place.service(model.name))
    took = time.monotonic() - began
    status = await place.serves(model.name, before["served"]["version"])
    service = await place.service(model.name)
    assert service is not None and service["spec"]["predictor"]["maxReplicas"] == 2
    assert status["lastVersion"] == before["lastVersion"]
    await _answers(place, model)
    saw(
        f"storageUri was ours again after {took:.1f} s, maxReplicas 2 stayed, version {served(status)} serves, no run"
    )
    await place.recorder.check()


async def test_an_inference_service_that_is_deleted_comes_back(place: Place, model: Model, saw: Saw) -> None:
    before, service = await place.status(model.name), await place.service(model.name)
    assert service is not None
    began = time.monotonic()
    await place.delete(model.name, SERVICES)

    async def another() -> bool:
        now = await place.service(model.name)
        return now is not None and now["metadata"]["uid"] != service["metadata"]["uid"]

    await until(another, place.seconds, lambda: place.service(model.name))
    there = time.monotonic() - began
    status = await place.serves(model.name, before["served"]["version"])
    serving = time.monotonic() - began
    assert status["lastVersion"] == before["lastVersion"]
    await _answers(place, model)
    saw(
        f"another one was there after {there:.1f} s, version {served(status)} serves after {serving:.0f} s, no run"
    )
    await place.recorder.check()


async def _answers(place: Place, model: Model) -> None:
    pictures, _ = unseen(1)
    async with place.client(model.name) as client:
        assert await client.predict(pictures)
