"""The record of a version: what `status.history` says of it, and what its result says of how it was made, as a file.

It lies beside the model (``<prefix>version.json``), not under it: the model server reads none of it. The names are those of
the status, so that who knows one knows the other. The operator reads it back when a status was lost.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import JsonValue, ValidationError
from pydantic_core import from_json

from .resource import HistoryEntry, TrainAndServe

NAME = "version.json"
SCHEMA_VERSION = 1

_OF_DATA = ("uri", "digest", "objects", "bytes")


def version_record(resource: TrainAndServe, entry: HistoryEntry, result: bytes) -> bytes:
    """The file.

    Parameters
    ----------
    result
        The version's result file, checked before.
    """
    told: dict[str, Any] = from_json(result)
    whole: dict[str, JsonValue] = {
        "schemaVersion": SCHEMA_VERSION,
        "uid": resource.metadata.uid,
        "namespace": resource.metadata.namespace,
        "name": resource.metadata.name,
        **entry.changed(recorded=None).dump(),
        "manifestDigest": _digest(told.get("manifest")),
        "training": _training(told.get("lineage") or {}),
    }
    for name in ("data", "evaluationData"):
        found = {key: value for key, value in (told.get(name) or {}).items() if key in _OF_DATA}
        if found:
            whole[name] = found
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _training(lineage: dict[str, Any]) -> dict[str, Any]:
    """What made the model, as the trainer said it; the image's digest apart, where the image was named by one."""
    image, _, digest = str(lineage.get("image") or "").partition("@")
    return {**lineage, "imageDigest": digest} if image and digest else dict(lineage)


def _digest(value: Any) -> str:
    """SHA-256 of a JSON value in its one shortest form, keys in order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def read_record(data: bytes, *, uid: str, version: int, run_id: str) -> HistoryEntry | None:
    """What a record says of a version; None where it is none of this version's, or not to be read."""
    try:
        told = from_json(data, allow_inf_nan=False)
        if (
            not isinstance(told, dict)
            or told.get("schemaVersion") != SCHEMA_VERSION
            or told.get("uid") != uid
        ):
            return None
        entry = HistoryEntry.model_validate(told)
    except (ValidationError, ValueError):
        return None
    return entry if (entry.version, entry.run_id) == (version, run_id) else None


def owner_of(data: bytes) -> tuple[str, str] | None:
    """The resource's uid and the run that a result or a record names; None where it names none."""
    try:
        told = from_json(data)
    except ValueError:
        return None
    uid, run_id = (told.get("uid"), told.get("runId")) if isinstance(told, dict) else (None, None)
    return (uid, run_id) if isinstance(uid, str) and isinstance(run_id, str) else None
