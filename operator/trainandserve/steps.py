"""Which step of the pipeline a pod belongs to, as Argo and Kubeflow Pipelines name them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NODE_NAME = "workflows.argoproj.io/node-name"


def step_of(pod: Mapping[str, Any]) -> str:
    """The pipeline's step that a pod belongs to, from the path of its node: ``…root.train.executor``."""
    parts = [part.split("(")[0] for part in _path(pod).split(".")]
    inner = [part for part in parts[1:] if part not in ("root", "executor", "root-driver")]
    return inner[-1].removesuffix("-driver") if inner else str(pod["metadata"]["name"])


def is_executor(pod: Mapping[str, Any]) -> bool:
    """Whether the pod runs the step's own container; drivers run before it."""
    return "driver" not in _path(pod).rsplit(".", 1)[-1]


def _path(pod: Mapping[str, Any]) -> str:
    found: str = (pod["metadata"].get("annotations") or {}).get(NODE_NAME, "")
    return found
