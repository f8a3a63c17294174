"""What Prometheus says of a canary lets it go on, or takes it back from its users."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.platform import QUERIES
from sandbox.processes import ProcessStack
from sandbox.prometheus import Monitor
from sandbox.prometheus.program import of_this_machine, start
from tests.api.operator_path.conftest import Sites
from tests.api.operator_path.site import message
from tests.api.operator_path.traffic import Traffic
from tests.api.operator_path.training import Lesson

DRIFT = """
drift:
  query: max(drift{namespace="{namespace}", pod=~"{pods}"})
"""
ANALYSIS = [
    {"query": "error-rate", "max": 0.01, "interval": "2s"},
    {"query": "drift", "max": 0.5, "interval": "1s"},
]
CANARY = {
    "rollout": {"strategy": "Canary", "steps": [20, 50], "stepDuration": "1s", "analysis": ANALYSIS},
}

NEEDS_PROMETHEUS = pytest.mark.skipif(
    of_this_machine() is None, reason="no Prometheus on the PATH or in $PROMETHEUS: Debian's package has one"
)


@asynccontextmanager
async def measuring(with_what: str, targets_url: str, folder: Path) -> AsyncIterator[str]:
    """Where queries are answered: by the stand-in, or by Prometheus itself."""
    if with_what == "stand-in":
        async with Monitor(targets_url, 0.2) as monitor:
            yield monitor.url
        return
    with ProcessStack() as stack:
        yield await asyncio.to_thread(start, stack, folder, targets_url, folder / "prometheus.log")
        await asyncio.to_thread(stack.stop)


@pytest.mark.slow
@pytest.mark.parametrize("with_what", ["stand-in", pytest.param("prometheus", marks=NEEDS_PROMETHEUS)])
async def test_a_canary_goes_on_by_good_measurements_and_back_by_a_bad_one(
    with_what: str, sites: Sites, tmp_path: Path
) -> None:
    file = tmp_path / "queries.yaml"
    file.write_text(QUERIES.read_text() + DRIFT)
    settings = {
        "TAS_DEPLOYMENT_MODE": "Knative",
        "TAS_ANALYSIS_QUERIES": str(file),
        "TAS_ANALYSIS_MIN_INTERVAL": "1s",
    }
    async with (
        sites(settings=settings, kserve={"knative": True}, operator=False) as site,
        measuring(with_what, site.kserve.targets_url, tmp_path) as url,
    ):
        await site.start_operator(TAS_PROMETHEUS_URL=url)
        await site.apply("drifts", serving=CANARY)
        status = await site.serves("drifts", 1)
        async with Traffic.on(status["served"]["url"], "drifts") as traffic:
            site.lesson("drifts", Lesson(model={"gauges": {"drift": 0.1}}))
            await site.apply("drifts", serving=CANARY, training={"parameters": {"epochs": 2}})
            status = await site.serves("drifts", 2)
            found = {one["query"]: one for one in status["history"][0]["analysis"]}
            assert {name: one["state"] for name, one in found.items()} == {
                "error-rate": "Passed",
                "drift": "Passed",
            }
            assert found["drift"]["measured"] >= 3 and found["drift"]["value"] == pytest.approx(0.1)
            assert "analysis: error-rate 0, drift 0.1" in status["served"]["proof"]

            site.lesson("drifts", Lesson(model={"gauges": {"drift": 0.9}}))
            await site.apply("drifts", serving=CANARY, training={"parameters": {"epochs": 3}})
            status = await site.settles("drifts", ModelAccepted="False/FailedToServe")
            assert "analysis: drift 0.9 is above max 0.5" in message(status, "ModelAccepted")
            assert [
                one["state"] for one in status["candidate"]["verdict"]["analysis"] if one["query"] == "drift"
            ] == ["Failed"]
            await site.serves("drifts", 2)
            await traffic.more()

        assert traffic.failures == [] and set(traffic.versions[-5:]) == {2}
        assert 3 in traffic.versions, "it was before users, and left them by itself"
        entry = status["history"][0]
        record = site.storage.get(site.storage.beside(entry["uri"], "version.json"))
        assert json.loads(record)["analysis"] == entry["analysis"]
        await site.check()
