"""Text and numbers as a page shows them. Whatever comes from users goes through `safe`."""

import html
import math
from typing import Any

_PERCENT = ("accuracy", "macro_f1", "precision", "recall", "f1", "auc", "calibration_error")
_LOWER_IS_BETTER = ("loss", "calibration_error", "latency_ms", "latency_p95_ms")
_TITLES = {
    "accuracy": "Accuracy",
    "loss": "Loss",
    "precision": "Precision",
    "recall": "Recall",
    "macro_f1": "Macro F1",
    "calibration_error": "Calibration error",
    "latency_ms": "Latency, median",
    "latency_p95_ms": "Latency, 95th percentile",
}


def safe(value: Any) -> str:
    """Return `value` as text that is only text in a page, also inside an attribute; control characters left out."""
    text = "".join(
        letter if letter.isprintable() or letter == " " else "\N{REPLACEMENT CHARACTER}"
        for letter in str(value)
    )
    return html.escape(text, quote=True)


def cut(text: str, length: int) -> str:
    """Return `text`, shortened to `length` letters; escape it afterwards."""
    return text if len(text) <= length else text[: length - 1] + "…"


def title(metric: str) -> str:
    """Return the name of a metric as a heading."""
    return safe(_TITLES.get(metric, metric))


def number(metric: str, value: Any) -> str:
    """Return a metric's value with its unit; a dash for none."""
    if not is_number(value):
        return "–"
    if metric.removesuffix("Interval") in _PERCENT:
        return f"{100 * value:.2f}\N{NO-BREAK SPACE}%"
    return f"{value:.2f}\N{NO-BREAK SPACE}ms" if metric.endswith("_ms") else plain(value)


def difference(metric: str, value: Any) -> str:
    """Return a difference of two values with its sign."""
    if not is_number(value):
        return "–"
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else "±"
    size = abs(value)
    if metric in _PERCENT:
        return f"{sign}{100 * size:.2f}\N{NO-BREAK SPACE}points"
    return sign + (f"{size:.2f}\N{NO-BREAK SPACE}ms" if metric.endswith("_ms") else plain(size))


def interval(metric: str, ends: Any, of_difference: bool = False) -> str:
    """Return a confidence interval as "low … high", nothing for none."""
    if not ends or not all(is_number(end) for end in ends):
        return ""
    shown = [(difference if of_difference else number)(metric, end) for end in ends]
    unit = next(
        (
            unit
            for unit in ("\N{NO-BREAK SPACE}points", "\N{NO-BREAK SPACE}%", "\N{NO-BREAK SPACE}ms")
            if shown[1].endswith(unit)
        ),
        "",
    )
    return f"{shown[0].removesuffix(unit)} … {shown[1]}"


def plain(value: float) -> str:
    """Return a number without a unit."""
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"
    return f"{value:.3g}"


def is_number(value: Any) -> bool:
    """Tell whether a value out of JSON is a number to show."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def direction(metric: str) -> int:
    """Return 1 where more is better, -1 where less is, 0 where nobody knows."""
    if metric in _LOWER_IS_BETTER:
        return -1
    return 1 if metric in _PERCENT else 0


def bytes_(count: Any) -> str:
    """Return a number of bytes as people say it."""
    if not is_number(count):
        return "–"
    size, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
