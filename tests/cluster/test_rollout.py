"""A better version reaches users, a worse one does not, and one that breaks leaves by itself, all under requests."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from tests.cluster.conftest import Saw
from tests.cluster.pictures import unseen
from tests.cluster.place import PARAMETERS, Place
from tests.cluster.predictor import Prediction, Stream
from tests.harness.api import ApiRefused, Json, until
from tests.harness.namespace import message, served

BOUNDS = [{"name": "accuracy", "min": 0.5}, {"name": "loss", "max": 2, "maxRegression": 0.1}]
EPOCHS = {1: 2, 2: 1, 3: 5, 4: 20}
"""Of each version. One epoch apart, the loss of these pictures differs by more than any seed or machine changes it."""

SAME = 1e-3
"""How far two answers of one model to one picture may be apart; those of two of these versions are further."""


async def test_only_better_versions_reach_users_and_a_broken_one_leaves_by_itself(
    place: Place, saw: Saw
) -> None:
    """Version 2 is worse; 3 better; 4 best, until a file of it breaks in the bucket; 1 is pinned for a while."""
    name = place.name("rollout")
    await _apply(place, name, 1)
    status = await place.serves(name, 1)
    if (mode := status["served"]["deploymentMode"]) != "Standard":
        pytest.skip(
            f"a second InferenceService without users is Standard mode's way; this cluster's is {mode}"
        )
    pictures, _ = unseen(10)
    seen: list[str] = []
    async with place.client(name) as client:
        first = await client.predict(pictures)
        async with Stream(client, pictures, place.settings.rate).on() as stream:
            seen.append(await _rejected(place, name))
            seen.append(await _served(place, name, 3, "better and proven", version=3))
            third = await client.predict(pictures)
            seen.append(await _taken_back(place, name))
            seen.append(await _served(place, name, 1, "pinned", serving={"pinnedVersion": 1}))
            seen.append(await _served(place, name, 3, "the pin taken away"))
            await until(lambda: stream.sent >= place.settings.requests, place.seconds, every=place.every)

    by_first, by_third = stream.by_version(first, third)
    saw(
        f"{'; '.join(seen)}; all under {stream.summary()}; version 1 answered {by_first:,}, version 3 {by_third:,}"
    )
    assert stream.failures == []
    assert by_first and by_third, "the stream did not see both versions"
    assert (far := _furthest(stream, first, third)) < SAME, (
        f"an answer of neither version 1 nor 3: {far} away"
    )
    await _each_was_proven_without_users(place, name)
    assert [(run.version, run.state) for run in await place.runs(name)] == [
        (version, "SUCCEEDED") for version in EPOCHS
    ]
    await place.recorder.check()


async def _rejected(place: Place, name: str) -> str:
    before = await place.service(name)
    await _apply(place, name, 2)
    await place.judged(name, 2)
    status = await place.settles(name, ModelAccepted="False/Rejected", Ready="True/Rejected")
    words, now = message(status, "ModelAccepted"), await place.service(name)
    loss, incumbent = (
        status["candidate"]["metrics"]["loss"],
        status["candidate"]["incumbent"]["metrics"]["loss"],
    )
    assert loss > incumbent + 0.1
    assert (
        f"loss {loss:.6g} is {loss - incumbent:.6g} worse than the version serving ({incumbent:.6g})" in words
    )
    assert before and now and now["spec"] == before["spec"]
    assert served(status) == 1
    return words


async def _served(place: Place, name: str, wanted: int, why: str, *, version: int = 4, **spec: Json) -> str:
    """Apply, and wait for a version: what it took."""
    began = time.monotonic()
    await _apply(place, name, version, **spec)
    status = await place.serves(name, wanted)
    assert await place.services_of(name) == [name], "a candidate was left behind"
    return f"version {wanted}, {why}, {time.monotonic() - began:.0f} s after the edit ({status['served']['proof']})"


async def _taken_back(place: Place, name: str) -> str:
    """A version that was good when it was judged, and whose model server cannot load any more what lies in the bucket."""
    before = await place.service(name)
    await _apply(place, name, 4)
    candidate = await until(lambda: _candidate(place, name), place.seconds, every=place.every)
    began = time.monotonic()
    await asyncio.to_thread(_break, place, candidate["spec"]["predictor"]["model"]["storageUri"])
    await _begin_anew(place, candidate["metadata"]["name"])
    status = await place.status_with(
        name, lambda status: status["phase"] == "Serving" and _verdict(status) == "FailedToServe"
    )
    took, words = time.monotonic() - began, status["candidate"]["verdict"]["message"]
    assert status["candidate"]["version"] == 4
    assert served(status) == 3
    [event] = [one["message"] for one in await place.events(name) if one["reason"] == "RolledBack"]
    assert event.startswith("version 4 could not be served"), event
    assert await place.services_of(name) == [name], "a candidate was left behind"
    now = await place.service(name)
    assert before and now and now["spec"] == before["spec"], "what users reach was changed"
    return f"version 4, accepted and then broken, taken back after {took:.0f} s (…{words[-160:]})"


async def _candidate(place: Place, name: str) -> Json | None:
    found = [one for one in await place.services_of(name) if one != name]
    return await place.service(found[0]) if found else None


def _break(place: Place, uri: str) -> None:
    """As a disk or a careless copy does: a file of the same name and size, with other content."""
    folder = place.storage.key(uri)
    [(key, size)] = [
        (key, size) for key, size, _ in place.storage.objects(folder) if key.endswith("saved_model.pb")
    ]
    place.storage.put(folder, key, bytes(size))


async def _begin_anew(place: Place, service: str) -> None:
    """Delete the pods of an InferenceService: as when their node goes, the next ones fetch the model again."""
    pods = f"/api/v1/namespaces/{place.namespace}/pods"
    for pod in await place.api.items(f"{pods}?labelSelector=serving.kserve.io/inferenceservice={service}"):
        with suppress(ApiRefused):  # it is gone already
            await place.api.call("DELETE", f"{pods}/{pod['metadata']['name']}")


def _verdict(status: Json) -> str | None:
    found: str | None = ((status.get("candidate") or {}).get("verdict") or {}).get("reason")
    return found


async def _each_was_proven_without_users(place: Place, name: str) -> None:
    """What the InferenceServices asked for, in its order: no version before users that was not alone with the operator first."""
    await place.recorder.caught_up()
    versions = {one["uri"]: one["version"] for one in (await place.status(name))["history"]}
    asked: dict[bool, list[int]] = {True: [], False: []}
    for event in place.recorder.of("InferenceService"):
        labels = event.body["metadata"].get("labels") or {}
        if labels.get("trainandserve.io/name") == name and not event.deleted:
            uri = event.body["spec"]["predictor"]["model"]["storageUri"]
            asked[event.name == name].append(versions[uri])
    assert _runs(asked[True]) == [1, 3, 1, 3]
    assert _runs(asked[False]) == [3, 4, 1, 3]
    stages = [status["rollout"] for status in place.recorder.statuses(name) if status.get("rollout")]
    assert _runs((one["version"], one["stage"]) for one in stages) == [
        (1, "Promoting"),
        (3, "Proving"),
        (3, "Promoting"),
        (4, "Proving"),
        (1, "Proving"),
        (1, "Promoting"),
        (3, "Proving"),
        (3, "Promoting"),
    ]


def _runs(row: Iterable[Any]) -> list[Any]:
    """What is in a row, each once where it is several times one after the other."""
    found: list[Any] = []
    for one in row:
        if found[-1:] != [one]:
            found.append(one)
    return found


def _furthest(stream: Stream, *versions: Sequence[Prediction]) -> float:
    """How far the strangest answer is from the nearest of some versions' answers to the same picture."""
    return max(
        min(math.dist(prediction, version[index]) for version in versions)
        for index, prediction in stream.answers
    )


async def _apply(place: Place, name: str, version: int, **spec: Json) -> None:
    """Ask for what makes a version."""
    await place.apply(
        name,
        training={"parameters": PARAMETERS | {"epochs": EPOCHS[version]}},
        evaluation={"metrics": BOUNDS},
        **spec,
    )
