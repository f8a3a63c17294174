"""Progress as lines of text: readable in a terminal, in a pod's log and in the KFP UI alike."""

import math
import time
from typing import Any

_BETWEEN_LINES = 5.0  # seconds; the first and the last line of a training are always written
_KEPT = 1_000


def say(text: str) -> None:
    """Write one line at once, so that whoever follows the log sees it when it happens."""
    print(text, flush=True)


class Progress:
    """What a recipe tells how far it is.

    Attributes
    ----------
    history
        One entry per finished epoch: its number and the values that were told with it. The learning curve.
    """

    def __init__(self, now: Any = time.monotonic) -> None:
        self._now = now
        self._begin, self._done_at_begin = now(), 0.0
        self._last_line = self._begin
        self.history: list[dict[str, float]] = []

    def say(self, text: str) -> None:
        """Write a line of the recipe's own."""
        say(text)

    def step(self, epoch: int, epochs: int, step: int, steps: int, **values: float) -> None:
        """Tell that a step of an epoch (both counted from 1) is done; a line is written every few seconds."""
        done = (epoch - 1 + step / steps) / epochs
        if not self._done_at_begin:
            # The first steps include what is done once (compiling): the time left is reckoned from after them.
            self._begin, self._done_at_begin = self._now(), done
        if step < steps and self._now() - self._last_line >= _BETWEEN_LINES:
            self._write(f"epoch {epoch}/{epochs}  step {step}/{steps}", done, values)

    def epoch(self, epoch: int, epochs: int, **values: float) -> None:
        """Tell that an epoch is done, with the values seen in it (loss, accuracy, …)."""
        if len(self.history) < _KEPT:
            self.history.append({"epoch": epoch, **{name: float(value) for name, value in values.items()}})
        if epoch == epochs or epochs <= 20 or self._now() - self._last_line >= 1.0:
            self._write(f"epoch {epoch}/{epochs}", epoch / epochs, values)

    def strict_history(self) -> list[dict[str, float | None]]:
        """Return the history as JSON can say it: None for what is not a number."""
        return [
            {name: value if math.isfinite(value) else None for name, value in entry.items()}
            for entry in self.history
        ]

    def _write(self, at: str, done: float, values: dict[str, float]) -> None:
        self._last_line = self._now()
        measured = done - self._done_at_begin
        left = (self._last_line - self._begin) * (1 - done) / measured if measured > 0 else 0.0
        told = "".join(f"  {name} {value:.4f}" for name, value in values.items())
        say(f"{at}{told}  {_duration(left)} left" if done < 1 and measured > 0 else f"{at}{told}")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
