"""Installing custom resource definitions."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from sandbox.controlplane.rest import APPLY, Rest

FOLDER = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FIELD_MANAGER = "trainandserve-sandbox"
ESTABLISHED_SECONDS = 30.0
POLL_SECONDS = 0.05


def install(rest: Rest, crds: Iterable[dict[str, Any]]) -> None:
    """Apply definitions on the server's side and wait until the server serves them all.

    Raises
    ------
    RestError
        If the server refuses one.
    TimeoutError
        If one is not established in time.
    """
    names = []
    for crd in crds:
        name = crd["metadata"]["name"]
        rest.call("PATCH", f"{FOLDER}/{name}?fieldManager={FIELD_MANAGER}&force=true", crd, APPLY)
        names.append(name)
    deadline = time.monotonic() + ESTABLISHED_SECONDS
    for name in names:
        while not _established(rest.call("GET", f"{FOLDER}/{name}")):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the definition {name} was not established in {ESTABLISHED_SECONDS:g} s")
            time.sleep(POLL_SECONDS)


def _established(crd: dict[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions", [])
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
