"""What an answer of Prometheus means: a number, nothing to measure, or no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tenants.listeners import answer, listening
from trainandserve.gateways.errors import Refused, Unreachable
from trainandserve.gateways.prometheus import Prometheus
from trainandserve.settings import Settings


async def asked(says: bytes, path: str = "", **settings: Any) -> tuple[float | None, bytes]:
    """What the door makes of an answer, and what it sent."""
    with listening(says) as server:
        found = Settings(prometheus_url=f"{server.url}{path}", **settings)
        async with Prometheus.connected(found) as prometheus:
            assert prometheus is not None
            return await prometheus.ask('sum(a{b="c"})'), b"".join(server.requests)


def result(kind: str, found: Any) -> bytes:
    return answer(
        200, json.dumps({"status": "success", "data": {"resultType": kind, "result": found}}).encode()
    )


def vector(*values: str) -> bytes:
    return result("vector", [{"metric": {}, "value": [1.5, value]} for value in values])


@pytest.mark.parametrize(
    ("says", "value"),
    [
        (vector("0.25"), 0.25),
        (vector("0"), 0.0),
        (vector("-1e-3"), -0.001),
        (result("scalar", [1.5, "3"]), 3.0),
        (vector(), None),
        (vector("NaN"), None),
        (result("scalar", [1.5, "NaN"]), None),
    ],
)
async def test_one_number_is_a_value_and_none_is_nothing_to_measure(says: bytes, value: float | None) -> None:
    assert (await asked(says))[0] == value


@pytest.mark.parametrize(
    ("says", "kind", "message"),
    [
        (vector("1", "2"), Refused, "the query finds 2 series where one is wanted"),
        (vector("+Inf"), Refused, "the query finds an infinite value"),
        (result("matrix", []), Refused, "the query finds neither a vector nor a number"),
        (answer(400, b'{"status":"error","errorType":"bad_data","error":"parse\\nerror"}'), Refused, "refuses the query: parse error"),
        (answer(403, b"who are you"), Refused, "answers the operator with 403"),
        (answer(503, b'{"status":"error","errorType":"timeout","error":"too slow"}'), Unreachable, "status 503: too slow"),
        (answer(502, b"<html>a gateway's page</html>"), Unreachable, "status 502$"),
        (answer(200, b"<html>a page</html>"), Unreachable, "status 200$"),
        (answer(302, b"", Location="http://127.0.0.1:9/"), Unreachable, "status 302$"),
        (result("vector", [{"metric": {}}]), Unreachable, "a sample without a number"),
        (b"", Unreachable, "does not answer"),
    ],
)  # fmt: skip
async def test_everything_else_is_no_answer(says: bytes, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        await asked(says)


async def test_the_query_is_sent_with_the_token_below_the_path(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token\n")
    _, sent = await asked(vector("1"), "/prometheus/", prometheus_token_path=token)
    assert sent.startswith(b"POST /prometheus/api/v1/query HTTP/1.1")
    assert b"\r\nAuthorization: Bearer a-token\r\n" in sent
    token.unlink()
    with pytest.raises(Unreachable, match="the token for Prometheus cannot be read"):
        await asked(vector("1"), prometheus_token_path=token)


async def test_an_answer_in_many_parts_is_read_whole() -> None:
    told = {
        "status": "success",
        "warnings": ["x" * 900_000],
        "data": {"resultType": "scalar", "result": [1.5, "3"]},
    }
    assert (await asked(answer(200, json.dumps(told).encode())))[0] == 3.0


async def test_nobody_is_asked_where_none_is_set() -> None:
    async with Prometheus.connected(Settings()) as prometheus:
        assert prometheus is None
