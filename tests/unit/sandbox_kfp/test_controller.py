"""What the stand-in's controller makes of what it is told late."""

from __future__ import annotations

import copy

import aiohttp
import pytest

from sandbox.kfp import KfpServer, ScriptedExecution
from sandbox.kfp.controller import RESTARTED
from tests.unit.sandbox_kfp.memory import MemoryCluster
from tests.unit.sandbox_kfp.pipelines import Client


class LateCluster(MemoryCluster):
    """A cluster whose watch can be made to tell of a state that is over."""

    def tell(self, kind: str, workflow: dict) -> None:
        self._events.put_nowait((kind, workflow))


def as_running(workflow: dict) -> dict:
    told = copy.deepcopy(workflow)
    told["status"] |= {"phase": "Running", "finishedAt": None}
    return told


@pytest.fixture
async def cluster():
    return LateCluster()


@pytest.fixture
async def client(cluster):
    async with (
        KfpServer(None, execution=ScriptedExecution(), report_seconds=0.01, cluster=cluster) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Client(server.url, session)


async def test_a_late_word_of_a_run_that_has_ended_does_not_end_it_again(cluster, client) -> None:
    run_id = await client.submit()
    await client.ends(run_id, "SUCCEEDED")
    [(key, ended)] = cluster.stored.items()

    cluster.tell("MODIFIED", as_running(ended))
    await client.ends(await client.submit())  # whose events come after that one

    assert cluster.stored[key]["status"]["phase"] == "Succeeded"
    assert await client.state(run_id) == "SUCCEEDED"


async def test_a_run_that_nobody_executes_any_more_is_ended_with_the_reason(cluster, client) -> None:
    await client.ends(await client.submit(), "SUCCEEDED")
    [(key, ended)] = cluster.stored.items()
    left = as_running(ended)
    left["metadata"] |= {"name": "of-before", "uid": "of-before"}
    cluster.stored[key[0], "of-before"] = left

    cluster.tell("MODIFIED", left)
    await client.ends(await client.submit())

    status = cluster.stored[key[0], "of-before"]["status"]
    assert (status["phase"], status["message"]) == ("Error", RESTARTED)
