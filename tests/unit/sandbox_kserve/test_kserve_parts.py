"""Back-off, protocol, scripts and the address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from sandbox.kserve.containers import ContainerState, backoff
from sandbox.kserve.fakes import FakeContainer, Script
from sandbox.kserve.model_server import columns, rows
from sandbox.kserve.proxy import Address
from sandbox.kserve.servers import Exit


def test_the_first_restart_is_at_once_and_later_ones_back_off_to_five_minutes() -> None:
    assert [backoff(failures, 1.0) for failures in range(1, 9)] == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff(2, 0.05) == 0.5


def test_a_container_tells_its_restarts_and_how_it_ended() -> None:
    state = ContainerState("kserve-container", "image")
    state.started("x://1")
    state.ended(Exit(1, "boom"), message=False)
    state.backs_off(10, "pod")
    state.started("x://2")
    status = state.to_status()
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert "message" not in status["lastState"]["terminated"]


@pytest.mark.parametrize(
    ("instances", "inputs", "expected"),
    [
        ([1, 2], ["x"], {"x": [1, 2]}),
        ([{"x": 1}, {"x": 2}], ["x"], {"x": [1, 2]}),
        ([{"x": 1, "y": 3}], ["x", "y"], {"x": [1], "y": [3]}),
    ],
)
def test_instances_become_one_list_per_input(
    instances: list[object], inputs: list[str], expected: object
) -> None:
    assert columns(instances, dict.fromkeys(inputs)) == expected


@pytest.mark.parametrize("instances", [None, [], "x", [1], [{"x": 1}]])
def test_instances_that_do_not_name_every_input_are_refused(instances: object) -> None:
    with pytest.raises(ValueError, match="instance"):
        columns(instances, {"x": None, "y": None})  # type: ignore[arg-type]


def test_outputs_become_one_prediction_an_instance() -> None:
    assert rows({"y": [1, 2]}) == [1, 2]
    assert rows({"a": [1, 2], "b": [3, 4]}) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]


def test_a_downloaded_folder_scripts_a_fake_server(tmp_path: Path) -> None:
    (tmp_path / "4").mkdir()
    assert Script.read(tmp_path).answer([1, 2]) == [{"version": 4}, {"version": 4}]
    (tmp_path / "4" / "fake.json").write_text(
        json.dumps({"predictions": [7], "loadSeconds": 2, "failPredict": True})
    )
    assert Script.read(tmp_path) == Script(4, [7], None, 2.0, True)
    (tmp_path / "4" / "fake.json").write_text(json.dumps({"crash": True, "message": "boom"}))
    assert Script.read(tmp_path).crash == "boom"
    (tmp_path / "empty").mkdir()
    assert "No versions of servable found" in str(Script.read(tmp_path / "empty").crash)


async def test_a_fake_server_says_how_it_ended() -> None:
    crashed = FakeContainer("demo", Script(crash="boom"))
    assert await crashed.wait() == Exit(1, "boom")
    killed = FakeContainer("demo", Script(load_seconds=60))
    killed.kill()
    assert (await killed.wait()).code == 137
    await asyncio.gather(crashed.stop(), killed.stop())


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    one = Address()
    await one.open()
    yield one
    await one.close()


async def test_an_address_answers_503_until_a_pod_is_ready_and_keeps_its_port(address: Address) -> None:
    pod = FakeContainer("demo", Script(version=3))
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{address.url}/v1/models/demo") as answer:
            assert answer.status == 503
        while pod.url is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        address.add("a", pod.url)
        async with session.post(f"{address.url}/v1/models/demo:predict", json={"instances": [1]}) as answer:
            assert await answer.json() == {"predictions": [{"version": 3}]}
    await pod.stop()
    other = Address()
    await other.open(address.port)
    assert other.port != address.port
    await other.close()


async def test_a_pod_that_leaves_is_drained_of_its_requests(address: Address) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        arrived.set()
        await release.wait()
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address.add("a", f"http://127.0.0.1:{runner.addresses[0][1]}")
    async with aiohttp.ClientSession() as session:
        asked = asyncio.create_task(session.get(f"{address.url}/"))
        await arrived.wait()
        address.remove("a")
        drained = asyncio.create_task(address.drained("a", 10.0))
        async with session.get(f"{address.url}/") as refused:
            assert refused.status == 503
        assert not drained.done()
        release.set()
        await drained
        assert (await asked).status == 200
    await runner.cleanup()
