"""The door to the model server: a prediction now and then, to prove that it answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from .errors import brief

_LIMIT = aiohttp.ClientTimeout(total=10, sock_connect=3)
_ANSWER_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came of one request for predictions."""

    state: Literal["answering", "failing", "skipped"]
    message: str = ""


class Predictor:
    """Predictions asked of model servers."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    @classmethod
    @asynccontextmanager
    async def connected(cls) -> AsyncIterator[Predictor]:
        """A connection for each request: what is asked is whether a new client gets an answer."""
        connector = aiohttp.TCPConnector(force_close=True, limit=32)
        async with aiohttp.ClientSession(connector=connector) as http:
            yield cls(http)

    async def ask(self, url: str, name: str, sample: Mapping[str, Any] | None) -> Answer:
        """Ask once.

        Parameters
        ----------
        url
            Address of the model server, without a path.
        name
            Name of the model there: that of its InferenceService.
        sample
            ``instances`` as the V1 protocol takes them. Without: the model's readiness is asked for.
        """
        path = f"{url.rstrip('/')}/v1/models/{name}"
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
            return Answer("failing" if refused else "skipped", words)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer("failing", brief(error, 200) or type(error).__name__)
        if answer.status in (401, 403):
            return Answer("skipped", f"{url} answers the operator with {answer.status}")
        if answer.status != 200:
            # Not what it said: the address comes from a status that others may write, and a condition is for many to read.
            return Answer("failing", f"predictions are answered with status {answer.status}")
        return _read(data, predicted=body is not None)


def _read(data: bytes, *, predicted: bool) -> Answer:
    try:
        answer = json.loads(data)
    except ValueError:
        return Answer("failing", "the answer is no JSON")
    if predicted and not (isinstance(answer, dict) and answer.get("predictions")):
        return Answer("failing", "the answer has no predictions")
    return Answer("answering")
