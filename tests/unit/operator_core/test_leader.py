"""The lease: held by one, judged by this process's own clock, lost in time."""

from __future__ import annotations

import asyncio
import copy
from datetime import timedelta
from typing import Any

import pytest

from trainandserve import reasons
from trainandserve.gateways.errors import Conflict, Unreachable
from trainandserve.leader import Leader
from trainandserve.settings import Settings

PATH = "/apis/coordination.k8s.io/v1/namespaces/trainandserve/leases/trainandserve"


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Api:
    """An API server with one lease."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.down = False
        self.races: list[dict[str, Any]] = []
        """What somebody else writes between a read and the write that follows it."""
        self.writes = 0

    def put(self, lease: dict[str, Any]) -> dict[str, Any]:
        version = int(self.lease["metadata"]["resourceVersion"]) + 1 if self.lease else 1
        self.lease = copy.deepcopy(
            {**lease, "metadata": {**lease["metadata"], "resourceVersion": str(version)}}
        )
        return copy.deepcopy(self.lease)

    def _answer(self) -> None:
        if self.down:
            raise Unreachable(reasons.KUBERNETES_REFUSED, "the API server does not answer")

    async def get(self, path: str) -> dict[str, Any] | None:
        self._answer()
        assert path == PATH
        return copy.deepcopy(self.lease)

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        if self.races:
            self.put(self.races.pop())
        if self.lease is not None:
            raise Conflict(reasons.KUBERNETES_REFUSED, "it exists")
        self.writes += 1
        return self.put(body)

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        if self.races:
            self.put(self.races.pop())
        assert self.lease is not None
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict(reasons.KUBERNETES_REFUSED, "it has changed")
        self.writes += 1
        return self.put(body)


def held_by(holder: str, seconds: int = 15) -> dict[str, Any]:
    return {
        "metadata": {"name": "trainandserve"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds},
    }


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_leader(api: Api, clock: Clock) -> Leader:
    return Leader(api, Settings(), clock)  # type: ignore[arg-type]


async def tries(leader: Leader) -> bool:
    """One try at the lease."""
    return await leader._try()


async def test_a_lease_that_is_not_there_is_made(api: Api, clock: Clock) -> None:
    leader = a_leader(api, clock)
    assert not leader.leading()
    await leader.acquire()
    assert leader.leading()
    assert api.lease is not None
    assert api.lease["spec"]["holderIdentity"] == leader.identity
    assert api.lease["spec"]["leaseTransitions"] == 0


async def test_a_lease_that_was_given_back_is_taken_at_once(api: Api, clock: Clock) -> None:
    api.put(held_by(""))
    leader = a_leader(api, clock)
    await leader.acquire()
    assert leader.leading()
    assert api.lease["spec"]["leaseTransitions"] == 1  # type: ignore[index]


async def test_a_lease_that_is_held_is_not_taken(api: Api, clock: Clock) -> None:
    first, second = a_leader(api, clock), a_leader(api, clock)
    await first.acquire()
    for _ in range(10):
        clock.now += 5
        assert not await tries(second)
        assert not second.leading()
        assert await tries(first)


async def test_a_silent_holder_is_followed_after_its_duration_as_seen_here(api: Api, clock: Clock) -> None:
    """Whatever its own clock wrote into the lease."""
    api.put(
        {**held_by("gone"), "spec": {**held_by("gone")["spec"], "renewTime": "2001-01-01T00:00:00.000000Z"}}
    )
    leader = a_leader(api, clock)
    assert not await tries(leader), "its silence begins when it is first seen"
    clock.now += 15
    assert not await tries(leader)
    clock.now += 0.1
    assert await tries(leader)
    assert leader.leading()


async def test_every_word_of_the_holder_begins_the_wait_anew(api: Api, clock: Clock) -> None:
    api.put(held_by("other"))
    leader = a_leader(api, clock)
    for _ in range(5):
        assert not await tries(leader)
        clock.now += 14
        api.put(held_by("other"))
    assert not await tries(leader)


async def test_a_holder_of_a_longer_lease_is_waited_for_as_long(api: Api, clock: Clock) -> None:
    api.put(held_by("other", 60))
    leader = a_leader(api, clock)
    assert not await tries(leader)
    clock.now += 59
    assert not await tries(leader)
    clock.now += 2
    assert await tries(leader)


async def test_of_two_that_take_it_at_once_one_does(api: Api, clock: Clock) -> None:
    leader = a_leader(api, clock)
    api.races.append(held_by("faster"))
    assert not await tries(leader)
    api.put(held_by(""))
    api.races.append(held_by("faster"))
    assert not await tries(leader)
    assert not leader.leading()


async def test_the_lease_is_lost_before_others_may_take_it(api: Api, clock: Clock) -> None:
    leader, standby = a_leader(api, clock), a_leader(api, clock)
    await leader.acquire()
    assert not await tries(standby)
    api.down = True
    clock.now += 14
    assert not await tries(leader)
    assert leader.leading(), "the last renewal still holds"
    clock.now += 0.6
    assert not leader.leading()
    api.down = False
    assert not await tries(standby), "and nobody else leads yet"


async def test_a_process_that_was_stopped_does_not_lead_when_it_wakes_up(api: Api, clock: Clock) -> None:
    leader = a_leader(api, clock)
    await leader.acquire()
    clock.now += 3600
    assert not leader.leading()


async def test_the_time_that_a_renewal_took_is_not_counted_as_held(api: Api, clock: Clock) -> None:
    leader = a_leader(api, clock)
    reply = api.create

    async def slow(path: str, body: dict[str, Any]) -> dict[str, Any]:
        clock.now += 16
        return await reply(path, body)

    api.create = slow  # type: ignore[method-assign]
    assert await tries(leader)
    assert not leader.leading()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Pauses pass at once, on the fake clock."""
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await real(0)

    monkeypatch.setattr("trainandserve.leader.asyncio.sleep", sleep)


