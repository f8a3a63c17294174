"""Installing custom resource definitions."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from sandbox.controlplane.rest import APPLY, Rest, RestError

FOLDER = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FIELD_MANAGER = "trainandserve-sandbox"
ESTABLISHED_SECONDS = 30.0
POLL_SECONDS = 0.05


def install(rest: Rest, crds: Iterable[dict[str, Any]]) -> None:
    """Create definitions, or apply them to those that exist, and wait until the server serves them all.

    Raises
    ------
    RestError
        If the server refuses one.
    TimeoutError
        If one is not established in time.
    """
    crds = list(crds)
    for crd in crds:
        _create_or_apply(rest, crd)
    deadline = time.monotonic() + ESTABLISHED_SECONDS
    for crd in crds:
        while not _served(rest, crd):
            if time.monotonic() > deadline:
                name = crd["metadata"]["name"]
                raise TimeoutError(f"the definition {name} was not established in {ESTABLISHED_SECONDS:g} s")
            time.sleep(POLL_SECONDS)


def _create_or_apply(rest: Rest, crd: dict[str, Any]) -> None:
    # Applying KServe's 2 MB takes the server more than twice as long as creating it.
    try:
        rest.call("POST", f"{FOLDER}?fieldManager={FIELD_MANAGER}", crd)
    except RestError as error:
        if error.status != 409:
            raise
        name = crd["metadata"]["name"]
        rest.call("PATCH", f"{FOLDER}/{name}?fieldManager={FIELD_MANAGER}&force=true", crd, APPLY)


def _served(rest: Rest, crd: dict[str, Any]) -> bool:
    found = rest.call("GET", f"{FOLDER}/{crd['metadata']['name']}")
    conditions = found.get("status", {}).get("conditions") or []
    if not any(each["type"] == "Established" and each["status"] == "True" for each in conditions):
        return False
    spec = found["spec"]  # established is not yet served: the handler follows a moment later
    versions = [version["name"] for version in spec["versions"] if version["served"]]
    folders = (f"/apis/{spec['group']}/{version}/{spec['names']['plural']}" for version in versions)
    return all(rest.answers(f"{folder}?limit=1") for folder in folders)
