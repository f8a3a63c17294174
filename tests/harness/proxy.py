"""What stands between an operator and a server: it counts every request, and stops chosen ones half way.

An operator that waits at such a point is in a known state: it can be killed there, or the world changed around it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

_HOP = {"transfer-encoding", "connection", "content-length", "keep-alive", "host"}
When = Literal["before", "after"]
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass
class Request:
    """One request of the operator, and how it was answered (0: not yet, or never)."""

    method: str
    path: str
    query: dict[str, str]
    accept: str
    status: int = 0
    size: int = 0

    @property
    def writes(self) -> bool:
        return self.method in _WRITES


@dataclass
class Point:
    """The next request of a kind stops here: before it reaches the server, or before its answer comes back.

    Attributes
    ----------
    says
        A regular expression that is searched in the request's body.
    answer
        A status to answer with instead; None lets the request go on when `go` is set.
    """

    method: str
    path: str
    when: When = "before"
    says: str = ""
    answer: int | None = None
    times: int = 1
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def hits(self, request: web.Request, body: bytes, when: str) -> bool:
        same = self.times > 0 and self.method == request.method and self.when == when
        return bool(same and re.search(self.path, request.path) and re.search(self.says, body.decode()))


class Proxy:
    """A plain-HTTP way to a server (the API server, Kubeflow Pipelines), for one operator.

    Parameters
    ----------
    server
        Its URL, without a slash at the end.
    trust
        With what to encrypt; None: as for any server.

    Attributes
    ----------
    requests
        All requests so far, in their order.
    """

    def __init__(self, server: str, trust: ssl.SSLContext | None, upstream: aiohttp.ClientSession) -> None:
        self._server = server
        self._trust = trust
        self._upstream = upstream
        self._points: list[Point] = []
        self.requests: list[Request] = []
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def started(cls, server: str, trust: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False
        ) as upstream:
            proxy = cls(server, trust, upstream)
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{path:.*}", proxy._handle)
            runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                yield proxy
            finally:
                await runner.cleanup()

    def stop_at(self, method: str, path: str, when: When = "before", **more: Any) -> Point:
        """Order a point; the path is a regular expression."""
        point = Point(method, path, when, **more)
        self._points.append(point)
        return point

    def writes(self, pattern: str = "") -> list[Request]:
        """The writes so far, the lease's aside."""
        found = [one for one in self.requests if one.writes and "/leases" not in one.path]
        return [one for one in found if re.search(pattern, one.path)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = Request(request.method, request.path, dict(request.query), request.headers.get("Accept", ""))
        self.requests.append(seen)
        body = await request.read()
        if answer := await self._stop(request, body, "before"):
            seen.status = answer.status
            return answer
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _HOP)
        async with self._upstream.request(
            request.method,
            self._server + request.path_qs,
            data=body or None,
            headers=headers,
            ssl=self._trust or True,
        ) as answered:
            if "watch" not in request.query:
                data = await answered.read()
                seen.status, seen.size = answered.status, len(data)
                if answer := await self._stop(request, body, "after"):
                    return answer
                return web.Response(status=answered.status, headers=_kept(answered), body=data)
            return await self._stream(request, answered, seen)

    @staticmethod
    async def _stream(
        request: web.Request, answered: aiohttp.ClientResponse, seen: Request
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answered.status, headers=_kept(answered))
        seen.status = answered.status
        await response.prepare(request)
        async for chunk in answered.content.iter_any():
            seen.size += len(chunk)
            await response.write(chunk)
        return response

    async def _stop(self, request: web.Request, body: bytes, when: When) -> web.Response | None:
        for point in self._points:
            if point.hits(request, body, when):
                point.times -= 1
                point.reached.set()
                if point.answer is not None:
                    return _status(point.answer)
                await point.go.wait()
        return None


def _kept(answered: aiohttp.ClientResponse) -> CIMultiDict[str]:
    return CIMultiDict((k, v) for k, v in answered.headers.items() if k.lower() not in _HOP)


def _status(code: int) -> web.Response:
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "message": "ordered fault",
    }
    return web.json_response(body, status=code)
