"""What the stand-in for Prometheus answers: for each of these queries the same that Prometheus 2.42 was seen to answer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.prometheus import Monitor
from sandbox.prometheus.evaluation import Labels, Samples, Value, evaluate
from sandbox.prometheus.expression import QueryError, parse

NOW = 1000.0


def series(name: str, samples: Samples, **labels: str) -> tuple[Labels, Samples]:
    return frozenset({"__name__": name, **labels}.items()), samples


def counter(per_second: float, start: float = 0.0) -> list[tuple[float, float]]:
    """A sample every 10 seconds over the last 100, the newest now."""
    return [(NOW - 100 + 10 * step, start + per_second * 10 * step) for step in range(11)]


SERIES = dict(
    [
        series("requests", counter(2.0, 500), revision="old", code="200"),
        series("requests", counter(0.5, 50), revision="old", code="500"),
        series("requests", counter(1.0, 100), revision="new", code="200"),
        series("gone", [(NOW - 20, 1.0), (NOW - 10, math.nan)]),
        series("stale", [(NOW - 301, 1.0)]),
        series("restarted", [(NOW - 30, 10.0), (NOW - 20, 20.0), (NOW - 10, 5.0), (NOW, 15.0)]),
        series("latency_bucket", [(NOW, 5.0)], le="0.1"),
        series("latency_bucket", [(NOW, 9.0)], le="0.5"),
        series("latency_bucket", [(NOW, 10.0)], le="+Inf"),
        series("up", [(NOW, 1.0)], job="a"),
    ]
)


def answer(query: str) -> Any:
    """A number, or the values by label values joined by a blank."""
    value: Value = evaluate(parse(query), SERIES, NOW)
    if not isinstance(value, dict):
        return value
    return {
        " ".join(found for key, found in sorted(labels) if key != "__name__"): pytest.approx(number)
        for labels, number in value.items()
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("1 + 2 * 3 - -1", 8.0),
        ('requests{revision="old",code!~"5.."}', {"200 old": 700.0}),
        ("gone", {}),
        ("stale", {}),
        ('rate(requests{code="200"}[60s])', {"200 old": 2.0, "200 new": 1.0}),
        ("increase(requests{code='500'}[1m])", {"500 old": 30.0}),
        ("increase(restarted[31s])", {"": 10.0 + 5.0 + 10.0 + 25.0 / 30}),
        ("sum(rate(requests[1m]))", {"": 3.5}),
        ("sum by (revision) (rate(requests[1m]))", {"old": 2.5, "new": 1.0}),
        ("sum(rate(requests[1m])) without (code)", {"old": 2.5, "new": 1.0}),
        (
            'sum by (revision) (rate(requests{code=~"5.."}[1m])) / sum by (revision) (rate(requests[1m]))',
            {"old": 0.2},
        ),
        ("requests > 300", {"200 old": 700.0}),
        ("up == bool 1", {"a": 1.0}),
        ("histogram_quantile(0.5, latency_bucket)", {"": 0.1}),
        ("histogram_quantile(0.7, latency_bucket)", {"": 0.3}),
        ("histogram_quantile(0.99, latency_bucket)", {"": 0.5}),
        ("sum(nothing) or vector(0)", {"": 0.0}),
        ("count(requests)", {"": 3.0}),
        ("max_over_time(restarted[1m])", {"": 20.0}),
        ("sum(nothing) / sum(nothing)", {}),
    ],
)
def test_a_query_has_prometheus_value(query: str, expected: Any) -> None:
    assert answer(query) == expected


def test_zero_by_zero_is_no_number() -> None:
    assert math.isnan(answer("0 / 0"))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sum(",
        "requests[5m]",
        "rate(requests)",
        "requests offset 5m",
        "quantile(0.9, requests)",
        "label_replace(up, 'a', 'b', 'c', 'd')",
        "requests / on(code) group_left up",
        "requests{code}",
        "1 > 2",
        "up up",
        "sum(1)",
        "sum by (code) (requests) + requests[1m]",
        "{}",
    ],
)
def test_what_is_not_known_is_refused_and_not_answered_wrongly(query: str) -> None:
    with pytest.raises(QueryError):
        answer(query)


async def test_targets_are_scraped_and_a_target_that_goes_is_marked_at_once() -> None:
    groups: list[Mapping[str, Any]] = []

    async def targets(request: web.Request) -> web.Response:
        return web.json_response(groups)

    async def page(request: web.Request) -> web.Response:
        return web.Response(text='# TYPE jobs gauge\njobs{pod="inner"} 7\n')

    app = web.Application()
    app.router.add_get("/targets", targets)
    app.router.add_get("/page", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here = f"127.0.0.1:{runner.addresses[0][1]}"
    groups.append({"targets": [here], "labels": {"pod": "a", "__metrics_path__": "/page"}})
    async with (
        Monitor(f"http://{here}/targets", interval=0.02) as monitor,
        aiohttp.ClientSession() as session,
    ):

        async def ask(query: str) -> Any:
            async with session.get(f"{monitor.url}/api/v1/query", params={"query": query}) as found:
                return found.status, await found.json()

        while not (said := await ask("jobs"))[1]["data"]["result"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert said[0] == 200
        (row,) = said[1]["data"]["result"]
        assert row["metric"] == {"__name__": "jobs", "exported_pod": "inner", "pod": "a", "instance": here}
        assert row["value"][1] == "7"
        assert (await ask("1 + 1"))[1]["data"]["resultType"] == "scalar"
        status, refusal = await ask("sum(")
        assert (status, refusal["status"], refusal["errorType"]) == (400, "error", "bad_data")
        groups.clear()
        while (await ask("jobs"))[1]["data"]["result"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await runner.cleanup()
