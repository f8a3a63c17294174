"""The API tests' control plane: one per pytest process, with every definition that we speak of."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import RestError
from sandbox.crds import argo_crds, kserve_crds
from tests.harness.api import MERGE

OUR_CRDS = Path(__file__).parents[2] / "crds"
_WITH_FINALIZERS = (
    ("trainandserve.io/v1alpha1", "trainandserves"),
    ("serving.kserve.io/v1beta1", "inferenceservices"),
)
_numbers = itertools.count(1)


def all_crds() -> list[dict[str, Any]]:
    """KServe's, Argo's and ours."""
    texts = [file.read_text() for file in sorted(OUR_CRDS.glob("*.yaml"))]
    ours = [document for text in texts for document in yaml.safe_load_all(text) if document]
    return [*kserve_crds(), *argo_crds(), *ours]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that all tests of this process share; keep to your own `namespace`. It writes down who asks for Secrets."""
    folder = tmp_path_factory.mktemp("plane")
    log = folder / "audit.log"
    with ControlPlane.started(folder, audit_log=log, audited=["secrets"], crds=all_crds()) as started:
        yield started


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """The name of a new namespace, deleted afterwards, without waiting."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    plane.rest.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    end_namespace(plane, name)


def end_namespace(plane: ControlPlane, name: str) -> None:
    """Delete a namespace in which nobody works any more, without waiting.

    The control plane tries again to empty one that has pods or finalizers, every few seconds for as long as it runs, and nobody is
    left who would end a pod or take off a finalizer.
    """
    with contextlib.suppress(RestError):  # a test may have deleted it
        plane.rest.call("DELETE", f"/api/v1/namespaces/{name}")
    for collection in _WITH_FINALIZERS:
        path = f"/apis/{collection[0]}/namespaces/{name}/{collection[1]}"
        for one in plane.rest.call("GET", path)["items"]:
            with contextlib.suppress(RestError):  # it may just have gone
                released = {"metadata": {"finalizers": None}}
                plane.rest.call("PATCH", f"{path}/{one['metadata']['name']}", released, MERGE)
    plane.rest.call("DELETE", f"/api/v1/namespaces/{name}/pods?gracePeriodSeconds=0")
