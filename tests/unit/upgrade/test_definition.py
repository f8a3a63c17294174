"""The definition takes all that a definition of an earlier release took."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.upgrade.narrowing import narrowed, narrowed_schema
from tests.unit.upgrade.stored import RELEASES
from trainandserve import crd


def released(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


@pytest.mark.parametrize(
    "file", sorted(RELEASES.glob("*/trainandserves.yaml")), ids=lambda file: file.parent.name
)
def test_the_definition_takes_what_an_earlier_release_took(file: Path) -> None:
    assert narrowed(released(file), crd.definition()) == []


def test_there_is_an_earlier_release() -> None:
    assert list(RELEASES.glob("*/trainandserves.yaml"))


# --- The comparison itself ----------------------------------------------------------------------------------------

RULE = "x-kubernetes-validations"
Change = tuple[dict[str, Any], dict[str, Any]]

NARROWER: dict[str, Change] = {
    "another type": ({"type": "number"}, {"type": "integer"}),
    "a value is gone": ({"enum": ["a", "b"]}, {"enum": ["a"]}),
    "values that were free": ({"type": "string"}, {"type": "string", "enum": ["a"]}),
    "a lower limit of length": ({"maxLength": 10}, {"maxLength": 9}),
    "a limit that was not there": ({"type": "string"}, {"type": "string", "maxLength": 9}),
    "a higher least value": ({"minimum": 0}, {"minimum": 1}),
    "fewer items": ({"maxItems": 3}, {"maxItems": 2}),
    "a pattern": ({"type": "string"}, {"type": "string", "pattern": "a"}),
    "another pattern": ({"pattern": "a"}, {"pattern": "b"}),
    "no null any more": ({"nullable": True}, {}),
    "unknown fields are dropped": ({"x-kubernetes-preserve-unknown-fields": True}, {}),
    "a field is gone": ({"properties": {"a": {}}}, {"properties": {}}),
    "a field must be": (
        {"properties": {"a": {}}},
        {"properties": {"a": {}, "b": {}}, "required": ["b"]},
    ),
    "a field inside is narrower": (
        {"properties": {"a": {"items": {"maxLength": 2}}}},
        {"properties": {"a": {"items": {"maxLength": 1}}}},
    ),
    "a map's values are narrower": (
        {"additionalProperties": {"type": "string"}},
        {"additionalProperties": {"type": "integer"}},
    ),
    "a rule came": ({}, {RULE: [{"rule": "self.a > 1"}]}),
    "a rule about a field that was there": (
        {"properties": {"a": {}}},
        {"properties": {"a": {}}, RULE: [{"rule": "!has(self.a) || self.a > 1"}]},
    ),
    "a list is a map of others": (
        {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
    "a default came": ({"type": "string"}, {"type": "string", "default": "a"}),
}

WIDER: dict[str, Change] = {
    "a field came": ({"properties": {"a": {}}}, {"properties": {"a": {}, "b": {}}}),
    "a value came": ({"enum": ["a"]}, {"enum": ["a", "b"]}),
    "values are free": ({"enum": ["a"]}, {}),
    "any number": ({"type": "integer"}, {"type": "number"}),
    "a higher limit": ({"maxLength": 9}, {"maxLength": 10}),
    "no limit": ({"maxLength": 9}, {}),
    "a field need not be": ({"required": ["a"]}, {}),
    "a rule is gone": ({RULE: [{"rule": "self.a > 1"}]}, {}),
    "a rule about a field that came": (
        {"properties": {"a": {}}},
        {"properties": {"a": {}, "b": {}}, RULE: [{"rule": "!has(self.b) || has(self.a)"}]},
    ),
    "another description": ({"description": "a"}, {"description": "b"}),
}


@pytest.mark.parametrize(("old", "new"), NARROWER.values(), ids=list(NARROWER))
def test_what_is_narrower_is_found(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert len(list(narrowed_schema(old, new))) == 1


@pytest.mark.parametrize(("old", "new"), WIDER.values(), ids=list(WIDER))
def test_what_is_wider_is_fine(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert list(narrowed_schema(old, new)) == []


def _drop_column(spec: dict[str, Any]) -> None:
    spec["versions"][0]["additionalPrinterColumns"].pop(0)


def _drop_short_name(spec: dict[str, Any]) -> None:
    spec["names"]["shortNames"] = []


def _rename_version(spec: dict[str, Any]) -> None:
    spec["versions"][0]["name"] = "v1"


def _no_status(spec: dict[str, Any]) -> None:
    spec["versions"][0]["subresources"] = {}


@pytest.mark.parametrize("change", [_drop_column, _drop_short_name, _rename_version, _no_status])
def test_what_people_and_tools_know_a_resource_by_stays(change: Callable[[dict[str, Any]], None]) -> None:
    now = copy.deepcopy(crd.definition())
    change(now["spec"])
    assert len(narrowed(crd.definition(), now)) == 1
