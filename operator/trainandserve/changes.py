"""Which fields are not what they were, and what each of them means: field by field what the three hashes say as a whole. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .hashes import digest, retrain_token
from .names import RETRAIN
from .resource import Change, TrainAndServe

RETRAIN_FIELD = f"metadata.annotations[{RETRAIN}]"

EVALUATION_FIELD = "evaluation.data.uri"
"""What the newest version is evaluated on; alone, it makes no other model."""

_TRAINING = ("data.uri", "training.image", "training.entrypoint", "training.packages")
_PARAMETERS = "training.parameters."
_NOT_JUDGED = "evaluation.data."
_NOT_SERVED = ("serving.deletionPolicy", "serving.pinnedVersion")
_ROLLOUT = "serving.rollout"
_NAMES = ("name", "query")
"""What the things in a list are called by, where they have names."""
_LONGEST = 80


def meaning(field: str) -> str:
    """What a field is about: training, evaluation (which the hash of the training holds as well), gate, serving, or none."""
    if field == EVALUATION_FIELD:
        return "evaluation"
    if field in (*_TRAINING, RETRAIN_FIELD) or field.startswith(_PARAMETERS):
        return "training"
    if field.startswith("evaluation.") and not field.startswith(_NOT_JUDGED):
        return "gate"
    if field in _NOT_SERVED or field.startswith(_ROLLOUT):
        return "none"
    if field == "storage.secretName" or field.startswith("serving."):
        return "serving"
    return "none"


def fields(resource: TrainAndServe) -> dict[str, str]:
    """Every field that the user set, by its path below ``spec``, with its value in at most 80 characters; the retrain token too."""
    found = {path: _shown(value) for path, value in _walk(resource.spec.as_set(), "")}
    if token := retrain_token(resource):
        found[RETRAIN_FIELD] = _shown(token)
    return found


def training_fields(resource: TrainAndServe) -> dict[str, str]:
    """Those of them that make a version: the model, and what it is evaluated on."""
    return {
        path: value for path, value in fields(resource).items() if meaning(path) in ("training", "evaluation")
    }


def between(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """The fields that differ, in the order of their paths."""
    return [
        Change(field=path, hash=meaning(path), before=before.get(path), after=after.get(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


def said(changes: list[Change], most: int = 3) -> str:
    """The changes in words: ``training.parameters.epochs 10 -> 20 and 2 more``."""
    words = [f"{one.field} {one.before or 'absent'} -> {one.after or 'absent'}" for one in changes[:most]]
    more = len(changes) - most
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            # A parameter's value is the user's own, whatever its form.
            deeper = isinstance(inner, Mapping | list) and not path.startswith(_PARAMETERS[:-1])
            here = f"{path}.{name}".lstrip(".")
            yield from _walk(inner, here) if deeper else ((here, inner),)
    elif isinstance(value, list) and (key := _named_by(value)):
        for one in value:
            named = {name: inner for name, inner in one.items() if name != key}
            yield from _walk(named, f"{path}[{one[key]}]")
    else:
        yield path, value


def _named_by(values: list[Any]) -> str | None:
    """The key by which the things in a list have names; None where they have none."""
    keys = (key for key in _NAMES if all(isinstance(one, Mapping) and key in one for one in values))
    return next(keys, None) if values else None


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    # Two long values that begin alike are still two.
    return text if len(text) <= _LONGEST else f"{text[:48]}… (sha256 {digest(value)})"
