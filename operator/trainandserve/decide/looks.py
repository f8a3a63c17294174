"""What must a pass look at beyond what the watches brought? As little as the next decision needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from ..names import FINALIZER
from ..observation import ABSENT, KfpRun, Observation, Unknown
from ..plan import Plan
from ..resource import Served, Status
from .analysis import due
from .launch import Intent, intent, unjudged
from .lost_status import rebuild_lost_status
from .promotion import pin_is_looked_for
from .prune import worth_a_look
from .rollout import place_of_proof
from .run import ENDED, active, superseded
from .workload import in_place, is_up

_SERVER_PODS_AFTER = timedelta(seconds=5)


class Look(Enum):
    """One kind of read."""

    RUN = auto()
    WORKFLOWS = auto()
    RUN_PODS = auto()
    ABANDONED = auto()
    PREFLIGHT = auto()
    RESULT = auto()
    PINNED = auto()
    VERSIONS = auto()
    PROBE = auto()
    ANALYSIS = auto()
    SERVER_PODS = auto()
    RECOVERY = auto()


@dataclass(frozen=True)
class Known:
    """What is known without asking anybody: from the watches and from earlier passes of this process."""

    workflow_phase: str | None = None
    """Phase of the run's Workflow in the watch; None when the watch has none."""
    run_read_at: datetime | None = None
    progress_since: datetime | None = None
    may_read_progress: bool = True
    """Whether one more look at a run is within the cap of the whole operator."""
    pruned: str | None = None
    """What the versions in the bucket were last found in order for."""


def first_looks(seen: Observation, known: Known, now: datetime) -> frozenset[Look]:
    """What to look at, from the watches' view alone."""
    resource, status = seen.resource, seen.resource.status
    looks: set[Look] = set()
    if active(status) and _run_is_due(seen, known, now):
        looks.add(Look.RUN)
    if status.abandoned:
        looks.add(Look.ABANDONED)
    if resource.metadata.deletion_timestamp:
        return frozenset(looks)
    if FINALIZER not in resource.metadata.finalizers or not status.conditions:
        return frozenset()
    if status.last_version is None:
        looks.add(Look.RECOVERY)
    looks |= _for_training(seen, now) | _for_serving(seen, now)
    if worth_a_look(resource, status) not in (None, known.pruned):
        looks.add(Look.VERSIONS)
    return frozenset(looks)


def _run_is_due(seen: Observation, known: Known, now: datetime) -> bool:
    """Progress is read at most once in an interval, within a cap; anything that may end the run is read at once."""
    run = seen.resource.status.run
    if run is None or run.state != "Running" or known.run_read_at is None:
        return True
    if known.workflow_phase in (*ENDED, None) or superseded(seen, run):
        return True
    return known.may_read_progress and now >= known.run_read_at + seen.policy.run_read_interval


def _for_training(seen: Observation, now: datetime) -> set[Look]:
    if unjudged(seen.resource.status):
        return {Look.RESULT}
    return {Look.PREFLIGHT} if next_run(seen, now) else set()


def next_run(seen: Observation, now: datetime) -> Intent | None:
    """The run that is due now, also by a status that is just being rebuilt."""
    status = known_status(seen, now)
    wanted = intent(seen.resource, status, seen.policy)
    return wanted if wanted is not None and (wanted.due is None or now >= wanted.due) else None


def known_status(seen: Observation, now: datetime) -> Status:
    """The status that is stored, or the one that is just being rebuilt."""
    return rebuild_lost_status(seen, Plan(seen.resource.status), now).status


def _for_serving(seen: Observation, now: datetime) -> set[Look]:
    served, rollout = seen.resource.status.served or Served(), seen.resource.status.rollout
    looks = {Look.PINNED} if pin_is_looked_for(seen.resource, seen.resource.status) else set()
    if served.target is None:
        return looks
    if served.run_id == served.target.run_id:
        return looks if in_place(seen, served.target) else looks | {Look.SERVER_PODS}
    if due(seen, now):
        looks.add(Look.ANALYSIS)
    if is_up(place_of_proof(seen), served.target):
        return looks | {Look.PROBE}
    since = rollout.since if rollout else None
    return looks | {Look.SERVER_PODS} if since is None or now >= since + _SERVER_PODS_AFTER else looks


def second_looks(seen: Observation, known: Known, now: datetime) -> frozenset[Look]:
    """What the first looks make it necessary to look at."""
    if seen.resource.status.last_version is None:
        return frozenset({Look.PREFLIGHT}) if next_run(seen, now) else frozenset()
    run = seen.resource.status.run
    if run is None or not active(seen.resource.status):
        return frozenset()
    looks: set[Look] = set()
    if isinstance(seen.run, KfpRun) and seen.run.finished:
        if seen.run.state == "SUCCEEDED":
            return frozenset() if run.state == "Stopping" else frozenset({Look.RESULT})
        return frozenset({Look.RUN_PODS})
    if run.state in ("Submitting", "Stopping") and not (
        run.state == "Submitting" and isinstance(seen.run, KfpRun)
    ):
        looks.add(Look.WORKFLOWS)
    unseen = known.workflow_phase is None or seen.run is ABSENT
    if run.state == "Running" and unseen and seen.run is not None:
        looks.add(Look.WORKFLOWS)
    if run.missing_since and now >= run.missing_since + seen.policy.lost_patience:
        looks |= {Look.WORKFLOWS, Look.RESULT}
    if run.state == "Running" and seen.run not in (None, ABSENT) and not isinstance(seen.run, Unknown):
        stalled = known.progress_since is not None and now >= known.progress_since + seen.policy.stall_after
        if stalled or (run.step == "train" and run.train_started_at is None):
            looks.add(Look.RUN_PODS)
    return frozenset(looks)
