"""Tables and events as kubectl prints them, for machines without kubectl. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
"""What to accept, so that the API server answers with the columns that the definition names."""


def render(table: Mapping[str, Any]) -> str:
    """Print a Table of the API server as `kubectl get` does: the columns of priority 0, three blanks between."""
    shown = [i for i, column in enumerate(table["columnDefinitions"]) if not column.get("priority")]
    if not table.get("rows"):
        return "No resources found"
    heads = [table["columnDefinitions"][i]["name"].upper() for i in shown]
    rows = [["" if row["cells"][i] is None else str(row["cells"][i]) for i in shown] for row in table["rows"]]
    return aligned([heads, *rows], gap=3, least=6)


def events(found: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """Print events, oldest first, as `kubectl describe` does below an object."""
    ordered = sorted(found, key=lambda event: (event["lastTimestamp"], event["metadata"]["resourceVersion"]))
    rows = [["Type", "Reason", "Age", "From", "Message"], ["----", "------", "----", "----", "-------"]]
    for event in ordered:
        since = now - datetime.fromisoformat(event["lastTimestamp"])
        source = event.get("source", {}).get("component", "")
        rows.append([event["type"], event["reason"], age(since.total_seconds()), source, event["message"]])
    return "\n".join(f"  {line}" for line in aligned(rows, gap=2).splitlines()) if found else "  <none>"


def aligned(rows: Sequence[Sequence[str]], gap: int, least: int = 0) -> str:
    """Align columns to the left, `gap` blanks apart and at least `least` characters wide with them."""
    widths = [max(least, gap + max(map(len, column))) for column in zip(*rows, strict=True)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def age(seconds: float) -> str:
    """Write a duration in seconds with one or two units, roughly as kubectl does: 64s, 5m10s, 3h2m, 4d."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 48 * 60 else f"{minutes // 1440}d"


def now() -> datetime:
    return datetime.now(UTC)
