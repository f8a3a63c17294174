"""The custom resource definitions of KServe, Knative Serving and Argo Workflows, as their makers publish them in Go modules.

They are read from the modules once and kept in the cache folder, so that later calls need no Go. Whoever
serves a module, its bytes are those that the checksum here names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.controlplane import custom_resources
from sandbox.controlplane.binaries import print_progress
from sandbox.controlplane.cache import cache_folder, keep, kept, locked
from sandbox.controlplane.golang import Go
from sandbox.controlplane.rest import Rest


@dataclass(frozen=True)
class Source:
    """Definitions in a Go module.

    Attributes
    ----------
    module
        `path@version`.
    checksum
        The module's, as go.sum would say it.
    files
        Within the module.
    """

    name: str
    module: str
    checksum: str
    files: Sequence[str]


KSERVE = Source(
    "kserve-v0.20.0",
    "github.com/kserve/kserve@v0.20.0",
    "h1:Bs7HxmGV4KFqqptDcWseKv+mwD4YOYHJWcuVgPG2Gug=",
    tuple(
        f"config/crd/full/serving.kserve.io_{plural}.yaml"
        for plural in ("inferenceservices", "servingruntimes", "clusterservingruntimes")
    ),
)
# Of Knative, the one whose being there tells KServe that Knative is; the version is the one KServe v0.20 is built with.
KNATIVE = Source(
    "knative-serving-v0.48.1",
    "knative.dev/serving@v0.48.1",
    "h1:Tm8s/KbtnGp/8srGa+r4ETyO+2+8FhG6qX/NPeRyTJo=",
    ("config/core/300-resources/service.yaml",),
)
# The minimal form is the one that Argo's own installation applies; the full one is 3 MB.
ARGO = Source(
    "argo-workflows-v3.7.3",
    "github.com/argoproj/argo-workflows/v3@v3.7.3",
    "h1:b0o03RTLXIL7lQunDEvLoDTeI5TbfXe2obGaItvvifk=",
    ("manifests/base/crds/minimal/argoproj.io_workflows.yaml",),
)


# An InferenceService repeats the schema of a pod for each of these, 690 KB in all, at which an API server works for eight
# seconds when it starts. A predictor's own fields and those of its model are checked in full.
_LEFT_OPEN = {
    (): ("canary", "explainer", "transformer"),
    ("predictor", "properties"): (
        *("huggingface", "lightgbm", "onnx", "paddle", "pmml", "pytorch"),
        *("sklearn", "tensorflow", "triton", "workerSpec", "xgboost"),
    ),
}


def kserve_crds() -> list[dict[str, Any]]:
    """InferenceService, ServingRuntime and ClusterServingRuntime.

    Their schemas are whole but for the parts of an InferenceService that are no predictor by `model`: those are open.

    Raises
    ------
    GoError
        If they are not in the cache yet and cannot be fetched.
    """
    crds = _read(KSERVE)
    for crd in crds:
        if crd["spec"]["names"]["plural"] == "inferenceservices":
            for version in crd["spec"]["versions"]:
                _open(version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])
    return crds


def _open(spec: dict[str, Any]) -> None:
    """Take the schemas of the parts away that nobody here sets."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for path, names in _LEFT_OPEN.items():
        part = spec
        for name in path:
            part = part[name]
        for name in names:
            lists = part[name]["type"] == "array"
            part[name] = {"type": "array", "items": anything} if lists else anything


def knative_crds() -> list[dict[str, Any]]:
    """Service of ``serving.knative.dev``.

    Raises
    ------
    GoError
        If it is not in the cache yet and cannot be fetched.
    """
    return _read(KNATIVE)


def argo_crds() -> list[dict[str, Any]]:
    """Workflow, without a schema for its fields.

    Raises
    ------
    GoError
        If it is not in the cache yet and cannot be fetched.
    """
    return _read(ARGO)


def install_crds(kubeconfig: Path, crds: Iterable[dict[str, Any]]) -> None:
    """Apply definitions on the server's side and wait until the server serves them all.

    Parameters
    ----------
    kubeconfig
        One that identifies its user by a token, as the control plane's does.
    """
    custom_resources.install(Rest.from_kubeconfig(kubeconfig), crds)


def _read(source: Source) -> list[dict[str, Any]]:
    folder = cache_folder() / "crds" / source.name
    kept_files = [folder / Path(file).name for file in source.files]
    if not all(map(kept, kept_files)):
        with locked(folder, print_progress):
            _fetch(source, folder)
    return [_parsed(file) for file in kept_files]


def _fetch(source: Source, folder: Path) -> None:
    module = Go.find().module(source.module, source.checksum)
    for file in source.files:
        keep(module / file, folder / Path(file).name)


def _parsed(file: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 2 MB take 8 s without the C one
    loaded: dict[str, Any] = yaml.load(file.read_text(), Loader=loader)  # noqa: S506 - a safe loader, either way
    return loaded
