"""What of an older definition a newer one does not take any more. Additions are none of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_UPPER = ("maxLength", "maxItems", "maxProperties", "maximum")
_LOWER = ("minLength", "minItems", "minProperties", "minimum")
_FREER = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string", "nullable")
"""True allows more."""
_SAME = (
    "pattern",
    "format",
    "multipleOf",
    "uniqueItems",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "not",
    "allOf",
    "anyOf",
    "oneOf",
    "default",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)
"""Restrictions and meanings that nobody compares: as they were, or (a restriction) gone."""
_MEANINGS = (*(word for word in _SAME if word.startswith("x-kubernetes")), "default")


def narrowed(old: Schema, new: Schema) -> list[str]:
    """What definitions of custom resources differ in to the harm of what the older one stored; empty if in nothing."""
    return list(_definition(old["spec"], new["spec"]))


def _definition(old: Schema, new: Schema) -> Iterator[str]:
    for word in ("group", "scope"):
        if old[word] != new[word]:
            yield f"{word} was {old[word]}"
    for word, name in old["names"].items():
        lost = set(name) - set(new["names"].get(word, ())) if isinstance(name, list) else None
        if lost or (lost is None and new["names"].get(word) != name):
            yield f"names.{word} was {name}"
    versions = {one["name"]: one for one in new["versions"]}
    for one in old["versions"]:
        if one["name"] not in versions:
            yield f"version {one['name']} is gone"
        else:
            yield from _version(one, versions[one["name"]])


def _version(old: Schema, new: Schema) -> Iterator[str]:
    if old["served"] and not new["served"]:
        yield f"version {old['name']} is not served"
    if set(old.get("subresources", ())) - set(new.get("subresources", ())):
        yield "a subresource is gone"
    columns = {(one["name"], one["jsonPath"]) for one in new.get("additionalPrinterColumns", ())}
    for one in old.get("additionalPrinterColumns", ()):
        if (one["name"], one["jsonPath"]) not in columns:
            yield f"column {one['name']} is gone, or shows something else"
    yield from narrowed_schema(old["schema"]["openAPIV3Schema"], new["schema"]["openAPIV3Schema"])


def narrowed_schema(old: Schema, new: Schema, path: str = "") -> Iterator[str]:
    """The same of two schemas; `path` is where they are."""
    where = path or "the object"
    if old.get("type") != new.get("type") and (old.get("type"), new.get("type")) != ("integer", "number"):
        yield f"{where}: the type was {old.get('type')}"
    yield from _values(old, new, where)
    yield from _rules(old, new, where)
    yield from _fields(old, new, path)
    for part, sign in (("items", "[]"), ("additionalProperties", "{}")):
        before, now = old.get(part), new.get(part)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from narrowed_schema(before, now, f"{path}{sign}")
        elif before != now and before is not None:
            yield f"{where}: {part} was otherwise"


def _values(old: Schema, new: Schema, where: str) -> Iterator[str]:
    if "enum" in new and ("enum" not in old or set(old["enum"]) - set(new["enum"])):
        yield f"{where}: values were {old.get('enum', 'free')}"
    for word in _UPPER:
        if word in new and (word not in old or new[word] < old[word]):
            yield f"{where}: {word} was {old.get(word, 'none')}"
    for word in _LOWER:
        if word in new and (word not in old or new[word] > old[word]):
            yield f"{where}: {word} was {old.get(word, 'none')}"
    for word in _FREER:
        if old.get(word) and not new.get(word):
            yield f"{where}: {word} is gone"
    for word in _SAME:
        if old.get(word) != new.get(word) and (word in new or word in _MEANINGS):
            yield f"{where}: {word} was {old.get(word, 'none')}"


def _rules(old: Schema, new: Schema, where: str) -> Iterator[str]:
    """A rule that came may refuse what is stored, unless it speaks only where a field is set that nothing stored can have."""
    known = {one["rule"] for one in old.get("x-kubernetes-validations", ())}
    for one in new.get("x-kubernetes-validations", ()):
        asked = set(re.findall(r"!has\(self\.(\w+)\)", one["rule"]))
        if one["rule"] not in known and not asked - set(old.get("properties", ())):
            yield f"{where}: a rule came: {one['rule']}"


def _fields(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{_join(path, name)}: is required now"
    fields = new.get("properties", {})
    for name, before in old.get("properties", {}).items():
        if name not in fields:
            yield f"{_join(path, name)}: is gone"
        else:
            yield from narrowed_schema(before, fields[name], _join(path, name))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
