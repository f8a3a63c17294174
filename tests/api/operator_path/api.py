"""The API server of these tests' control plane; what else is needed to speak to one is shared with other suites."""

from __future__ import annotations

import ssl
from contextlib import AbstractAsyncContextManager

from sandbox.controlplane import ControlPlane
from tests.harness.api import APPLY, MERGE, OURS, SERVICES, WORKFLOWS, Api, ApiRefused, Json, until

__all__ = [
    "APPLY",
    "MERGE",
    "OURS",
    "SERVICES",
    "WORKFLOWS",
    "Api",
    "ApiRefused",
    "Json",
    "administrator",
    "until",
]


def administrator(plane: ControlPlane) -> AbstractAsyncContextManager[Api]:
    """The API server as an administrator sees it."""

    async def authorization() -> str:
        return f"Bearer {plane.token}"

    trust = ssl.create_default_context(cadata=plane.ca_file.read_text())
    return Api.connected(plane.server, trust, authorization)
