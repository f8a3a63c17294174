"""Whom the operator asks for predictions, and that neither this door nor that of Kubeflow Pipelines is led elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.unit.tenants.listeners import NameServer, answer, listening
from trainandserve.gateways.errors import Unreachable
from trainandserve.gateways.kfp import Kfp
from trainandserve.gateways.predictor import Answer, Predictor
from trainandserve.settings import Settings

SAMPLE = {"instances": [[1.0]]}
DEFAULT = Settings().predictor_hosts
OWN = "digits-predictor.vision.svc.cluster.local"
PREDICTION = answer(200, json.dumps({"predictions": [[0.5]]}).encode())


async def probe(url: str, hosts: tuple[str, ...] = DEFAULT) -> Answer:
    async with Predictor.connected(hosts) as predictor:
        return await predictor.ask(url, "vision", "digits", SAMPLE)


async def test_a_host_that_an_administrator_listed_is_asked() -> None:
    with listening(PREDICTION) as server:
        found = await probe(server.url, ("127.0.0.1",))
        assert found.state == "answering"
        assert server.requests[0].startswith(b"POST /v1/models/digits:predict HTTP/1.1")


async def test_an_answer_in_many_parts_is_read_whole() -> None:
    long = answer(200, json.dumps({"predictions": [[0.5] * 400_000]}).encode())
    with listening(long) as server:
        assert (await probe(server.url, ("127.0.0.1",))).state == "answering"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}",
        "http://localhost:{port}",
        "http://2130706433:{port}",
        "http://0x7f000001:{port}",
        "http://0177.0.0.1:{port}",
        "http://127.1:{port}",
        "http://[::ffff:127.0.0.1]:{port}",
        "http://digits-predictor.vision.svc@127.0.0.1:{port}",
        "http://digits-predictor.vision.svc:80@127.0.0.1:{port}",
        "http://127.0.0.1:{port}/digits-predictor.vision.svc",
        "http://127.0.0.1:{port}#.vision.svc",
        "http://127.0.0.1:{port}?.vision.svc",
        "http://127.0.0.1:{port}\\@digits-predictor.vision.svc",
        "http://127.0.0.1%00.vision.svc:{port}",
        "//127.0.0.1:{port}",
        "http://digits-predictor.prod.svc:{port}",
        "http://digits-predictor.prod.svc.cluster.local:{port}",
        "http://vision.svc:{port}",
        "http://digits-predictor.vision.svc.evil.example:{port}",
        "http://digits.vision.example.com:{port}",
        "http://169.254.169.254/latest/meta-data/",
        "http://kubernetes.default.svc",
        "ftp://digits-predictor.vision.svc/",
        "file:///etc/passwd",
        "http://[::1",
        "",
    ],
)
async def test_a_status_that_names_another_host_is_not_believed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = NameServer().install(monkeypatch)
    for name in ("digits-predictor.prod.svc", "digits-predictor.prod.svc.cluster.local", "vision.svc"):
        names.answers[name] = [["127.0.0.1"]]
    names.answers["digits-predictor.vision.svc"] = [["127.0.0.1"]]
    with listening(PREDICTION) as server:
        found = await probe(url.format(port=server.port))
        assert found.state == "skipped", found
        assert server.untouched and names.asked == []


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fd00:ec2::254"])
async def test_a_service_of_the_namespace_that_leads_to_this_machine_is_not_asked(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one of type ExternalName."""
    NameServer({OWN: [[address]]}).install(monkeypatch)
    with listening(PREDICTION) as server:
        found = await probe(f"http://{OWN}:{server.port}")
        assert found.state == "skipped" and "address" in found.message
        assert server.untouched


async def test_a_name_that_means_something_else_the_second_time_leads_where_it_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = NameServer({OWN: [["10.96.0.12"], ["127.0.0.1"]]}).install(monkeypatch)
    gone_to = []

    async def connect(addr_infos: Any, **_: Any) -> Any:
        gone_to.extend(one[4][0] for one in addr_infos)
        raise ConnectionRefusedError

    monkeypatch.setattr(aiohttp.connector.aiohappyeyeballs, "start_connection", connect)
    found = await probe(f"http://{OWN}")
    assert found.state == "failing" and gone_to == ["10.96.0.12"] and names.asked == [OWN]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_model_server_that_redirects_has_failed(status: int) -> None:
    with listening(PREDICTION) as elsewhere:
        with listening(answer(status, Location=elsewhere.url)) as server:
            found = await probe(server.url, ("127.0.0.1",))
        assert found.state == "failing" and str(status) in found.message
        assert elsewhere.untouched


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_the_token_for_pipelines_follows_no_redirect(status: int, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("planted-token")
    with listening(answer(200, b"{}")) as elsewhere:
        with listening(answer(status, Location=elsewhere.url)) as server:
            settings = Settings(kfp_endpoint=server.url, kfp_token_path=token)
            async with Kfp.connected(settings) as kfp:
                with pytest.raises(Unreachable, match=str(status)):
                    await kfp.get_run("run")
        assert b"planted-token" in server.requests[0] and elsewhere.untouched


async def test_what_a_server_says_is_not_repeated() -> None:
    """Or a condition would tell what the operator can read and its reader cannot."""
    for says in (answer(500, b"planted-answer"), answer(200, b"planted-answer")):
        with listening(says) as server:
            found = await probe(server.url, ("127.0.0.1",))
        assert found.state == "failing" and "planted" not in found.message
