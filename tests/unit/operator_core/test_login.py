"""Where the watches find the API server."""

from __future__ import annotations

import functools
import logging

import kopf
import pytest
from kubernetes_asyncio import client, config

from trainandserve.cache import Cache
from trainandserve.watches import Watches
from trainandserve.work_queue import Queue


@pytest.fixture
def pod(monkeypatch, tmp_path):
    """What a pod is told, at a place of this test's own."""
    (tmp_path / "token").write_text("of-the-pod")
    (tmp_path / "ca.crt").write_text("a certificate")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.1.2.3")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    files = {"token_filename": tmp_path / "token", "cert_filename": tmp_path / "ca.crt"}
    monkeypatch.setattr(
        config, "load_incluster_config", functools.partial(config.load_incluster_config, **files)
    )
    monkeypatch.setattr(client.Configuration, "_default", None)
    return tmp_path


async def test_in_a_pod_the_watches_go_where_its_variables_say_and_resolve_no_name(pod) -> None:
    """A pod with the node's network, or one that is started otherwise, has no name for the API server."""
    registry = Watches(Cache(), Queue()).registry()
    [handler] = registry._activities.get_all_handlers()

    found = await handler.fn(logger=logging.getLogger(), settings=kopf.OperatorSettings())

    assert (found.server, found.token) == ("https://10.1.2.3:6443", "of-the-pod")
    assert str(found.ca_path) == str(pod / "ca.crt")

    (pod / "token").write_text("of-an-hour-later")
    again = await handler.fn(logger=logging.getLogger(), settings=kopf.OperatorSettings())
    assert again.token == "of-an-hour-later"
