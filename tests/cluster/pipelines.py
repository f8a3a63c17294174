"""Kubeflow Pipelines as somebody sees it who may only read: which runs there are, and how they ended."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from tests.harness.api import Json

AUDIENCE = "pipelines.kubeflow.org"


@dataclass(frozen=True)
class Run:
    """A run of one version of a resource."""

    id: str
    version: int
    attempt: int
    state: str


class Pipelines:
    """The API of one installation.

    Attributes
    ----------
    multi_user
        Whether each namespace has runs of its own, and requests need a token.
    """

    def __init__(self, http: aiohttp.ClientSession, endpoint: str, *, multi_user: bool) -> None:
        self._http = http
        self._base = f"{endpoint}/apis/v2beta1"
        self._token = ""
        self.multi_user = multi_user

    @classmethod
    @asynccontextmanager
    async def connected(cls, endpoint: str) -> AsyncIterator[Pipelines]:
        """Ask which kind it is."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
            asked = cls(http, endpoint.rstrip("/"), multi_user=False)
            health = await asked._get("/healthz")
            asked.multi_user = bool(health.get("multi_user"))
            yield asked

    async def identified(self, token: Callable[[], Awaitable[str]]) -> None:
        """Carry a token from now on, where one is looked at."""
        if self.multi_user:
            self._token = await token()

    async def runs(self, namespace: str, name: str) -> list[Run]:
        """Every run of a resource that there is, by version and attempt."""
        prefix = f"{namespace}/{name} v"
        predicate = {"operation": "IS_SUBSTRING", "key": "display_name", "string_value": prefix}
        query = {"page_size": "200", "filter": json.dumps({"predicates": [predicate]})}
        if self.multi_user:
            query["namespace"] = namespace
        found = (await self._get("/runs", query)).get("runs") or []
        runs = [_run(one, match) for one in found if (match := _NAMED.fullmatch(one["display_name"]))]
        return sorted(runs, key=lambda run: (run.version, run.attempt))

    async def _get(self, path: str, query: dict[str, str] | None = None) -> Json:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with self._http.get(self._base + path, params=query, headers=headers) as answer:
            text = await answer.text()
        assert answer.status == 200, f"Kubeflow Pipelines answered {path} with {answer.status}: {text[:500]}"
        found: Json = json.loads(text)
        return found


_NAMED = re.compile(r"[^/]+/\S+ v(\d+) #(\d+)")


def _run(body: Json, match: re.Match[str]) -> Run:
    return Run(str(body["run_id"]), int(match[1]), int(match[2]), str(body.get("state") or "PENDING"))
