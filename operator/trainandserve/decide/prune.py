"""Which versions does the bucket no longer need?"""

from __future__ import annotations

from datetime import datetime

from ..observation import Folder, Observation, Unknown
from ..plan import DeleteVersion, Plan
from ..resource import Status, TrainAndServe
from .launch import unjudged
from .run import active


def prune(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Delete the versions beyond storage.keepVersions, oldest first; never one that serves, served last, or may serve next."""
    if isinstance(seen.versions, Unknown):
        return plan.then(again=True)
    if seen.versions is None or worth_a_look(seen.resource, plan.status) is None:
        return plan
    going = prunable(seen.resource, plan.status, seen.versions)
    # Looked at once more when they are gone: only then is it known that they are.
    return plan.then(
        *(DeleteVersion(one.version, one.run_id, one.prefix) for one in going), again=bool(going)
    )


def prunable(resource: TrainAndServe, status: Status, versions: tuple[Folder, ...]) -> list[Folder]:
    """The folders that go, oldest first: all attempts at what is older than the oldest version that is kept."""
    keep = resource.spec.storage.keep_versions
    complete = sorted({one.version for one in versions if one.complete}, reverse=True)
    if keep is None or len(complete) < keep:
        return []
    spared = needed(resource, status)
    # What is newer than that is not looked at: it may be under way.
    gone = [one for one in versions if one.version < complete[keep - 1] and one.version not in spared]
    return sorted(gone, key=lambda one: one.version)


def needed(resource: TrainAndServe, status: Status) -> set[int]:
    """The versions that are never deleted, however old."""
    served, pin, run = status.served, status.pin, status.run
    found = [
        status.candidate and status.candidate.version,
        served and served.version,
        served and served.previous,
        served and served.target and served.target.version,
        resource.spec.serve.pinned_version,
        pin and pin.version,
        pin and pin.before and pin.before.version,
        run and run.version,
        run and run.incumbent,
    ]
    return {version for version in found if version}


def worth_a_look(resource: TrainAndServe, status: Status) -> str | None:
    """What the last look at the versions must have been for; None while nothing is to be deleted.

    The same words mean that nothing has changed since: a version was judged, another one serves, or the number was edited.
    """
    keep = resource.spec.storage.keep_versions
    if (
        keep is None
        or resource.spec.suspend
        or status.candidate is None
        or active(status)
        or unjudged(status)
    ):
        return None
    return f"{keep} {status.candidate.run_id} {sorted(needed(resource, status))}"
