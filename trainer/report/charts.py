"""Drawings as SVG: lines in a frame, and a confusion matrix. No scripts; colours come from the page's style."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.report.text import cut, safe

_WIDTH, _HEIGHT = 400, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 36
_NAMED = 30  # classes up to which a confusion matrix has names at its sides
_COUNTED = 12  # and up to which counts stand in its cells


@dataclass(frozen=True)
class Line:
    """A curve: where it goes, its name in the legend (none: not there), and how it is drawn."""

    points: Sequence[tuple[float, float]]
    name: str = ""
    look: str = "candidate"
    dots: bool = False


@dataclass(frozen=True)
class Frame:
    """The axes of a drawing; bounds that are not given are the data's."""

    across: str
    up: str
    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None
    diagonal: bool = False
    ticks: Sequence[float] = field(default_factory=tuple)


def lines(label: str, frame: Frame, curves: Sequence[Line]) -> str:
    """Return a drawing of curves and its legend; nothing where there is nothing to draw."""
    points = [point for curve in curves for point in curve.points]
    if not points:
        return ""
    x = frame.x or _bounds([point[0] for point in points], 0.0)
    y = frame.y or _bounds([point[1] for point in points], 0.05)
    place = _Place(x, y)
    frame_of = f'x="{_LEFT}" y="{_TOP - 2}" width="{_WIDTH - _LEFT - _RIGHT + 2}" height="{_HEIGHT - _TOP - _BOTTOM + 4}"'
    parts = [
        f'<clipPath id="inside"><rect {frame_of}/></clipPath>',
        *_axes(frame, place),
        '<g clip-path="url(#inside)">',
    ]
    if frame.diagonal:
        parts.append(f'<path class="curve chance" d="{_path([place(x[0], y[0]), place(x[1], y[1])])}"/>')
    dots = []  # outside of the clip: one on an axis is drawn whole
    for curve in curves:
        at = [place(*point) for point in curve.points]
        parts.append(f'<path class="curve {curve.look}" d="{_path(at)}"/>')
        if curve.dots or len(at) == 1:
            second = " second" if curve.look == "incumbent" else ""
            inside = [spot for point, spot in zip(curve.points, at, strict=True) if place.holds(*point)]
            dots += [f'<circle class="dot{second}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in inside]
    drawing = _svg(label, _WIDTH, _HEIGHT, [*parts, "</g>", *dots], "plot")
    return drawing + _legend(curves)


@dataclass(frozen=True)
class _Place:
    """From values to the drawing's coordinates."""

    x: tuple[float, float]
    y: tuple[float, float]

    def __call__(self, across: float, up: float) -> tuple[float, float]:
        right = (across - self.x[0]) / (self.x[1] - self.x[0])
        above = (up - self.y[0]) / (self.y[1] - self.y[0])
        return (
            _LEFT + right * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - above * (_HEIGHT - _TOP - _BOTTOM),
        )

    def holds(self, across: float, up: float) -> bool:
        """Tell whether a point lies within the frame."""
        return self.x[0] <= across <= self.x[1] and self.y[0] <= up <= self.y[1]


def _bounds(values: Sequence[float], margin: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    around = (high - low) * margin or (0.0 if high > low else max(abs(high), 1.0) * 0.5)
    return low - around, high + around


def _axes(frame: Frame, place: _Place) -> list[str]:
    parts = []
    for value in frame.ticks or _ticks(*place.y):
        _, y = place(place.x[0], value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    for value in frame.ticks or _ticks(*place.x):
        x, _ = place(value, place.y[0])
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{_short(value)}</text>')
    bottom = _HEIGHT - _BOTTOM
    parts.append(f'<path class="axis" fill="none" d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}"/>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 4}" text-anchor="middle">{safe(frame.across)}</text>')
    aside = (_TOP + bottom) / 2
    turned = f'transform="rotate(-90 10 {aside})"'
    parts.append(f'<text x="10" y="{aside}" text-anchor="middle" {turned}>{safe(frame.up)}</text>')
    return parts


def _ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) between two bounds."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _short(value: float) -> str:
    return f"{value:.4g}" if value else "0"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _svg(label: str, width: float, height: float, parts: Sequence[str], kind: str) -> str:
    begin = f'<svg class="{kind}" role="img" aria-label="{safe(label)}" viewBox="0 0 {width:g} {height:g}">'
    return begin + "".join(parts) + "</svg>"


def _legend(curves: Sequence[Line]) -> str:
    # Drawn last is on top, and is what to look at first.
    named = [curve for curve in reversed(curves) if curve.name]
    items = "".join(
        f'<li><svg viewBox="0 0 24 8" aria-hidden="true"><path class="curve {curve.look}" d="M0 4H24"/></svg>{safe(curve.name)}</li>'
        for curve in named
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


def matrix(label: str, found: dict[str, Any]) -> str:
    """Return a confusion matrix: right answers in one colour, wrong in another, stronger for more of the row."""
    names, counts = found["names"], found["matrix"]
    size, named = len(names), len(names) <= _NAMED
    letters = max((len(cut(name, 14)) for name in names), default=0) if named else 0
    margin = max(32.0, 26 + 6.9 * min(letters, 14)) if named else 22.0
    cell = (_WIDTH - margin - 4) / max(size, 1)
    parts = []
    for row, line in enumerate(counts):
        total = sum(line) or 1
        for column, count in enumerate(line):
            if count:
                corner = (margin + column * cell, 4 + row * cell)
                spoken = f"{count} of {total} of {names[row]} taken for {names[column]}"
                parts.append(_cell(corner, cell, count, count / total, row == column, spoken, size))
    side = size * cell
    parts.append(f'<path class="axis" fill="none" d="M{margin:g} 4h{side:.1f}v{side:.1f}h-{side:.1f}z"/>')
    if named:
        parts += _names(names, margin, cell)
    height = side + 4 + margin
    parts.append(
        f'<text x="{margin + side / 2:.1f}" y="{height - 3:.1f}" text-anchor="middle">predicted</text>'
    )
    parts.append(
        f'<text x="9" y="{4 + side / 2:.1f}" text-anchor="middle" transform="rotate(-90 9 {4 + side / 2:.1f})">actual</text>'
    )
    return _svg(label, _WIDTH, height, parts, "plot matrix")


def _cell(
    corner: tuple[float, float], size: float, count: int, share: float, right: bool, spoken: str, classes: int
) -> str:
    x, y = corner
    # The root lifts rare confusions, which are what is looked for, above the paper; small cells need more.
    faintest = 0.12 if classes <= _COUNTED else 0.4
    strength = faintest + (1 - faintest) * math.sqrt(share)
    drawn = (
        f'<rect class="{"right" if right else "wrong"}" x="{x:.2f}" y="{y:.2f}" width="{size:.2f}" height="{size:.2f}"'
        f' fill-opacity="{strength:.2f}"><title>{safe(spoken)}</title></rect>'
    )
    if classes <= _COUNTED:
        look = "on" if strength > 0.8 else "ink"
        drawn += f'<text class="{look}" x="{x + size / 2:.1f}" y="{y + size / 2 + 4:.1f}" text-anchor="middle">{_few(count)}</text>'
    return drawn


def _few(count: int) -> str:
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1e6:.3g}M"


def _names(names: Sequence[str], margin: float, cell: float) -> list[str]:
    parts, size = [], min(11.0, max(6.0, cell * 0.9))
    bottom = 4 + len(names) * cell
    for index, name in enumerate(names):
        middle = (index + 0.5) * cell
        shown = f"{safe(cut(name, 14))}<title>{safe(name)}</title>"
        style = f'style="font-size:{size:.1f}px" text-anchor="end"'
        parts.append(f'<text x="{margin - 4:.1f}" y="{4 + middle + size / 3:.1f}" {style}>{shown}</text>')
        x, y = margin + middle + size / 3, bottom + 6
        parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" {style} transform="rotate(-90 {x:.1f} {y:.1f})">{shown}</text>'
        )
    return parts
