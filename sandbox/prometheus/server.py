"""The stand-in for Prometheus: scrapes targets that a page lists, and answers instant queries over the last minutes."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from sandbox.prometheus.evaluation import NAME, Labels, Value, evaluate
from sandbox.prometheus.expression import QueryError, parse

KEPT_SECONDS = 900.0
SCRAPE_SECONDS = 1.0
PATH_LABEL = "__metrics_path__"


class Monitor:
    """A Prometheus of one page: ``/api/v1/query`` with instant vectors and scalars.

    Parameters
    ----------
    targets_url
        Lists what to scrape, as Prometheus' ``http_sd_configs`` has it.
    interval
        Seconds between two scrapes.
    """

    def __init__(self, targets_url: str, interval: float = SCRAPE_SECONDS) -> None:
        self._targets_url, self._interval = targets_url, interval
        self._series: dict[Labels, deque[tuple[float, float]]] = {}
        self._of_target: dict[Labels, set[Labels]] = {}
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/api/v1/query", self._query)
        app.router.add_get("/-/ready", self._ready)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0))
        self._scraping = asyncio.create_task(self._scrape_forever(), name="scraping")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._scraping.cancel()
        await asyncio.gather(self._scraping, return_exceptions=True)
        await self._session.close()
        await self._runner.cleanup()

    async def _scrape_forever(self) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
                await self._scrape()
            await asyncio.sleep(self._interval)

    async def _scrape(self) -> None:
        async with self._session.get(self._targets_url) as answer:
            groups = await answer.json()
        targets = {
            frozenset({**group["labels"], "instance": target}.items())
            for group in groups
            for target in group["targets"]
        }
        for gone in self._of_target.keys() - targets:
            self._end(self._of_target.pop(gone), time.time())
        await asyncio.gather(*(self._scrape_one(target) for target in targets))

    async def _scrape_one(self, target: Labels) -> None:
        labels = dict(target)
        path = labels.pop(PATH_LABEL, "/metrics")
        now, found = time.time(), {}
        try:
            async with self._session.get(f"http://{labels['instance']}{path}") as answer:
                answer.raise_for_status()
                found = samples(await answer.text(), labels)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass
        found[frozenset({NAME: "up", **labels}.items())] = float(bool(found))
        for series, value in found.items():
            kept = self._series.setdefault(series, deque())
            kept.append((now, value))
            while kept[0][0] < now - KEPT_SECONDS:
                kept.popleft()
        self._end(self._of_target.get(target, set()) - found.keys(), now)
        self._of_target[target] = set(found)

    def _end(self, series: set[Labels], now: float) -> None:
        """Mark where series end, so that queries after this moment do not find them."""
        for one in series:
            self._series[one].append((now, math.nan))

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(text="ready\n")

    async def _query(self, request: web.Request) -> web.Response:
        asked: Mapping[str, Any] = await request.post() if request.method == "POST" else request.query
        try:
            now = float(asked.get("time") or time.time())
            value = evaluate(parse(str(asked.get("query", ""))), self._series, now)
        except (QueryError, ValueError) as error:
            said = {"status": "error", "errorType": "bad_data", "error": str(error)}
            return web.json_response(said, status=400)
        return web.json_response({"status": "success", "data": _data(value, now)})


def samples(text: str, target: Mapping[str, str]) -> dict[Labels, float]:
    """The samples of a page, each with the labels of its target; the page's own of the same name are set apart."""
    found: dict[Labels, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            own = {f"exported_{key}" if key in target else key: value for key, value in sample.labels.items()}
            found[frozenset({NAME: sample.name, **own, **target}.items())] = float(sample.value)
    return found


def _data(value: Value, now: float) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {"resultType": "scalar", "result": [now, _said(value)]}
    rows = [{"metric": dict(labels), "value": [now, _said(number)]} for labels, number in value.items()]
    return {"resultType": "vector", "result": rows}


def _said(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    return repr(int(number)) if number == int(number) else repr(number)
