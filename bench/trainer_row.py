"""What every part of the trainer's benchmark hands back: measured promises."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measured promise: `values` of as many rounds, and whether they keep it.

    Attributes
    ----------
    control
        What was seen of a control that has no number, in words.
    """

    what: str
    values: Sequence[float]
    gate: str
    kept: bool
    unit: str = ""
    control: str = ""

    def line(self) -> str:
        if not self.values:
            return f"{self.what:<58} {'nothing was measured':<32} {self.gate:<12} MISSED  {self.control}"
        shown = [
            f"{value:.3f}" for value in (statistics.median(self.values), min(self.values), max(self.values))
        ]
        spread = f"{shown[0]}{self.unit}  ({shown[1]} … {shown[2]})"
        verdict = "met" if self.kept else "MISSED"
        return f"{self.what:<58} {spread:<32} {self.gate:<12} {verdict:<6}  {self.control}".rstrip()


def ratio(what: str, ours: Sequence[float], control: Sequence[float], most: float, gate: str) -> Row:
    """Return the row of ours over a control that took turns with it; its median may be `most`."""
    ratios = [mine / theirs for mine, theirs in zip(ours, control, strict=True)]
    return Row(what, ratios, gate, statistics.median(ratios) <= most)
