"""A resource is deleted while it is being trained."""

from __future__ import annotations

import asyncio
import time

from tests.cluster.conftest import Saw
from tests.cluster.place import PARAMETERS, Place
from tests.harness.api import Json, until
from tests.harness.namespace import served


async def test_a_deletion_during_a_run_leaves_nothing(place: Place, saw: Saw) -> None:
    """Version 1 serves and version 2 is being trained; the versions are to go too."""
    name, keep = place.name("deleted"), {"deletionPolicy": "Delete"}
    await place.apply(name, storage=keep)
    await place.serves(name, 1)
    prefix = f"{place.prefix}models/{place.namespace}/{name}/"
    written = len(await asyncio.to_thread(place.storage.keys, prefix))
    assert written
    await place.apply(name, storage=keep, training={"parameters": PARAMETERS | {"epochs": 500, "seed": 5}})
    status = await place.under_way(name, 2)
    assert served(status) == 1
    began = time.monotonic()
    await place.delete(name)
    await place.gone(name)
    took = time.monotonic() - began

    runs = await place.runs(name)
    assert [run.state for run in runs] == ["SUCCEEDED", "FAILED"], runs  # as a terminated run ends
    assert await place.services_of(name) == []
    assert await asyncio.to_thread(place.storage.keys, prefix) == []
    await until(lambda: _no_pods(place, name), place.seconds, lambda: _pods(place, name), place.every)
    flows = [one["status"]["phase"] for one in await place.workflows_of(name)]
    assert "Running" not in flows, flows
    saw(
        f"gone after {took:.0f} s: its run stopped (in Kubeflow Pipelines {runs[-1].state}), no InferenceService, "
        f"no pod, 0 of {written} objects left in the bucket"
    )
    await place.recorder.check()


async def _pods(place: Place, name: str) -> list[Json]:
    """Pods of the model server that are there."""
    selector = f"serving.kserve.io/inferenceservice={name}"
    return await place.api.items(f"/api/v1/namespaces/{place.namespace}/pods?labelSelector={selector}")


async def _no_pods(place: Place, name: str) -> bool:
    return not await _pods(place, name)