@pytest.mark.usefixtures("no_pauses")
async def test_keeping_ends_when_renewals_fail_for_too_long(api: Api, clock: Clock) -> None:
    leader = a_leader(api, clock)
    await leader.acquire()
    api.down, began = True, clock.now
    await asyncio.wait_for(leader.keep(), 60)
    assert not leader.leading()
    assert clock.now - began <= 20


async def test_an_answer_that_never_comes_does_not_cost_the_lease(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(lease_duration=timedelta(seconds=6), lease_renewal=timedelta(0))
    leader = Leader(api, settings)  # type: ignore[arg-type]
    await leader.acquire()
    answered, lost, renewed = api.replace, asyncio.Event(), asyncio.Event()

    async def replace(path: str, body: dict[str, Any]) -> dict[str, Any]:
        if not lost.is_set():
            lost.set()
            await asyncio.Event().wait()
        renewed.set()
        return await answered(path, body)

    monkeypatch.setattr(api, "replace", replace)
    keeping = asyncio.create_task(leader.keep())
    await asyncio.wait_for(renewed.wait(), 60)
    assert lost.is_set() and leader.leading() and not keeping.done()
    keeping.cancel()


@pytest.mark.usefixtures("no_pauses")
async def test_keeping_ends_at_once_when_another_holds_the_lease(api: Api, clock: Clock) -> None:
    leader = a_leader(api, clock)
    await leader.acquire()
    api.put(held_by("other"))
    began = clock.now
    await asyncio.wait_for(leader.keep(), 60)
    assert not leader.leading()
    assert clock.now - began == 5


@pytest.mark.usefixtures("no_pauses")
async def test_a_lease_that_somebody_deleted_is_made_again(api: Api, clock: Clock) -> None:
    leader = a_leader(api, clock)
    await leader.acquire()
    api.lease = None
    clock.now += 5
    assert await tries(leader)
    assert leader.leading()


async def test_releasing_gives_the_lease_back_for_the_next_one_to_take_at_once(
    api: Api, clock: Clock
) -> None:
    leader, standby = a_leader(api, clock), a_leader(api, clock)
    await leader.acquire()
    await leader.release()
    assert not leader.leading()
    assert await tries(standby)


async def test_releasing_takes_nothing_from_another(api: Api, clock: Clock) -> None:
    leader, standby = a_leader(api, clock), a_leader(api, clock)
    await leader.acquire()
    api.put(held_by(standby.identity))
    await leader.release()
    assert api.lease["spec"]["holderIdentity"] == standby.identity  # type: ignore[index]
    writes = api.writes
    await leader.release()
    assert api.writes == writes
