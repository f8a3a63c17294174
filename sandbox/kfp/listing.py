"""Lists: filter predicates, order and page tokens."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.kfp.answers import INVALID, KfpError, invalid

_PREFIX = "Failed to create list options"
_DEFAULT_PAGE, _MAX_PAGE = 20, 200
_SINGLE = ("string_value", "int_value", "long_value", "timestamp_value")
_LISTS = ("string_values", "int_values", "long_values")
_OPERATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUALS": lambda a, b: bool(a == b),
    "NOT_EQUALS": lambda a, b: bool(a != b),
    "GREATER_THAN": lambda a, b: bool(a > b),
    "GREATER_THAN_EQUALS": lambda a, b: bool(a >= b),
    "LESS_THAN": lambda a, b: bool(a < b),
    "LESS_THAN_EQUALS": lambda a, b: bool(a <= b),
    "IN": lambda a, b: a in b,
    "IS_SUBSTRING": lambda a, b: str(b) in str(a),
}

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes
    ----------
    total
        Rows that match, on all pages.
    token
        Of the next page, empty on the last.
    """

    rows: list[Any]
    total: int
    token: str

    def body(self, key: str, render: Callable[[Any], Any]) -> dict[str, Any]:
        """Empty values are left out, as protobuf's JSON does: no match gives `{}`."""
        whole = {
            key: [render(row) for row in self.rows],
            "total_size": self.total,
            "next_page_token": self.token,
        }
        return {name: value for name, value in whole.items() if value}


def page_of(rows: Sequence[Row], query: Mapping[str, str], fields: Mapping[str, str]) -> Page:
    """Filter, order and cut rows as a query asks.

    Parameters
    ----------
    fields
        Filter key to attribute of a row.
    """
    size = _page_size(query.get("page_size", ""))
    offset = _offset(query.get("page_token", ""))
    tests = _predicates(query.get("filter", ""), fields)
    found = [row for row in rows if all(test(row) for test in tests)]
    key, _, direction = query.get("sort_by", "").partition(" ")
    if key and key not in fields:
        raise invalid(f"Invalid sorting field: {key!r} on listable type").wrapped(_PREFIX)
    attribute = fields.get(key, "created_at")
    found.sort(key=lambda row: str(getattr(row, attribute)), reverse=direction.strip() == "desc")
    token = _token(offset + size) if offset + size < len(found) else ""
    return Page(list(found[offset : offset + size]), len(found), token)


def _page_size(text: str) -> int:
    size = int(text or 0)
    if size < 0:
        raise invalid(f"The page size should be greater than 0. Got {size}").wrapped(_PREFIX)
    return min(size or _DEFAULT_PAGE, _MAX_PAGE)


def _token(offset: int) -> str:
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def _offset(token: str) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.b64decode(token, validate=True))["offset"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        text = "Invalid page token"
        message = f"{_PREFIX}: InvalidInputError: {text}: illegal base64 data at input byte 0"
        raise KfpError(INVALID, message, text) from error


def _predicates(text: str, fields: Mapping[str, str]) -> list[Callable[[Any], bool]]:
    if not text:
        return []
    try:
        predicates = json.loads(text).get("predicates") or []
    except (ValueError, AttributeError) as error:
        raise invalid(f"failed to parse valid filter from {text!r}").wrapped(_PREFIX) from error
    return [_predicate(predicate, fields) for predicate in predicates]


def _predicate(predicate: Mapping[str, Any], fields: Mapping[str, str]) -> Callable[[Any], bool]:
    key = str(predicate.get("key", ""))
    if key not in fields:
        raise invalid(f'no support for filtering on unrecognized field "{key}"').wrapped(_PREFIX)
    operation = _OPERATIONS.get(str(predicate.get("operation", "")))
    value = _value({_snake(name): item for name, item in predicate.items()})
    if operation is None or value is None:
        raise invalid(f"invalid predicate {json.dumps(dict(predicate))}").wrapped(_PREFIX)
    attribute = fields[key]
    return lambda row: operation(getattr(row, attribute), value)


def _value(predicate: Mapping[str, Any]) -> Any:
    for name in _SINGLE:
        if name in predicate:
            return predicate[name]
    for name in _LISTS:
        if name in predicate:
            return (predicate[name] or {}).get("values") or []
    return None


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
