"""The door to the model server: a prediction now and then, to prove that it answers.

Where it is, is read from a status that others may have written. So the operator asks only hosts that an administrator listed, by
default the Services of the resource's own namespace; it connects only to addresses that were checked; and it follows no redirect.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ..addresses import forbidden, is_listed
from .bodies import read_body
from .errors import brief

_LIMIT = aiohttp.ClientTimeout(total=10, sock_connect=3)
_ANSWER_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came of one request for predictions."""

    state: Literal["answering", "failing", "wrong", "skipped"]
    message: str = ""
    predictions: list[Any] | None = None
    """As the V1 protocol gives them; None where none were asked for."""
    seconds: float = 0.0


class Predictor:
    """Predictions asked of model servers.

    Parameters
    ----------
    hosts
        Where predictions may be asked for: host or ``*.suffix``, without a port; ``{namespace}`` is the resource's.
    """

    def __init__(self, http: aiohttp.ClientSession, hosts: tuple[str, ...]) -> None:
        self._http = http
        self._hosts = hosts

    @classmethod
    @asynccontextmanager
    async def connected(cls, hosts: tuple[str, ...]) -> AsyncIterator[Predictor]:
        """A connection for each request: what is asked is whether a new client gets an answer."""
        connector = aiohttp.TCPConnector(force_close=True, limit=32, resolver=CheckedResolver())
        async with aiohttp.ClientSession(connector=connector) as http:
            yield cls(http, hosts)

    async def ask(self, url: str, namespace: str, name: str, sample: Mapping[str, Any] | None) -> Answer:
        """Ask once.

        Parameters
        ----------
        url
            Address of the model server, without a path.
        namespace
            That of the resource.
        name
            Name of the model there: that of its InferenceService.
        sample
            ``instances`` as the V1 protocol takes them. Without: the model's readiness is asked for.
        """
        server = _server(url, namespace, self._hosts)
        if server is None:
            words = f"{brief(url, 120)} is not where predictions are asked for: TAS_PREDICTOR_HOSTS lists the hosts"
            return Answer("skipped", words)
        path = f"/v1/models/{name}"
        body = {"instances": sample["instances"]} if sample and sample.get("instances") else None
        began = time.perf_counter()
        method, path = ("POST", f"{path}:predict") if body else ("GET", path)
        try:
            async with self._http.request(
                method, server.with_path(path), json=body, timeout=_LIMIT, allow_redirects=False
            ) as answer:
                data = await read_body(answer, _ANSWER_LIMIT)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # A refused connection comes from the place itself; no address and no way there say nothing about it.
            cause = getattr(error, "os_error", None)
            refused = isinstance(cause, ConnectionRefusedError)
            words = f"{server} cannot be reached from the operator: {brief(getattr(cause, 'strerror', '') or error, 120)}"
            return Answer("failing" if refused else "skipped", words)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer("failing", brief(error, 200) or type(error).__name__)
        if answer.status in (401, 403):
            return Answer("skipped", f"{server} answers the operator with {answer.status}")
        if answer.status != 200:
            # Not what it said: the address comes from a status that others may write, and a condition is for many to read.
            return Answer("failing", f"predictions are answered with status {answer.status}")
        return replace(_read(data, predicted=body is not None), seconds=time.perf_counter() - began)


def _server(url: str, namespace: str, hosts: tuple[str, ...]) -> URL | None:
    """The scheme, host and port to ask; None where the operator does not ask. Read as the client reads it: once."""
    try:
        found = URL(url)
        host, port = found.host or "", found.port
    except ValueError:
        return None
    allowed = (one.replace("{namespace}", namespace) for one in hosts)
    if found.scheme not in ("http", "https") or not is_listed(host, allowed):
        return None
    return URL.build(scheme=found.scheme, host=host, port=port)


class CheckedResolver(AbstractResolver):
    """Gives a connection only addresses of a kind that the operator connects to; the client uses what it is given."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The host's addresses.

        Raises
        ------
        OSError
            It has none, or one of them is forbidden.
        """
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            if kind := forbidden(host, one["host"]):
                raise OSError(None, f"{host} has a {kind} address")
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._resolver.close()


def _read(data: bytes, *, predicted: bool) -> Answer:
    try:
        answer = json.loads(data)
    except ValueError:
        return Answer("failing", "the answer is no JSON")
    if not predicted:
        return Answer("answering")
    found = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(found, list) or not found:
        return Answer("failing", "the answer has no predictions")
    return Answer("answering", predictions=found)
