"""The door to Prometheus: instant queries by its HTTP API, and what their answers mean.

A query is to find one number. None at all (no series, or no number, which is what a rate of nothing over nothing is) means that
there is nothing to measure; several mean that the query is not one about one version.
"""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from .. import reasons
from ..settings import Settings
from .bodies import read_body
from .errors import GatewayError, Refused, Unreachable, brief

_ANSWER_LIMIT = 1024 * 1024
_WORDS = 200


class Prometheus:
    """Queries to one Prometheus, or to what answers like one.

    Parameters
    ----------
    url
        Its address, as the administrator set it, without ``/api/v1``.
    """

    def __init__(self, http: aiohttp.ClientSession, settings: Settings, url: str) -> None:
        self._http = http
        self._settings = settings
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=settings.request_timeout.total_seconds(), sock_connect=5)

    @classmethod
    @asynccontextmanager
    async def connected(cls, settings: Settings) -> AsyncIterator[Prometheus | None]:
        """A connection pool of its own; None where no Prometheus is set."""
        if settings.prometheus_url is None:
            yield None
            return
        file = settings.prometheus_ca_file
        trust = ssl.create_default_context(cafile=str(file)) if file else True
        connector = aiohttp.TCPConnector(ssl=trust, limit=16)
        async with aiohttp.ClientSession(connector=connector) as http:
            yield cls(http, settings, settings.prometheus_url)

    async def ask(self, query: str) -> float | None:
        """The one number that a query finds now; None where there is nothing to measure.

        Raises
        ------
        Unreachable
            No answer of Prometheus' own.
        Refused
            It refuses the operator or the query, or finds several numbers or an infinite one.
        """
        try:
            async with self._http.post(
                f"{self._url}/api/v1/query",
                data={"query": query},
                headers=self._headers(),
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                data = await read_body(answer, _ANSWER_LIMIT)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = brief(error, _WORDS) or type(error).__name__
            raise Unreachable(reasons.ANALYSIS_INCONCLUSIVE, f"Prometheus does not answer: {what}") from error
        return _number(self._read(answer.status, data))

    def _headers(self) -> dict[str, str]:
        """The token, read anew each time: it may be renewed."""
        path = self._settings.prometheus_token_path
        if path is None:
            return {}
        try:
            return {"Authorization": f"Bearer {path.read_text().strip()}"}
        except OSError as error:
            raise Unreachable(
                reasons.ANALYSIS_INCONCLUSIVE, f"the token for Prometheus cannot be read: {error.strerror}"
            ) from error

    def _read(self, status: int, data: bytes) -> dict[str, Any]:
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if status == 200 and isinstance(body, dict) and isinstance(body.get("data"), dict):
            found: dict[str, Any] = body["data"]
            return found
        raise self._error(status, body)

    def _error(self, status: int, body: Any) -> GatewayError:
        """What an answer other than a result means; only Prometheus' own words are repeated."""
        if status in (401, 403):
            return Refused(reasons.ANALYSIS_INCONCLUSIVE, f"Prometheus answers the operator with {status}")
        if isinstance(body, dict) and body.get("errorType") == "bad_data":
            words = brief(body.get("error"), _WORDS)
            return Refused(reasons.ANALYSIS_INCONCLUSIVE, f"Prometheus refuses the query: {words}")
        said = f": {brief(body.get('error'), _WORDS)}" if isinstance(body, dict) and body.get("error") else ""
        return Unreachable(reasons.ANALYSIS_INCONCLUSIVE, f"Prometheus answers with status {status}{said}")


def _number(data: dict[str, Any]) -> float | None:
    """The number in the data of an answer."""
    kind, result = data.get("resultType"), data.get("result")
    if kind == "vector" and isinstance(result, list):
        if len(result) > 1:
            raise Refused(
                reasons.ANALYSIS_INCONCLUSIVE,
                f"the query finds {len(result)} series where one is wanted: aggregate them in the query",
            )
        values = [one.get("value") if isinstance(one, dict) else None for one in result]
    elif kind == "scalar":
        values = [result]
    else:
        raise Refused(reasons.ANALYSIS_INCONCLUSIVE, "the query finds neither a vector nor a number")
    return _float(values[0]) if values else None


def _float(sample: Any) -> float | None:
    """A sample's value: a pair of its time and its text."""
    try:
        value = float(sample[1])
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise Unreachable(
            reasons.ANALYSIS_INCONCLUSIVE, "Prometheus' answer has a sample without a number"
        ) from error
    if math.isinf(value):
        raise Refused(reasons.ANALYSIS_INCONCLUSIVE, "the query finds an infinite value")
    return None if math.isnan(value) else value
