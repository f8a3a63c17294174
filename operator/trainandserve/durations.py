"""Durations as the resource writes them: ``30s``, ``5m``, ``1h30m``."""

from __future__ import annotations

import re
from datetime import timedelta

_FORM = re.compile(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")


def parse_duration(text: str) -> timedelta:
    """Read a duration.

    Raises
    ------
    ValueError
        The text is no duration above zero; the message says what to write.
    """
    match = _FORM.fullmatch(text)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    value = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if not value:
        raise ValueError(
            f"{text!r} is no duration: write hours, minutes and seconds, like 30s, 5m, 2h or 1h30m"
        )
    return value


def format_duration(value: timedelta) -> str:
    """Write a duration the way it is read, as ``90m`` is read like ``1h30m``; fractions of a second are dropped."""
    minutes, seconds = divmod(int(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
