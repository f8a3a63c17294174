"""Calls to an API server that block no loop, and waiting for what is to come."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

Json = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
OURS = "/apis/trainandserve.io/v1alpha1/namespaces/{namespace}/trainandserves"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices"
WORKFLOWS = "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows"


class ApiRefused(Exception):
    """The API server said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """An API server as one user sees it, usually an administrator.

    Parameters
    ----------
    trust
        With what to encrypt, the user's certificate included where it has one; None for plain HTTP.
    authorization
        Gives the header of that name before each request; empty where a certificate says who asks.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        server: str,
        trust: ssl.SSLContext | None,
        authorization: Callable[[], Awaitable[str]],
    ) -> None:
        self.server = server
        self.trust = trust
        self._http = http
        self._authorization = authorization

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, server: str, trust: ssl.SSLContext | None, authorization: Callable[[], Awaitable[str]]
    ) -> AsyncIterator[Api]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=10)) as http:
            yield cls(http, server, trust, authorization)

    async def headers(self) -> dict[str, str]:
        """What says who asks."""
        found = await self._authorization()
        return {"Authorization": found} if found else {}

    async def call(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Json:
        headers = await self.headers() | {"Content-Type": content}
        data = None if body is None else json.dumps(body)
        async with self._http.request(
            method, self.server + path, data=data, headers=headers, ssl=self.trust or True
        ) as answer:
            found: Json = json.loads(await answer.text())
        if answer.status >= 400:
            raise ApiRefused(answer.status, str(found.get("message")))
        return found

    async def get(self, path: str) -> Json | None:
        """One object; None when there is none."""
        try:
            return await self.call("GET", path)
        except ApiRefused as refused:
            if refused.status == 404:
                return None
            raise

    async def items(self, path: str) -> list[Json]:
        found: list[Json] = (await self.call("GET", path))["items"]
        return found

    async def watch(self, path: str, version: str) -> AsyncIterator[tuple[str, Json]]:
        """Every event of a collection from a version on, until the server or the reader ends it."""
        url = f"{self.server}{path}?watch=true&resourceVersion={version}&timeoutSeconds=3600"
        asked = self._http.get(url, headers=await self.headers(), ssl=self.trust or True, read_bufsize=2**24)
        async with asked as answer:
            async for line in answer.content:
                event = json.loads(line)
                yield event["type"], event["object"]


PATIENCE = 3.0
"""Factor on every deadline: it is there for what never comes, and a busy machine is no failure."""


async def until(
    holds: Callable[[], Any],
    seconds: float = 30.0,
    what: Callable[[], Awaitable[object]] | None = None,
    every: float = 0.04,
) -> Any:
    """Poll a condition, awaitable or not, until it is true; its value. `what` tells what was there instead in the end.

    The pause begins with `every` seconds and grows to five times as many: what has taken seconds is not there a moment later.
    """
    deadline, pause = time.monotonic() + PATIENCE * seconds, every
    while True:
        value = holds()
        value = await value if asyncio.iscoroutine(value) else value
        if value:
            return value
        if time.monotonic() > deadline:
            seen = f": {json.dumps(await what(), indent=1, default=str)}" if what else ""
            raise AssertionError(f"not within {PATIENCE * seconds:g} s{seen}")
        await asyncio.sleep(pause)
        pause = min(1.1 * pause, 5 * every)
