"""The door to the model server: a prediction now and then, to prove that it answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp

from ..observation import Probe
from .errors import brief

_LIMIT = aiohttp.ClientTimeout(total=10, sock_connect=3)
_ANSWER_LIMIT = 4 * 1024 * 1024


class Predictor:
    """Predictions asked of model servers, and since when each answers without a failure.

    What is remembered is lost with the process: then the time until proof starts again, which harms nothing.
    """

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._answering: dict[str, datetime] = {}

    @classmethod
    @asynccontextmanager
    async def connected(cls) -> AsyncIterator[Predictor]:
        """A connection for each request: what is asked is whether a new client gets an answer."""
        connector = aiohttp.TCPConnector(force_close=True, limit=32)
        async with aiohttp.ClientSession(connector=connector) as http:
            yield cls(http)

    async def probe(
        self, run_id: str, url: str, name: str, sample: Mapping[str, Any] | None, now: datetime
    ) -> Probe:
        """Ask once; `since` tells from when on every answer was right.

        Parameters
        ----------
        url
            Address of the model server, without a path.
        sample
            ``instances`` as the V1 protocol takes them. Without: the model's readiness is asked for.
        """
        state, message = await self._ask(url.rstrip("/"), name, sample)
        if state != "answering":
            self._answering.pop(run_id, None)
            return Probe("skipped" if state == "skipped" else "failing", now, message)
        return Probe("answering", self._answering.setdefault(run_id, now), message)

    async def _ask(self, url: str, name: str, sample: Mapping[str, Any] | None) -> tuple[str, str]:
        path = f"{url}/v1/models/{name}"
        body = {"instances": list(sample["instances"])[:1]} if sample and sample.get("instances") else None
        method, path = ("POST", f"{path}:predict") if body else ("GET", path)
        try:
            async with self._http.request(
                method, path, json=body, timeout=_LIMIT, allow_redirects=False
            ) as answer:
                data = await answer.content.read(_ANSWER_LIMIT)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # A refused connection comes from the place itself; no address and no way there say nothing about it.
            refused = isinstance(getattr(error, "os_error", None), ConnectionRefusedError)
            words = f"{url} cannot be reached from the operator: {brief(error, 120)}"
            return ("failing" if refused else "skipped"), words
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return "failing", brief(error, 200) or type(error).__name__
        if answer.status in (401, 403):
            return "skipped", f"{url} answers the operator with {answer.status}"
        if answer.status != 200:
            # Not what it said: the address comes from a status that others may write, and a condition is for many to read.
            return "failing", f"predictions are answered with status {answer.status}"
        return _read(data, predicted=body is not None)


def _read(data: bytes, *, predicted: bool) -> tuple[str, str]:
    try:
        answer = json.loads(data)
    except ValueError:
        return "failing", "the answer is no JSON"
    if predicted and not (isinstance(answer, dict) and answer.get("predictions")):
        return "failing", "the answer has no predictions"
    return "answering", ""
