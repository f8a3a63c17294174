"""Of several operators one acts."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.api.operator_path.api import until
from tests.api.operator_path.site import Site
from tests.api.operator_path.training import Lesson


async def test_a_standby_takes_over_when_the_leader_is_killed(bare: Site) -> None:
    site = bare
    leader = await site.start_operator()
    standby = await site.start_operator(wait=False)
    await standby.says("health and metrics")
    await site.apply("digits")
    await site.serves("digits", 1)
    assert standby.proxy.writes() == [] and await standby.metric("leading") == 0

    await leader.kill()
    killed = time.monotonic()
    await standby.leads()
    assert time.monotonic() - killed < 20
    await site.apply("digits", training={"parameters": {"epochs": 2}})
    await site.serves("digits", 2)
    await site.check()


async def test_a_leader_that_is_asked_to_stop_hands_over_at_once(bare: Site) -> None:
    site = bare
    settings = {"TAS_LEASE_DURATION": "60s", "TAS_LEASE_RENEWAL": "1s"}
    leader = await site.start_operator(**settings)
    standby = await site.start_operator(wait=False, **settings)
    await standby.says("health and metrics")
    lesson = site.lesson("digits", Lesson(holds="train"))
    await site.apply("digits")
    await lesson.held.wait()

    leader.signal(signal.SIGTERM)
    assert await leader.ended(10) == 0
    await standby.says(" leads", seconds=20)  # the lease was given back: it lasts a minute
    lesson.go.set()
    await site.serves("digits", 1)
    assert site.posts() == 1
    await site.check()


@pytest.mark.slow
async def test_a_leader_that_slept_past_its_lease_writes_nothing_any_more(bare: Site) -> None:
    site = bare
    leader = await site.start_operator()
    lesson = site.lesson("digits", Lesson(holds="train"))
    await site.apply("digits")
    await lesson.held.wait()
    leader.signal(signal.SIGSTOP)
    before = len(leader.proxy.writes())
    standby = await site.start_operator(wait=False)
    await standby.leads()
    lesson.go.set()
    await site.serves("digits", 1)
    await site.apply("digits", training={"parameters": {"epochs": 2}})
    await until(lambda: site.posts() == 2)

    leader.signal(signal.SIGCONT)
    assert await leader.ended(15) == 1
    assert leader.proxy.writes()[before:] == []
    assert "the lease was lost" in leader.log
    await site.serves("digits", 2)
    assert site.posts() == 2
    await site.check()


async def test_an_operator_without_work_stops_at_once(bare: Site) -> None:
    operator = await bare.start_operator()
    operator.signal(signal.SIGTERM)
    assert await asyncio.wait_for(operator.ended(10), 12) == 0
