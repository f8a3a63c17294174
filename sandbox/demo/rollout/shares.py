"""The split of the requests as it was asked for, and as it was: every step of a canary, counted from outside. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from scipy.stats import binom

from sandbox.demo.requests import Answered
from sandbox.demo.waiting import Body
from sandbox.tables import aligned

USUAL = 0.95
NEVER = 0.9999
"""Where the requests are split as asked, one step in 10,000 lies outside this interval, but one in 20 outside the usual one."""


@dataclass(frozen=True)
class Step:
    """A time in which a version was known to get its share: from when it was seen, to when it was last seen.

    Attributes
    ----------
    asked
        Percentage.
    since, until
        Seconds of the monotonic clock.
    """

    version: int
    number: int
    asked: int
    since: float
    until: float


class Steps:
    """The steps of all canaries, as the resource's status told them while they went on."""

    def __init__(self, percentages: Sequence[int], clock: Callable[[], float] = time.monotonic) -> None:
        self._percentages = percentages
        self._clock = clock
        self._steps: dict[tuple[int, int, int], Step] = {}
        self._rollouts = 0
        self._stage = ""

    def observe(self, body: Body, asked: float) -> None:
        """Look at a resource that was asked for at `asked`, and has just come.

        The operator stores a change of step before it asks KServe for it, and the share that it tells it has seen before: so the
        step was under way from the first such answer to the last such question.
        """
        rollout = body.get("status", {}).get("rollout") or {}
        if rollout.get("stage") == "Canary" and self._stage != "Canary":
            self._rollouts += 1
        self._stage = rollout.get("stage", "")
        number = rollout.get("step") or 0
        if self._stage != "Canary" or rollout.get("traffic") != self._percentages[number - 1]:
            return
        key = (self._rollouts, rollout["version"], number)
        now = self._clock()
        found = self._steps.get(key) or Step(rollout["version"], number, rollout["traffic"], now, now)
        self._steps[key] = replace(found, until=max(found.until, asked))

    @property
    def all(self) -> tuple[Step, ...]:
        """In the order in which they were."""
        return tuple(self._steps.values())


@dataclass(frozen=True)
class Share:
    """How many of the requests of a step its version answered."""

    step: Step
    hits: int
    count: int

    @classmethod
    def of(cls, step: Step, answers: Iterable[Answered]) -> Share:
        """Count the requests that were sent and answered while the step was under way."""
        within = [one for one in answers if step.since <= one.sent and one.answered <= step.until]
        return cls(step, sum(one.version == step.version for one in within), len(within))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the shares between which this part of all samples of this size lies, if each request goes there by chance."""
        low, high = binom.interval(confidence, self.count, self.step.asked / 100)
        return float(low) / self.count, float(high) / self.count

    def inside(self, confidence: float) -> bool:
        """Whether it lies there."""
        low, high = self.interval(confidence)
        return low <= self.hits / self.count <= high

    @property
    def verdict(self) -> str:
        """In words."""
        if self.inside(USUAL):
            return "inside"
        return "outside by chance" if self.inside(NEVER) else "outside"


def table(shares: Sequence[Share]) -> str:
    """One line a step."""
    rows = [["VERSION", "STEP", "ASKED", "ANSWERED", "OBSERVED", "95% INTERVAL", "LIES"]]
    for share in shares:
        low, high = share.interval(USUAL)
        rows.append(
            [
                str(share.step.version),
                str(share.step.number),
                f"{share.step.asked}%",
                f"{share.hits} of {share.count}",
                f"{share.hits / share.count:.1%}",
                f"{low:.1%} to {high:.1%}",
                share.verdict,
            ]
        )
    return aligned(rows, gap=3)
