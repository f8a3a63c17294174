"""Who else keeps a resource: Argo CD and Flux take back what is changed beside Git. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_ARGO_ANNOTATION = "argocd.argoproj.io/tracking-id"
_ARGO_LABELS = ("argocd.argoproj.io/instance", "app.kubernetes.io/instance")
_ARGO_MANAGERS = ("argocd-controller", "argocd-application-controller")
_FLUX = {"kustomize.toolkit.fluxcd.io": "Kustomization", "helm.toolkit.fluxcd.io": "HelmRelease"}


@dataclass(frozen=True)
class Keeper:
    """What keeps a resource as Git says: ``Argo CD``, ``Application models``."""

    tool: str
    owner: str

    def __str__(self) -> str:
        return f"{self.tool} ({self.owner})"


def keeper(body: Mapping[str, Any]) -> Keeper | None:
    """Who keeps this resource; None where nobody does, or it was told not to."""
    return _flux(body) or _argo(body)


def _flux(body: Mapping[str, Any]) -> Keeper | None:
    labels, annotations = _labels(body), _annotations(body)
    for group, kind in _FLUX.items():
        name = labels.get(f"{group}/name")
        if name and annotations.get(f"{group}/reconcile") != "disabled":
            return Keeper("Flux", f"{kind} {labels.get(f'{group}/namespace', '')}/{name}".replace(" /", " "))
    return None


def _argo(body: Mapping[str, Any]) -> Keeper | None:
    """By the tracking annotation, or by the label where Argo CD itself wrote the object.

    The label alone says nothing: Helm's charts carry ``app.kubernetes.io/instance`` too.
    """
    if tracked := _annotations(body).get(_ARGO_ANNOTATION):
        return Keeper("Argo CD", f"Application {tracked.split(':')[0]}")
    labels = _labels(body)
    if owner := labels.get(_ARGO_LABELS[0]):
        return Keeper("Argo CD", f"Application {owner}")
    owner = labels.get(_ARGO_LABELS[1])
    return Keeper("Argo CD", f"Application {owner}") if owner and _written_by_argo(body) else None


def _written_by_argo(body: Mapping[str, Any]) -> bool:
    entries = body.get("metadata", {}).get("managedFields") or ()
    return any(entry.get("manager") in _ARGO_MANAGERS for entry in entries)


def _labels(body: Mapping[str, Any]) -> Mapping[str, str]:
    return body.get("metadata", {}).get("labels") or {}


def _annotations(body: Mapping[str, Any]) -> Mapping[str, str]:
    return body.get("metadata", {}).get("annotations") or {}


def for_git(patch: Mapping[str, Any]) -> str:
    """A change as the lines for the manifest in Git; what the change takes away stands as a comment."""
    kept, gone = _split(patch)
    text = yaml.safe_dump(kept, sort_keys=False, default_flow_style=False, width=1000) if kept else ""
    return text + "".join(f"# take away: {path}\n" for path in gone)


def _split(patch: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Any], list[str]]:
    kept: dict[str, Any] = {}
    gone: list[str] = []
    for name, value in patch.items():
        path = f"{prefix}{name}"
        if value is None:
            gone.append(path)
        elif isinstance(value, Mapping):
            inner, taken = _split(value, f"{path}.")
            gone += taken
            if inner:
                kept[name] = inner
        else:
            kept[name] = value
    return kept, gone
