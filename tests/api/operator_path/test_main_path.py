"""From apply to served, and then nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.operator_path.api import OURS, Json, until
from tests.api.operator_path.conftest import Sites
from tests.api.operator_path.site import Site, told

PHASES = ["Pending", "Training", "RollingOut", "Serving"]


@pytest.fixture(params=["single-user", "multi-user"])
async def either(request: pytest.FixtureRequest, sites: Sites) -> AsyncIterator[Site]:
    async with sites(multi_user=request.param == "multi-user") as made:
        yield made


async def test_a_resource_is_trained_judged_and_served(either: Site) -> None:
    site = either
    applied = await site.apply("digits")
    status = await site.serves("digits", 1)

    assert told(status) == {
        "Ready": "True/Serving",
        "ModelTrained": "True/Trained",
        "ModelAccepted": "True/Accepted",
        "ModelServed": "True/Proven",
    }
    assert status["observedGeneration"] == applied["metadata"]["generation"]
    assert {one["observedGeneration"] for one in status["conditions"]} == {1}
    assert status["candidate"]["metrics"] == {"accuracy": 0.9}
    assert status["served"]["url"].startswith("http")
    assert site.recorder.phases("digits") == PHASES
    wanted = ["RunStarted", "RunSucceeded", "VersionAccepted", "VersionServed"]
    await until(lambda: _all_told(site, wanted))
    await until(lambda: _recorded(site, status["served"]))
    await site.check()


def _recorded(site: Site, served: Json) -> bool:
    """Whether the record beside the model tells where it comes from and that it was proven."""
    key = site.storage.beside(served["uri"], "version.json")
    record = json.loads(site.storage.get(key))
    assert (record["verdict"], record["runId"], record["trigger"]) == (
        "Accepted",
        served["runId"],
        "first version",
    )
    assert record["checks"][0]["value"] == 0.9 and record["resultDigest"] == served["resultDigest"]
    assert len(record["pipelineDigest"]) == 64 and record["data"]["digest"] == record["dataDigest"]
    return bool(record.get("servedAt") == served["since"])


async def _all_told(site: Site, wanted: list[str]) -> bool:
    found = await site.reasons("digits")
    assert max(Counter(found).values(), default=0) <= 1, found
    return found == wanted


async def test_the_path_takes_few_writes_and_few_calls(site: Site) -> None:
    await site.apply("digits")
    await site.serves("digits", 1)
    await site.recorder.caught_up()

    notes = sum(map(_is_progress_note, *_pairs(site.recorder.statuses("digits"))))
    writes = [one for one in site.operator.proxy.writes() if not one.path.endswith("/events")]
    # One of them notes that the version's record was written.
    assert len(writes) - notes <= 7, [(one.method, one.path) for one in writes] + site.recorder.statuses(
        "digits"
    )
    assert site.posts() == 1
    assert len(_calls_of_runs(site)) <= 4 + notes, site.kfp.requests


def _pairs(statuses: list[Json]) -> tuple[list[Json], list[Json]]:
    return statuses[:-1], statuses[1:]


def _is_progress_note(before: Json, after: Json) -> bool:
    """Whether a status says no more than its predecessor but how far the run is, from its start on, or what is waited for."""
    state = (after.get("run") or {}).get("state")
    training = state == "Running" and before.get("phase") == after.get("phase") == "Training"
    return training or _without_words(before) == _without_words(after)


def _without_words(status: Any) -> Any:
    """A status without its sentences, which on a slow machine tell more of the way."""
    if isinstance(status, dict):
        return {key: _without_words(value) for key, value in status.items() if key != "message"}
    return [_without_words(one) for one in status] if isinstance(status, list) else status


def _calls_of_runs(site: Site) -> list[tuple[str, str, int]]:
    """Calls for runs; the first question of a process, how Kubeflow Pipelines is installed, is asked once for all."""
    return site.kfp.requests[1:]


async def test_nothing_is_written_any_more_once_all_is_served(site: Site) -> None:
    await site.apply("digits")
    await site.serves("digits", 1)
    before = await site.resource("digits")

    operator = await site.restart_operator(TAS_RESYNC="1s")
    await until(lambda: _resyncs(site, 4), 20)

    assert [one.path for one in operator.proxy.writes()] == []
    assert await site.resource("digits") == before
    assert operator.proxy.requests and site.posts() == 1


async def _resyncs(site: Site, times: int) -> bool:
    """Whether the operator listed everything so often since it started."""
    path = site.path(OURS)
    lists = [one for one in site.operator.proxy.requests if one.path == path and "limit" in one.query]
    return len([one for one in lists if "watch" not in one.query]) >= times
