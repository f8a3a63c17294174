"""From an apply to predictions, to a better version, and past a worse one."""

from __future__ import annotations

import time

from tests.cluster.conftest import Model, Saw
from tests.cluster.pictures import unseen
from tests.cluster.place import HOPELESS, PARAMETERS, Place
from tests.cluster.predictor import Prediction, Stream
from tests.harness.api import SERVICES, Json, until
from tests.harness.namespace import message, served, told

ASKED = 40


async def test_a_resource_that_is_applied_answers_predictions(place: Place, model: Model, saw: Saw) -> None:
    status = model.first
    assert told(status) == {
        "Ready": "True/Serving",
        "ModelTrained": "True/Trained",
        "ModelAccepted": "True/Accepted",
        "ModelServed": f"True/{'Proven' if place.settings.probed else 'SmokeSkipped'}",
    }
    if place.settings.probed:
        assert "predictions answered" in status["served"]["proof"]
    pictures, labels = unseen(ASKED)
    async with place.client(model.name) as client:
        found = [likeliest(one) for one in await client.predict(pictures)]
    right = sum(a == b for a, b in zip(found, labels, strict=True))
    assert right >= 0.9 * ASKED, (found, labels)
    [run] = [one for one in await place.runs(model.name) if one.version == 1]
    assert run.state == "SUCCEEDED"
    saw(
        f"version 1 served {model.seconds:.0f} s after the apply ({status['served']['proof']}); "
        f"{message(status, 'ModelAccepted')}; {right} of {ASKED} unseen pictures recognised at {status['served']['url']}"
    )
    await place.recorder.check()


async def test_an_edit_of_a_parameter_serves_a_new_version_and_no_request_fails(
    place: Place, model: Model, saw: Saw
) -> None:
    before, settings = await place.status(model.name), place.settings
    version = before["lastVersion"] + 1
    pictures, _ = unseen(10)
    async with place.client(model.name) as client:
        old = await client.predict(pictures)
        async with Stream(client, pictures, settings.rate).on() as stream:
            began = time.monotonic()
            await place.apply(model.name, training=_training(place, epochs=20 + version))
            status = await place.serves(model.name, version)
            switched = time.monotonic() - began
            await until(lambda: stream.sent >= settings.requests, place.seconds, every=place.every)
        new = await client.predict(pictures)

    by_old, by_new = stream.by_version(old, new)
    saw(
        f"version {served(before)} to {version} in {switched:.0f} s ({status['served']['proof']}), under {stream.summary()}; "
        f"version {served(before)} answered {by_old:,}, version {version} {by_new:,}"
    )
    assert stream.failures == []
    assert by_old and by_new, "the stream did not see both versions"
    assert await place.services_of(model.name) == [model.name], "a candidate was left behind"
    [run] = [one for one in await place.runs(model.name) if one.version == version]
    assert run.state == "SUCCEEDED"
    await place.recorder.check()


async def test_a_version_that_misses_its_bounds_is_rejected_with_its_numbers_and_touches_nothing(
    place: Place, model: Model, saw: Saw
) -> None:
    before = await place.status(model.name)
    version, served_before, service = (
        before["lastVersion"] + 1,
        before["served"],
        await _service(place, model),
    )
    await place.apply(model.name, training=_training(place, **HOPELESS))
    status = await place.judged(model.name, version)
    status = await place.settles(model.name, ModelAccepted="False/Rejected", Ready="True/Rejected")

    accuracy = status["candidate"]["metrics"]["accuracy"]
    words = message(status, "ModelAccepted")
    assert accuracy < 0.9
    assert f"{accuracy:.6g}" in words and "0.9" in words, words
    assert status["served"] == served_before
    now = await _service(place, model)
    assert now["metadata"]["uid"] == service["metadata"]["uid"]
    assert now["metadata"]["generation"] == service["metadata"]["generation"]
    assert now["spec"] == service["spec"]
    reasons = await place.reasons(model.name)
    assert "VersionRejected" in reasons, reasons
    saw(
        f"{words}; version {served(status)} goes on, its InferenceService at generation {now['metadata']['generation']}"
    )
    await place.recorder.check()


async def _service(place: Place, model: Model) -> Json:
    found = await place.api.call("GET", place.path(SERVICES, model.name))
    return dict(found)


def _training(place: Place, **parameters: object) -> Json:
    """A training like the plain one, with other parameters."""
    found: Json = {"parameters": PARAMETERS | parameters}
    return found


def likeliest(prediction: Prediction) -> int:
    """The class of the highest probability."""
    return max(range(len(prediction)), key=prediction.__getitem__)
