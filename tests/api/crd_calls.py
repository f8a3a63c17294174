"""Calls on the API server that the tests of the definition make."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from typing import Any

import pytest

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import RestError

MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def folder(namespace: str) -> str:
    return f"/apis/trainandserve.io/v1alpha1/namespaces/{namespace}/trainandserves"


def refusal(
    plane: ControlPlane, method: str, path: str, body: Any, content_type: str = "application/json"
) -> str:
    with pytest.raises(RestError) as refused:
        plane.rest.call(method, path, body, content_type)
    assert refused.value.status in (400, 422), str(refused.value)
    return str(refused.value)


def create(plane: ControlPlane, namespace: str, body: dict[str, Any], options: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = plane.rest.call(
        "POST", f"{folder(namespace)}?fieldValidation=Strict{options}", body
    )
    return answer


def write_status(plane: ControlPlane, namespace: str, status: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = plane.rest.call(
        "PATCH", f"{folder(namespace)}/mnist/status?fieldValidation=Strict", {"status": status}, MERGE
    )
    return answer


def get(plane: ControlPlane, path: str, accept: str) -> Any:
    """A GET that says what form of the answer it wants."""
    address = urllib.parse.urlsplit(plane.server)
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    connection = http.client.HTTPSConnection(address.netloc, timeout=10, context=context)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {plane.token}", "Accept": accept})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
