"""Which version is to be served?"""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..names import model_uri
from ..observation import Observation, Problem, Stored, Unknown
from ..plan import Note, Plan
from ..resource import Candidate, HistoryEntry, Pin, Served, Status, Target, TrainAndServe
from .history import GOOD
from .launch import unjudged
from .run import active
from .workload import applied


def promote(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Make the pinned version the target, or an accepted candidate: what is stored here is applied, by whoever finds it."""
    if seen.resource.spec.suspend:
        return plan
    pinned = seen.resource.spec.serve.pinned_version
    if pinned is not None:
        return _pin(seen, plan, pinned, now)
    if plan.status.pin is not None:
        return _unpin(seen, plan, plan.status.pin, now)
    return _promote_candidate(seen, plan, now)


def _promote_candidate(seen: Observation, plan: Plan, now: datetime) -> Plan:
    candidate, served = plan.status.candidate, plan.status.served or Served()
    if candidate is None or candidate.verdict is None or not candidate.verdict.accepted:
        return plan
    if served.target is not None and (
        served.target.version >= candidate.version or _comes_first(seen, served, served.target)
    ):
        return plan
    return plan.then(status=_aimed(plan.status, target_of(candidate, now)))


def _comes_first(seen: Observation, served: Served, target: Target) -> bool:
    """Whether a version that was applied must be proven before the next: until then there is no version to go back to.

    So it is with the first version ever, and with what serves when the status was lost.
    """
    return served.version is None and applied(seen, target)


def _aimed(status: Status, target: Target) -> Status:
    return status.changed(served=(status.served or Served()).changed(target=target))


def target_of(version: Candidate | HistoryEntry, now: datetime) -> Target:
    """A known version as what is to be served from now on."""
    return Target(
        version=version.version,
        run_id=version.run_id,
        uri=version.uri,
        result_digest=version.result_digest,
        training_hash=version.training_hash,
        metrics=version.metrics,
        since=now,
    )


# --- The pin ------------------------------------------------------------------------------------------------------


def pin_is_looked_for(resource: TrainAndServe, status: Status) -> bool:
    """Whether a version is pinned that is not the target yet and may become it: then its files are looked at."""
    pinned = resource.spec.serve.pinned_version
    if pinned is None or resource.spec.suspend or _in_training(status, pinned):
        return False
    return not _is_target(status, pinned) and not _has_failed(status, pinned)


def _is_target(status: Status, version: int) -> bool:
    target = status.served.target if status.served else None
    return target is not None and target.version == version


def _has_failed(status: Status, version: int) -> bool:
    """Whether the pinned version was tried and could not be served: it is not tried again before the pin changes."""
    return status.pin is not None and status.pin.version == version and status.pin.failed is not None


def _in_training(status: Status, version: int) -> bool:
    """Whether the version has no verdict yet: its files may still be changing."""
    run = status.run
    return run is not None and run.version == version and (active(status) or unjudged(status))


def _pin(seen: Observation, plan: Plan, version: int, now: datetime) -> Plan:
    served = plan.status.served or Served()
    if _is_target(plan.status, version) and served.target is not None:
        return plan.then(status=_pinned(plan.status, served.target, now))
    if not pin_is_looked_for(seen.resource, plan.status):
        return plan
    if served.target is not None and _comes_first(seen, served, served.target):
        return plan
    found = seen.pinned
    if isinstance(found, Problem):
        return plan.then(again=True)
    if found is None or found.result.version != version:
        return plan.then(wake=now)
    target = _target_of_stored(found, now)
    status = _aimed(_pinned(plan.status, target, now), target)
    words = f"version {version} is pinned; it takes the place of {_named(served.target)}"
    return plan.then(status=status, notes=(Note("Normal", reasons.VERSION_PINNED, words),))


def _pinned(status: Status, target: Target, now: datetime) -> Status:
    """The status that knows of the pin, and of what was to be served before there was any."""
    pin = status.pin
    if pin is not None and pin.run_id == target.run_id:
        return status
    before = pin.before if pin is not None else status.served.target if status.served else None
    return status.changed(
        pin=Pin(version=target.version, run_id=target.run_id, since=now, before=before),
    )


def _target_of_stored(found: Stored, now: datetime) -> Target:
    result = found.result
    return Target(
        version=result.version,
        run_id=result.run_id,
        uri=model_uri(found.prefix),
        result_digest=result.digest,
        training_hash=result.training_hash,
        metrics=dict(result.metrics),
        since=now,
    )


def _unpin(seen: Observation, plan: Plan, pin: Pin, now: datetime) -> Plan:
    """Without its pin, the newest version that was accepted is to be served again; where there is none, what serves stays."""
    served = plan.status.served or Served()
    if served.target is not None and _comes_first(seen, served, served.target):
        return plan
    back = newest_accepted(plan.status, now)
    status = plan.status.changed(pin=None)
    if back is None or (served.target is not None and served.target.run_id == back.run_id):
        return plan.then(status=status)
    words = f"version {pin.version} is not pinned any more; version {back.version} takes the place of {_named(served.target)}"
    return plan.then(status=_aimed(status, back), notes=(Note("Normal", reasons.PIN_REMOVED, words),))


def _named(target: Target | None) -> str:
    return f"version {target.version}" if target is not None else "none"


def newest_accepted(status: Status, now: datetime) -> Target | None:
    """The newest version with a good verdict, or that served before the pin; never one that could not be served."""
    found = [target_of(entry, now) for entry in status.history if entry.verdict in GOOD]
    candidate = status.candidate
    if candidate is not None and candidate.verdict is not None and candidate.verdict.accepted:
        found.append(target_of(candidate, now))
    failed = {entry.run_id for entry in status.history if entry.verdict == reasons.FAILED_TO_SERVE}
    if status.pin is not None and status.pin.before is not None and status.pin.before.run_id not in failed:
        found.append(status.pin.before.changed(since=now))
    return max(found, key=lambda target: target.version, default=None)


def pin_trouble(seen: Observation, status: Status) -> Problem | None:
    """Why the pinned version is not the one that is to be served; None where it is, or nothing is pinned."""
    version = seen.resource.spec.serve.pinned_version
    if version is None or seen.resource.spec.suspend or _is_target(status, version):
        return None
    words = f"version {version} is pinned"
    if _has_failed(status, version):
        assert status.pin is not None
        return Problem(reasons.FAILED_TO_SERVE, f"{words}, but could not be served: {status.pin.failed}")
    if _in_training(status, version):
        return Problem(reasons.PINNED_UNAVAILABLE, f"{words}, but is still being trained or judged")
    if isinstance(seen.pinned, Unknown):
        return Problem(seen.pinned.reason, f"{words}: {seen.pinned.message}")
    if isinstance(seen.pinned, Problem):
        return Problem(reasons.PINNED_UNAVAILABLE, f"{words}, but cannot be served: {seen.pinned.message}")
    return None
