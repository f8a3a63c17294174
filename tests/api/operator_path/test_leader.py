"""Of several operators one acts."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.operator_path.api import until
from tests.api.operator_path.process import NAMESPACE
from tests.api.operator_path.site import Site
from tests.api.operator_path.training import Lesson
from tests.harness.process import OperatorProcess

SHORT = {"TAS_LEASE_DURATION": "4s", "TAS_LEASE_RENEWAL": "1s"}


async def test_a_standby_takes_over_when_the_leader_is_killed(bare: Site) -> None:
    site = bare
    leader = await site.start_operator(**SHORT)
    standby = await site.start_operator(wait=False, **SHORT)
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
    leader = await site.start_operator(**SHORT)
    lesson = site.lesson("digits", Lesson(holds="train"))
    await site.apply("digits")
    await lesson.held.wait()
    leader.signal(signal.SIGSTOP)
    before = len(leader.proxy.writes())
    standby = await site.start_operator(wait=False, **SHORT)
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


@pytest.mark.slow
async def test_what_woke_a_leader_between_two_leases_is_not_forgotten(bare: Site) -> None:
    """As after a pause of its machine: the lease has run out, nobody took it, and it is had again a moment later."""
    site = bare
    lasts = timedelta(seconds=24)  # a third of it is for the try at renewing, and all that is held below
    leader = await site.start_operator(TAS_LEASE_DURATION="24s")
    await site.apply("digits")
    await site.serves("digits", 1)
    leader.signal(signal.SIGSTOP)
    try:
        lease = leader.proxy.stop_at("PUT", f"/leases/{site.namespace}$", "after")
        renewed = await _renewed(site)
        await until(lambda: datetime.now(UTC) > renewed + lasts)
        await site.apply("digits", training={"parameters": {"epochs": 2}})
    finally:
        leader.signal(signal.SIGCONT)
    await asyncio.wait_for(lease.reached.wait(), 60)
    await until(lambda: _passed_over(leader))
    lease.go.set()

    await site.serves("digits", 2)
    assert leader.alive and site.posts() == 2
    await site.check()


async def _renewed(site: Site) -> datetime:
    """When the lease was renewed for the last time."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{site.namespace}"
    return datetime.fromisoformat((await site.api.call("GET", path))["spec"]["renewTime"])


async def _passed_over(leader: OperatorProcess) -> bool:
    return (await leader.metrics()).get("trainandserve_passes_total{not leading}", 0) > 0
