"""Knative mode: a version gets a part of the requests, step by step, and loses them all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sandbox.demo.requests import RequestStream
from sandbox.demo.rollout import wears_out
from sandbox.demo.rollout.part import BETTER, Part
from sandbox.demo.rollout.shares import Share
from sandbox.demo.rollout.writes import Write
from sandbox.demo.stage import written
from sandbox.demo.waiting import DemoError

STEPS = [10, 50]


@dataclass
class KnativeMode(Part):
    """The fourth version is good when it is evaluated and when it is proven, and goes wrong before users."""

    mode: ClassVar[str] = "Knative"
    resource: ClassVar[str] = "digits-canary"
    serving: ClassVar[Mapping[str, Any]] = {
        "rollout": {"strategy": "Canary", "steps": STEPS, "stepDuration": "20s"}
    }

    def fail(self, stream: RequestStream) -> None:
        """Wrong answers during the canary."""
        recipe = wears_out.__name__
        with self._act(f"Version 4, by {recipe} with {written(BETTER)}: it goes wrong in service"):
            before = len(self.writes.all)
            self.stage.edit("training", entrypoint=recipe, parameters=BETTER)
            self.stage.until_taken_back(4)
            self.stage.show(self.stage.until_serves(3))
            back = way_back(self.written_since(before))
            late = max(answer.answered for answer in stream.answers if answer.version == 4) - back.at
            when = f"{late:.2f} s after" if late > 0 else f"{-late:.2f} s before"
            self.screen.say(f"  the last answer by version 4 came {when} generation {back.generation}")

    def check(self, stream: RequestStream, found: Sequence[Share]) -> None:
        """Every rollout went through its steps, but for the one that failed in them."""
        every = Counter((share.step.version, share.step.number) for share in found)
        rolled_out = Counter((version, number + 1) for version in (3, 1, 3) for number in range(len(STEPS)))
        if missing := rolled_out - every:
            raise DemoError(f"steps of a canary that were never seen, as (version, step): {sorted(missing)}")
        if (4, 1) not in every:
            raise DemoError("version 4 did not fail during its canary, but before")


def way_back(found: Sequence[Write]) -> Write:
    """The write that took all requests from version 4.

    Raises
    ------
    DemoError
        If the first one after those for version 4 was another.
    """
    last = max(place for place, write in enumerate(found) if write.version == 4)
    back = next(iter(found[last + 1 :]), None)
    if back is None or (back.version, back.percent) != (3, 0):
        raise DemoError(f"version 4 was not taken back in one write: {back}")
    return back
