"""The execution cache of KFP: outputs of earlier steps, by what went into them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kfp import dsl
from kfp.dsl import executor

Outputs = dict[str, Any]


class ExecutionCache:
    """Outputs by fingerprint, one folder per namespace.

    An entry points to the artifacts of the run that made them: a cached step has none under its own run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, namespace: str, key: str) -> Outputs | None:
        path = self._path(namespace, key)
        return load_outputs(path) if path.exists() else None

    def keep(self, namespace: str, key: str, outputs: Outputs) -> None:
        save_outputs(self._path(namespace, key), outputs)

    def _path(self, namespace: str, key: str) -> Path:
        return self._folder / namespace / f"{key}.json"


def fingerprint(component: dict[str, Any], container: dict[str, Any], arguments: dict[str, Any]) -> str:
    """What KFP's driver makes the key of: interface, image, command and inputs, not name or environment."""
    interface = {k: component.get(k) for k in ("inputDefinitions", "outputDefinitions")}
    what = {k: container.get(k) for k in ("image", "command", "args")}
    inputs = {name: _identity(value) for name, value in arguments.items()}
    text = json.dumps([interface, what, inputs], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(value: Any) -> Any:
    """An artifact is the one at its URI, which names the run that made it; anything else is its value."""
    if isinstance(value, dsl.Artifact):
        return ["artifact", value.uri]
    if isinstance(value, list):
        return [_identity(item) for item in value]
    return value


def save_outputs(path: Path, outputs: Outputs) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {name: _encode(value) for name, value in outputs.items()}
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps(document))
    fresh.replace(path)


def load_outputs(path: Path) -> Outputs:
    return {name: _decode(entry) for name, entry in json.loads(path.read_text()).items()}


def _encode(value: Any) -> dict[str, Any]:
    if not isinstance(value, dsl.Artifact):
        return {"value": value}
    kind = {"schemaTitle": value.schema_title, "schemaVersion": value.schema_version}
    return {"artifact": {"name": value.name, "uri": value.uri, "type": kind, "metadata": value.metadata}}


def _decode(entry: dict[str, Any]) -> Any:
    return executor.create_artifact_instance(entry["artifact"]) if "artifact" in entry else entry["value"]
