"""kubectl wait, against the real API server, in every row of the table of conditions."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.controlplane import ControlPlane
from tests.api.bad_resources import minimal_resource
from tests.api.crd_calls import MERGE, create, folder, write_status
from tests.api.gitops.test_gitops import EDITED, NEW, ROWS, resources
from tests.unit.decide.test_conditions import TABLE
from tests.unit.install.gotools import on_path


@pytest.fixture(scope="module")
def waited_for(plane: ControlPlane) -> Iterator[str]:
    """A namespace with a resource whose generation is that of the table's."""
    namespace = f"kubectl-wait-{os.getpid()}"
    plane.rest.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    create(plane, namespace, minimal_resource())
    for limit in (2, 3):
        edited = {"spec": {"historyLimit": limit}}
        stored = plane.rest.call("PATCH", f"{folder(namespace)}/mnist", edited, MERGE)
    assert stored["metadata"]["generation"] == 3
    yield namespace
    plane.rest.call("DELETE", f"/api/v1/namespaces/{namespace}")


def kubectl_wait(kubeconfig: Path, namespace: str, condition: str) -> bool:
    """Whether the condition is there now, as kubectl sees it."""
    kubectl = on_path("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on the PATH")
    command = [kubectl, "--kubeconfig", kubeconfig, "-n", namespace, "wait", "tas/mnist", "--timeout=0s"]
    done = subprocess.run(
        [*command, f"--for=condition={condition}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or "timed out" in done.stderr or "condition not met" in done.stderr, (
        done.stderr
    )
    return done.returncode == 0


@pytest.mark.parametrize("name", [name for name in ROWS if name not in (NEW, EDITED)])
def test_kubectl_waits_until_a_proven_version_serves(plane: ControlPlane, waited_for: str, name: str) -> None:
    status = resources()[name]["status"]
    written = write_status(plane, waited_for, dict.fromkeys(_known(plane, waited_for)) | status)
    assert written["status"]["conditions"] == status["conditions"]
    ready, _, stalled = TABLE[name].words.split()[:3]
    assert kubectl_wait(plane.kubeconfig, waited_for, "Ready") == (ready == "True")
    assert kubectl_wait(plane.kubeconfig, waited_for, "Stalled") == (stalled == "True")


def _known(plane: ControlPlane, namespace: str) -> list[str]:
    """Names of what the status has: another row's."""
    found = plane.rest.call("GET", f"{folder(namespace)}/mnist")
    return list(found.get("status") or {})
