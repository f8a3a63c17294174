"""One stable loopback address per InferenceService: the part of Service, kube-proxy and Ingress, or of Knative's route."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from sandbox.kserve.meter import Requests

MAX_BODY = 2**30
RETRY_SECONDS = 0.05
SERVED_BY = "X-Served-By"
"""Names the pod in every answer that comes from one, as a mesh can be told to; neither KServe nor Knative does it by itself."""

# Of one connection and not of the message: the two connections are not the same.
_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host"}
)


@dataclass(eq=False)
class Endpoint:
    """A ready pod, how many requests are on their way through it, and what it answered, by status code.

    Attributes
    ----------
    name
        Of the pod, for those who ask who answered.
    """

    url: str
    name: str = ""
    requests: int = 0
    answered: dict[int, Requests] = field(default_factory=dict)
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        self.requests += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.requests -= 1
            if not self.requests:
                self.idle.set()

    def count(self, status: int, seconds: float) -> None:
        self.answered.setdefault(status, Requests()).add(seconds * 1000)


class Endpoints:
    """The ready pods of one Deployment, in turn.

    A request is counted on its pod from the moment the pod is chosen, so a pod that was taken out and has
    none left can be stopped without losing one.

    Parameters
    ----------
    patience
        Seconds that a request waits for a pod where there is none, as Knative's activator has it wait.
    """

    def __init__(self, patience: float = 0.0) -> None:
        self.patience = patience
        self._ready: dict[str, Endpoint] = {}
        self._leaving: dict[str, Endpoint] = {}
        self._turn = itertools.count()
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, pod: str, url: str, name: str = "") -> None:
        self._ready[pod] = endpoint = Endpoint(url, name)
        endpoint.idle.set()
        self._some.set()

    def remove(self, pod: str) -> None:
        """New requests go elsewhere from now on; those on their way go on."""
        if (endpoint := self._ready.pop(pod, None)) is not None:
            self._leaving[pod] = endpoint
        if not self._ready:
            self._some.clear()

    def of(self, pod: str) -> Endpoint | None:
        """That of a pod, while it is ready."""
        return self._ready.get(pod)

    async def drained(self, pod: str, seconds: float) -> None:
        """Wait until no request is on its way through a pod that was removed, at most `seconds`."""
        endpoint = self._leaving.get(pod)
        with contextlib.suppress(TimeoutError):
            if endpoint is not None:
                await asyncio.wait_for(endpoint.idle.wait(), seconds)
        self._leaving.pop(pod, None)

    async def expect(self, deadline: float) -> None:
        """Wait until there is a ready pod, at most until `deadline` (of the monotonic clock)."""
        with contextlib.suppress(TimeoutError):
            if not self._ready and (seconds := deadline - time.monotonic()) > 0:
                await asyncio.wait_for(self._some.wait(), seconds)

    def next(self) -> Endpoint | None:
        ready = list(self._ready.values())
        return ready[next(self._turn) % len(ready)] if ready else None


Shares = Sequence[tuple[Endpoints, int]]


class Address:
    """Forwards each request to a pod of one of its shares; 503 while there is none.

    Parameters
    ----------
    chance
        Where the share of a request comes from.

    Attributes
    ----------
    waiting
        Requests that no pod has been chosen for yet.
    """

    def __init__(self, chance: random.Random | None = None) -> None:
        self.waiting = 0
        self._shares: Shares = ()
        self._random = chance or random.Random()  # noqa: S311 - it splits traffic
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self, port: int = 0) -> None:
        """Listen on `port` if it is free, else on any."""
        # A new connection for every request: a kept one may be closed by the pod just as it is used.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
        )
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError:
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def route(self, shares: Shares) -> None:
        """Send requests to these pods from now on, each by chance, with these weights."""
        self._shares = tuple((endpoints, percent) for endpoints, percent in shares if percent > 0)

    def _choose(self) -> Endpoints | None:
        if not self._shares:
            return None
        endpoints, percents = zip(*self._shares, strict=True)
        chosen: Endpoints = self._random.choices(endpoints, percents)[0]
        return chosen

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        endpoints = self._choose()
        if endpoints is None:
            return _nobody()
        deadline = time.monotonic() + endpoints.patience
        refused = 0
        while (endpoint := await self._ready(endpoints, deadline)) is not None:
            with endpoint.busy():
                started = time.monotonic()
                try:
                    answer = await self._through(endpoint, request, body)
                    endpoint.count(answer.status, time.monotonic() - started)
                    return answer
                except aiohttp.ClientConnectorError:
                    refused += 1  # nothing was sent: another pod may have it
                except aiohttp.ClientError as error:
                    endpoint.count(502, time.monotonic() - started)
                    return web.Response(status=502, text=f"the pod broke the connection: {error}\n")
            if refused >= len(endpoints):
                if time.monotonic() >= deadline:
                    break
                await asyncio.sleep(RETRY_SECONDS)
        return _nobody()

    async def _ready(self, endpoints: Endpoints, deadline: float) -> Endpoint | None:
        """A pod that is ready by the deadline."""
        self.waiting += 1
        try:
            await endpoints.expect(deadline)
            return endpoints.next()
        finally:
            self.waiting -= 1

    async def _through(self, endpoint: Endpoint, request: web.Request, body: bytes) -> web.Response:
        assert self._session is not None
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _HOP)
        url = endpoint.url + request.raw_path
        async with self._session.request(
            request.method, url, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            content = await answer.read()
            kept = CIMultiDict(
                (k, v) for k, v in answer.headers.items() if k.lower() not in _HOP | {"content-length"}
            )
            kept[SERVED_BY] = endpoint.name
            return web.Response(status=answer.status, body=content, headers=kept)


def _nobody() -> web.Response:
    return web.Response(status=503, text="no ready pod serves this InferenceService\n")
