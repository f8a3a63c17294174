"""What a process remembers of the answers of a model server that is being proven: lost with it, the proof's time starts again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from ..gateways.predictor import Answer
from ..observation import Pace, Probe

_STEADY = timedelta(seconds=5)
"""Longest time between two answers that follow one another; one is asked for every second."""

_WINDOW = timedelta(minutes=1)
_MOST = 60


@dataclass
class Answers:
    """Since when one model server answers as it does, and how fast beside the version that serves.

    Attributes
    ----------
    of
        The server: its place, the run of its version, and how often its containers were started again.
    """

    of: str = ""
    state: str = ""
    since: datetime | None = None
    last: datetime | None = None
    times: deque[tuple[datetime, float, float]] = field(default_factory=lambda: deque(maxlen=_MOST))
    """When, and the seconds of an answer of the one that is being proven and of the one that serves."""

    def take(self, of: str, answer: Answer, beside: Answer | None, now: datetime) -> Probe:
        """Take one answer, and that of the version that serves where it was asked in the same moment."""
        if of != self.of:
            self.times.clear()
        steady = self.last is not None and now - self.last <= _STEADY
        if (of, answer.state) != (self.of, self.state) or not steady or self.since is None:
            self.since = now
        self.of, self.state, self.last = of, answer.state, now
        if answer.state == "answering" and beside is not None and beside.state == "answering":
            self.times.append((now, answer.seconds, beside.seconds))
        return Probe(answer.state, self.since, answer.message, self._pace(now))

    def _pace(self, now: datetime) -> Pace | None:
        found = [(mine, other) for at, mine, other in self.times if now - at <= _WINDOW]
        if not found:
            return None
        return Pace(median(mine for mine, _ in found), median(other for _, other in found), len(found))
