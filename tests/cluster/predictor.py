"""Model servers as their clients see them: one prediction, or a steady stream of them."""

from __future__ import annotations

import asyncio
import json
import math
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from tests.harness.api import Api, Json

Instance = list[list[list[int]]]
Prediction = list[float]
LIMIT = aiohttp.ClientTimeout(total=30)
SENDERS = 64


@dataclass(frozen=True)
class Way:
    """How to ask one model.

    Attributes
    ----------
    url
        Of predictions by the V1 protocol.
    """

    url: str
    trust: ssl.SSLContext | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    async def to(cls, api: Api, how: str, service: Json) -> Way:
        """The way that the settings say to what an InferenceService stands for."""
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        path = f"/v1/models/{name}:predict"
        address: str = service["status"]["address"]["url"]
        if how in ("address", "url"):
            return cls((address if how == "address" else service["status"]["url"]).rstrip("/") + path)
        if how not in ("service", "api-server"):
            return cls(how.format(namespace=namespace, name=name).rstrip("/") + path)
        host, port = (urlsplit(address).hostname or "").partition(".")[0], urlsplit(address).port or 80
        where = f"/api/v1/namespaces/{namespace}/services/{host}"
        if how == "service":
            found = await api.call("GET", where)
            return cls(f"http://{found['spec']['clusterIP']}:{port}{path}")
        return cls(f"{api.server}{where}:{port}/proxy{path}", api.trust, await api.headers())


class Client:
    """Asks as every new client does: by a connection of its own."""

    def __init__(self, way: Way, http: aiohttp.ClientSession) -> None:
        self._way = way
        self._http = http

    @classmethod
    @asynccontextmanager
    async def of(cls, way: Way) -> AsyncIterator[Client]:
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=LIMIT) as http:
            yield cls(way, http)

    async def predict(self, instances: Sequence[Instance]) -> list[Prediction]:
        """A prediction for each.

        Raises
        ------
        NotPredictedError
            Anything else than that was the answer.
        """
        way = self._way
        try:
            asked = self._http.post(
                way.url, json={"instances": instances}, headers=way.headers, ssl=way.trust or True
            )
            async with asked as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotPredictedError(f"{type(error).__name__}: {error}") from error
        if answer.status != 200:
            raise NotPredictedError(f"{answer.status}: {text[:200]}")
        try:
            found: list[Prediction] = json.loads(text)["predictions"]
        except (ValueError, KeyError, TypeError) as error:
            raise NotPredictedError(f"no predictions: {text[:200]}") from error
        if len(found) != len(instances):
            raise NotPredictedError(f"not a prediction for each: {text[:200]}")
        return found


class NotPredictedError(Exception):
    """A request failed."""


@dataclass
class Stream:
    """Requests at a rate, one instance each, whatever becomes of those before; every one is counted.

    Attributes
    ----------
    answers
        Number of the instance and its prediction, in the order in which they came.
    failures
        What became of those that were not answered with a prediction.
    took
        Seconds of each request.
    """

    client: Client
    instances: Sequence[Instance]
    rate: float
    answers: list[tuple[int, Prediction]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def sent(self) -> int:
        """How many requests are done."""
        return len(self.took)

    @asynccontextmanager
    async def on(self) -> AsyncIterator[Stream]:
        """Send while the block runs; those on their way at its end are waited for."""
        began, ended = time.monotonic(), asyncio.Event()
        numbers = iter(range(1_000_000_000))
        senders = [asyncio.create_task(self._send(numbers, began, ended)) for _ in range(SENDERS)]
        try:
            yield self
        finally:
            ended.set()
            await asyncio.gather(*senders)
            self.seconds = time.monotonic() - began

    async def _send(self, numbers: object, began: float, ended: asyncio.Event) -> None:
        while not ended.is_set():
            number = next(numbers)  # type: ignore[call-overload]
            if await _set_within(ended, began + number / self.rate - time.monotonic()):
                return
            started = time.monotonic()
            index = number % len(self.instances)
            try:
                [prediction] = await self.client.predict([self.instances[index]])
                self.answers.append((index, prediction))
            except NotPredictedError as error:
                self.failures.append(f"{time.monotonic() - began:.1f} s: {error}")
            self.took.append(time.monotonic() - started)

    def by_version(self, *versions: Sequence[Prediction]) -> list[int]:
        """How many answers are each version's, by what each says of the same instances: the nearest one's."""
        counts = [0] * len(versions)
        for index, prediction in self.answers:
            away = [math.dist(prediction, version[index]) for version in versions]
            counts[away.index(min(away))] += 1
        return counts

    def summary(self) -> str:
        """How many, how fast, and how many failed."""
        took = sorted(self.took)
        middle, late = (took[math.ceil(share * len(took)) - 1] * 1000 for share in (0.5, 0.99))
        return (
            f"{self.sent:,} requests at {self.sent / self.seconds:.0f} a second, {len(self.failures)} failed; "
            f"half answered within {middle:.0f} ms, 99 of 100 within {late:.0f} ms"
        )


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether an event comes within a time; one that is over is not waited for."""
    if seconds <= 0:
        return event.is_set()
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
