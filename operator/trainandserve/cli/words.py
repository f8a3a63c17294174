"""Times, marks and bounds as people read them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..resource import Check, Measured


@dataclass(frozen=True)
class Marks:
    """Signs beside a word; never the only bearer of a meaning."""

    good: str = "✓"
    bad: str = "✗"
    busy: str = "●"
    then: str = "→"
    least: str = "≥"
    most: str = "≤"

    @classmethod
    def of(cls, encoding: str) -> Marks:
        """Those that an output of this encoding can carry."""
        try:
            "".join(vars(cls()).values()).encode(encoding)
        except (LookupError, UnicodeEncodeError):
            return cls("+", "x", "*", "->", ">=", "<=")
        return cls()


def span(value: timedelta) -> str:
    """A length of time in one or two units: 41s, 5m10s, 3h2m, 4d."""
    whole = max(0, int(value.total_seconds()))
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if whole < 60:
        return f"{whole}s"
    if not hours:
        return f"{minutes}m{seconds}s" if seconds else f"{minutes}m"
    if hours < 48:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    return f"{hours // 24}d"


def moment(at: datetime) -> str:
    """A time in the zone of Kubernetes: UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def when(at: datetime, now: datetime) -> str:
    """A time as seen from now: ``in 12s``, ``4m ago``."""
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def number(value: float | None) -> str:
    """A metric's value in six digits; ``-`` where there is none."""
    return "-" if value is None else f"{value:.6g}"


def bounds(check: Check | Measured, marks: Marks) -> str:
    """What a metric, or what was measured, had to reach, in signs."""
    parts = [
        f"{marks.least} {check.min:.12g}" if check.min is not None else "",
        f"{marks.most} {check.max:.12g}" if check.max is not None else "",
    ]
    if isinstance(check, Check) and check.max_regression is not None:
        parts.append(f"regression {marks.most} {check.max_regression:.12g}")
    return ", ".join(part for part in parts if part) or "-"


def short_digest(digest: str | None) -> str:
    """The first 8 characters of a digest, without the name of the method."""
    return (digest or "").removeprefix("sha256:")[:8] or "-"
