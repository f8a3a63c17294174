"""Back-off, protocol, scripts and the address."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from sandbox.kserve.containers import ContainerState, backoff
from sandbox.kserve.fakes import FakeContainer, Script
from sandbox.kserve.model_server import columns, rows
from sandbox.kserve.proxy import Address, Endpoints
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
    one = Address(random.Random(5))
    await one.open()
    yield one
    await one.close()


async def serving(number: int) -> FakeContainer:
    """A model server that is up."""
    pod = FakeContainer("demo", Script(version=number))
    while pod.url is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return pod


async def version(address: Address, session: aiohttp.ClientSession) -> int:
    async with session.post(f"{address.url}/v1/models/demo:predict", json={"instances": [1]}) as answer:
        return int((await answer.json())["predictions"][0]["version"])


async def test_an_address_answers_503_until_a_pod_is_ready_and_keeps_its_port(address: Address) -> None:
    pods = Endpoints()
    address.route([(pods, 100)])
    pod = await serving(3)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{address.url}/v1/models/demo") as answer:
            assert answer.status == 503
        pods.add("a", str(pod.url), "demo-predictor-1")
        assert await version(address, session) == 3
        async with session.get(f"{address.url}/v1/models/demo") as answer:
            assert answer.headers["X-Served-By"] == "demo-predictor-1"
    await pod.stop()
    other = Address()
    await other.open(address.port)
    assert other.port != address.port
    await other.close()


async def test_requests_are_split_by_chance_as_asked(address: Address) -> None:
    pods = [await serving(1), await serving(2)]
    old, new = Endpoints(), Endpoints()
    old.add("a", str(pods[0].url))
    new.add("b", str(pods[1].url))

    async def share(percent: int, count: int) -> float:
        address.route([(new, percent), (old, 100 - percent)])
        return [await version(address, session) for _ in range(count)].count(2) / count

    async with aiohttp.ClientSession() as session:
        assert abs(await share(20, 1000) - 0.2) < 1.96 * (0.2 * 0.8 / 1000) ** 0.5  # the 95% interval
        assert (await share(0, 100), await share(100, 100)) == (0, 1)
    await asyncio.gather(*(pod.stop() for pod in pods))


async def test_a_request_waits_for_the_first_pod_of_a_revision_that_has_none(address: Address) -> None:
    pods = Endpoints(patience=60.0)
    address.route([(pods, 100)])
    pod = await serving(4)
    async with aiohttp.ClientSession() as session:
        asked = asyncio.create_task(version(address, session))
        while not address.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert not asked.done()
        pods.add("a", str(pod.url))
        assert await asked == 4
    await pod.stop()


async def test_a_pod_that_leaves_is_drained_of_its_requests(address: Address) -> None:
    pods = Endpoints()
    address.route([(pods, 100)])
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
    pods.add("a", f"http://127.0.0.1:{runner.addresses[0][1]}")
    async with aiohttp.ClientSession() as session:
        asked = asyncio.create_task(session.get(f"{address.url}/"))
        await arrived.wait()
        pods.remove("a")
        drained = asyncio.create_task(pods.drained("a", 10.0))
        async with session.get(f"{address.url}/") as refused:
            assert refused.status == 503
        assert not drained.done()
        release.set()
        await drained
        assert (await asked).status == 200
    await runner.cleanup()
