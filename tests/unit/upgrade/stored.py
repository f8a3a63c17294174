"""What an earlier release stored, and what of it is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

RELEASES = Path(__file__).parents[2] / "data" / "releases"
NO_FACTS = ("message", "resourceVersion", "managedFields")
"""Words for people, and what the API server writes with each change."""


def recording(release: str) -> Json:
    """The objects of a release."""
    found: Json = json.loads((RELEASES / release / "objects.json").read_text())
    return found


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """What is not there any more, or is otherwise. What came is none of it."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() - NO_FACTS):
            yield from lost(before[key], after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}.{number}")
    elif before != after:
        yield f"{path}: was {before}, is {after}"
