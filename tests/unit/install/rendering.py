"""The manifests as an administrator's tools make them."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.unit.install.gotools import KUSTOMIZE, on_path

ROOT = Path(__file__).parents[3]
MANIFESTS = ROOT / "manifests"
OVERLAYS = ("cluster-wide", "single-namespace", "single-user")

Json = dict[str, Any]


@functools.cache
def _kustomize(folder: Path) -> str:
    if kubectl := on_path("kubectl"):
        command = [kubectl, "kustomize", folder]
    else:
        command = [on_path("kustomize") or KUSTOMIZE.needed(), "build", folder]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def kustomize(folder: Path) -> list[Json]:
    """The objects of a kustomization."""
    return [body for body in yaml.safe_load_all(_kustomize(folder)) if body]


def overlay(name: str) -> list[Json]:
    """The objects of one of the overlays."""
    return kustomize(MANIFESTS / "overlays" / name)


def of_kind(objects: list[Json], *kinds: str) -> list[Json]:
    return [body for body in objects if body["kind"] in kinds]


def only(objects: list[Json], kind: str, name: str | None = None) -> Json:
    """The one object of that kind (and name)."""
    (found,) = [one for one in of_kind(objects, kind) if name in (None, one["metadata"]["name"])]
    return found
