"""Does a version serve where it was put? What pods and predictions say, whichever InferenceService it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from ..durations import format_duration
from ..observation import Deployment, InferenceService, Observation, Pace
from ..resource import Rollout, Target
from .workload import Place, applied_to, is_up

PROBE_PAUSE = timedelta(seconds=1)
LOOK_AGAIN = timedelta(seconds=5)
_ENOUGH = 5
"""Least number of predictions of both that their times are compared by."""

_NEGLIGIBLE = 0.1
"""Difference in seconds that never counts: so much is a matter of the machine and of the way there."""


class Weight(Enum):
    """What the evidence amounts to."""

    PROVEN = auto()
    FAILED = auto()
    """The version is at fault."""
    OPEN = auto()


@dataclass(frozen=True)
class Evidence:
    """What was found, in words, and when to look again."""

    weight: Weight
    words: str = ""
    wake: datetime | None = None


def looked_for(seen: Observation, rollout: Rollout) -> bool:
    """Whether what was seen of pods and predictions is of this stage: one that begins in this pass was not looked at yet."""
    before = seen.resource.status.rollout
    if before is None:
        return False
    return (before.run_id, before.stage, before.step) == (rollout.run_id, rollout.stage, rollout.step)


def timed(seen: Observation, place: Place, rollout: Rollout, target: Target, now: datetime) -> Rollout:
    """The rollout with the clock of its stage running, or stopped: only what a version could do counts.

    It stands while nothing was applied yet (whoever refused it or did not answer), while the resource is suspended, and while
    the cluster has no room; the time for the proof begins anew after that.
    """
    if not looked_for(seen, rollout):
        return rollout
    could = applied_to(seen, place.service, target) and not seen.resource.spec.suspend
    hindered = hindrance(seen, place, target)
    message = hindered or (seen.server_trouble.message if seen.server_trouble else None)
    if not could or hindered:
        suspended = rollout.message if seen.resource.spec.suspend else None
        return rollout.changed(since=None, message=message if could else suspended)
    return rollout.changed(since=rollout.since or now, message=message)


def measuring(rollout: Rollout) -> bool:
    """Whether the version was proven at this stage, and is measured there now (see `analysis`)."""
    return any(one.next_at is not None for one in rollout.analysis or ())


def hindrance(seen: Observation, place: Place, target: Target) -> str | None:
    """What keeps the version from coming up that it has no part in."""
    if is_up(place, target):
        return None
    if seen.server_trouble is not None and seen.server_trouble.waits:
        return seen.server_trouble.message
    if isinstance(place.deployment, Deployment) and place.deployment.refusal:
        return f"no pod can be made: {place.deployment.refusal}"
    if isinstance(place.service, InferenceService) and place.service.refusal:
        return f"KServe makes nothing of it: {place.service.refusal}"
    return None


def weigh(seen: Observation, place: Place, rollout: Rollout, target: Target, now: datetime) -> Evidence:
    """Whether the version is proven there, has failed, or neither yet; the clock is that of the rollout's stage.

    A canary was proven before, and so was what is being measured: pods that are moved, or an answer that fails once, are no
    reason to take it back.
    """
    deadline = rollout.since + seen.policy.proof_deadline if rollout.since else None
    canary = rollout.stage == "Canary" or measuring(rollout)
    late = deadline is not None and now >= deadline and not canary
    if is_up(place, target):
        return _answers(seen, late, canary, now)
    if deadline is None:
        there = applied_to(seen, place.service, target)  # else the apply is tried again with a growing pause
        return Evidence(Weight.OPEN, rollout.message or "", now + LOOK_AGAIN if there else None)
    trouble = seen.server_trouble
    if late or (trouble is not None and trouble.for_good):
        unproven = f"not proven to serve within {format_duration(seen.policy.proof_deadline)}"
        return Evidence(Weight.FAILED, trouble.message if trouble else unproven)
    return Evidence(
        Weight.OPEN,
        rollout.message or "",
        min(deadline, now + LOOK_AGAIN) if not canary else now + LOOK_AGAIN,
    )


def _answers(seen: Observation, late: bool, canary: bool, now: datetime) -> Evidence:
    probe = seen.probe
    again = Evidence(Weight.OPEN, "", now + PROBE_PAUSE)
    if probe is None:
        words = "its InferenceService has no address to ask for predictions"
        return Evidence(Weight.FAILED, words) if late else again
    if probe.state == "skipped":
        return Evidence(Weight.PROVEN, f"Deployment settled; predictions were not tried: {probe.message}")
    long_enough = now - probe.since >= seen.policy.proof_duration
    if probe.state == "wrong" and (late or long_enough):
        return Evidence(Weight.FAILED, f"its predictions are wrong: {probe.message}")
    if probe.state == "answering" and long_enough and (slow := _slow(seen, probe.pace)):
        return Evidence(Weight.FAILED, slow) if late or canary else again
    if probe.state == "answering" and long_enough:
        words = f"Deployment settled; predictions answered for {seen.policy.proof_duration.seconds} s"
        return Evidence(Weight.PROVEN, words)
    if probe.state == "failing" and (late or (canary and long_enough)):
        return Evidence(Weight.FAILED, f"predictions fail: {probe.message}")
    return again


def _slow(seen: Observation, pace: Pace | None) -> str | None:
    """In words, that the version takes much longer for a prediction than the one that serves; None where it does not."""
    if pace is None or pace.asked < _ENOUGH:
        return None
    if pace.mine <= seen.policy.smoke_slowdown * pace.serving or pace.mine - pace.serving < _NEGLIGIBLE:
        return None
    return (
        f"a prediction takes {pace.mine:.2g} s, with the version that serves {pace.serving:.2g} s: more than "
        f"{seen.policy.smoke_slowdown:g} times as long"
    )
