"""What an apply of a file would make of the live object: the same request that would be sent, for a dry run. Pure.

Whoever applied last decides which fields an apply takes away: kubectl's client side by its annotation, server-side apply by
who owns them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"


@dataclass(frozen=True)
class Application:
    """An apply, as the API server is asked for it: a merge patch, or a server-side apply as its manager."""

    body: Json
    manager: str | None
    """None: a merge patch."""


def application(new: Json, live: Json | None) -> Application:
    """How this file would be applied over what is there."""
    if live is None:
        return Application(new, _KUBECTL)
    metadata = live.get("metadata", {})
    last = (metadata.get("annotations") or {}).get(LAST_APPLIED)
    if last:
        return Application(three_way(_parsed(last), new), None)
    manager = _applied_by(metadata.get("managedFields") or ())
    return Application(new, manager) if manager else Application(new, None)


def _parsed(text: str) -> Json:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _applied_by(entries: Any) -> str | None:
    for entry in entries:
        if entry.get("operation") == "Apply" and "f:spec" in (entry.get("fieldsV1") or {}):
            return str(entry["manager"])
    return None


def three_way(last: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    """The merge patch of `kubectl apply`: all of the new, and what was in the last and is not any more taken away."""
    patch: Json = {name: None for name in last if name not in new}
    for name, value in new.items():
        before = last.get(name)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        patch[name] = three_way(before, value) if both else value  # type: ignore[arg-type]
    return patch
