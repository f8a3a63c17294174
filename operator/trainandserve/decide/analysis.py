"""Does a version do well by the queries that its resource names, while it is rolled out?

Measured before users, at each stage: that is what it is for. Without a canary there is no stage between the proof and all users,
so there the proof is measured as well, for what the operator's own predictions show. Not measured are the first version ever,
which nothing could take the place of, and one that a person pinned.

A stage ends when the last measurement of each query passed. One failure more than `failureLimit` takes the version back. No answer
is neither: the stage waits, however long that lasts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .. import reasons
from ..observation import Measurement, Observation, Problem
from ..plan import Note
from ..resource import Analysis, Measured, Rollout, Served, Status
from .evidence import PROBE_PAUSE, Evidence, Weight, looked_for
from .history import revised
from .workload import is_knative

_DEFAULT_INTERVAL = timedelta(minutes=1)
_DEFAULT_ERRORS = 4
_WORDS = 1500
"""Most characters of what is said of all queries together: it stands in a condition beside other words."""


def asked(seen: Observation, rollout: Rollout) -> tuple[Analysis, ...]:
    """The queries that a version is to pass on its way to users; none for the first one ever, and for one that is pinned."""
    served = seen.resource.status.served or Served()
    if served.version is None or seen.resource.spec.serve.pinned_version == rollout.version:
        return ()
    return _written(seen)


def analysed(seen: Observation, rollout: Rollout) -> tuple[Analysis, ...]:
    """Those of them that are measured at the present stage: not in the dark where the steps of a canary follow."""
    if rollout.stage == "Proving" and seen.resource.spec.rollout.strategy == "Canary":
        return ()
    return asked(seen, rollout)


def _written(seen: Observation) -> tuple[Analysis, ...]:
    return tuple(seen.resource.spec.rollout.analysis or ())


def interval(seen: Observation, one: Analysis) -> timedelta:
    """Time between two measurements: as the resource says, but not less than the administrator's least."""
    return max(one.interval or _DEFAULT_INTERVAL, seen.policy.analysis_min_interval)


def analysis_refused(seen: Observation) -> Problem | None:
    """Why what the resource asks for cannot be measured; None where it can, or nothing is asked for."""
    known, wanted = seen.policy.queries, _written(seen)
    if not wanted or known is None:
        return None
    words = "serving.rollout.analysis cannot be done: "
    if seen.policy.prometheus_url is None:
        words += "this operator knows no Prometheus (TAS_PROMETHEUS_URL); have it set, or take analysis away"
        return Problem(reasons.ANALYSIS_REFUSED, words)
    if missing := [one.query for one in wanted if one.query not in known]:
        there = f"there are {', '.join(sorted(known)[:20])}" if known else "there is none"
        words += f"no query {', '.join(missing)} is defined (TAS_ANALYSIS_QUERIES); {there}"
        return Problem(reasons.ANALYSIS_REFUSED, words)
    if not is_knative(seen) and (ours := [one.query for one in wanted if known[one.query].by_revision]):
        words += f"{', '.join(ours)} measures a revision, and in Standard mode there is none: name a query that uses {{pods}}"
        return Problem(reasons.ANALYSIS_REFUSED, words)
    return None


def due(seen: Observation, now: datetime) -> tuple[Analysis, ...]:
    """What is to be measured now."""
    rollout = seen.resource.status.rollout
    if rollout is None or seen.resource.spec.suspend or analysis_refused(seen):
        return ()
    pairs = _paired(analysed(seen, rollout), rollout)
    return tuple(one for one, said in pairs if said.next_at is not None and now >= said.next_at)


# --- Counting -----------------------------------------------------------------------------------------------------


def counted(seen: Observation, rollout: Rollout, now: datetime) -> Rollout:
    """The rollout with what was measured in this pass. While the clock of its stage stands, measuring waits and begins anew."""
    pairs = _paired(analysed(seen, rollout), rollout)
    if rollout.since is None:
        found = [at_a_stage(before) for _, before in pairs]
    elif looked_for(seen, rollout):
        found = [_counted(seen, rollout, one, before, now) for one, before in pairs]
    else:
        found = [before for _, before in pairs]
    return rollout.changed(analysis=found or None)


def _paired(asked: tuple[Analysis, ...], rollout: Rollout) -> list[tuple[Analysis, Measured]]:
    """Each query with what was counted of it; those whose measuring has not begun are left out."""
    known = _counts(rollout)
    return [(one, known[one.query]) for one in asked if one.query in known]


def _counts(rollout: Rollout) -> dict[str, Measured]:
    return {one.query: one for one in rollout.analysis or ()}


def at_a_stage(one: Measured) -> Measured:
    """What was counted, at a stage that has not begun: nothing of it was measured yet."""
    return one.changed(state=None, next_at=None, message=None)


def anew(rollout: Rollout) -> Rollout:
    """The rollout with what was counted, for its next stage."""
    return rollout.changed(analysis=[at_a_stage(one) for one in rollout.analysis or ()] or None)


def _counted(seen: Observation, rollout: Rollout, one: Analysis, before: Measured, now: datetime) -> Measured:
    found = seen.measurements.get(one.query)
    if found is None or before.next_at is None or now < before.next_at:
        return before
    after = before.changed(min=one.min, max=one.max, at=now, next_at=now + interval(seen, one), message=None)
    if found.error is not None:
        return after.changed(state="Error", errors=before.errors + 1, message=found.error[:2048])
    after = after.changed(errors=0, measured=before.measured + 1)
    if found.value is None:
        failed = one.no_traffic == "Fail" and rollout.stage != "Proving"
        return after.changed(state="NoTraffic", failed=before.failed + failed)
    passed = _within(one, found)
    return after.changed(
        state="Passed" if passed else "Failed", value=found.value, failed=before.failed + (not passed)
    )


def _within(one: Analysis, found: Measurement) -> bool:
    value = found.value
    assert value is not None
    return (one.min is None or value >= one.min) and (one.max is None or value <= one.max)


# --- What it amounts to -------------------------------------------------------------------------------------------


def judged(seen: Observation, rollout: Rollout, found: Evidence, now: datetime) -> tuple[Rollout, Evidence]:
    """The evidence of pods and predictions with that of the queries; and the rollout, whose measuring it may begin.

    Measuring begins once the version is proven at the stage, or gets its share of the requests; the first measurement comes one
    interval later, so that what it looks back on is of this stage.
    """
    wanted = analysed(seen, rollout)
    if not wanted or found.weight is Weight.FAILED or rollout.since is None:
        return rollout, found
    if problem := analysis_refused(seen):
        return rollout.changed(message=problem.message), Evidence(
            Weight.OPEN, problem.message, now + PROBE_PAUSE
        )
    if found.weight is Weight.PROVEN or rollout.stage == "Canary":
        rollout = _begun(seen, rollout, wanted, now)
    pairs = _paired(wanted, rollout)
    if bad := [_failure(one, said) for one, said in pairs if said.failed > (one.failure_limit or 0)]:
        return rollout, Evidence(Weight.FAILED, f"analysis: {'; '.join(bad)}")
    if found.weight is Weight.PROVEN and all(_content(rollout, one, said) for one, said in pairs):
        words = ", ".join(_finding(said) for _, said in pairs)
        return rollout, Evidence(Weight.PROVEN, f"{found.words}; analysis: {words}")
    if holding := [lack for one, said in pairs if (lack := _hold(rollout, one, said))]:
        rollout = rollout.changed(message=rollout.message or f"analysis: {'; '.join(holding)}"[:_WORDS])
    return rollout, Evidence(Weight.OPEN, found.words, found.wake or now + PROBE_PAUSE)


def _begun(seen: Observation, rollout: Rollout, wanted: tuple[Analysis, ...], now: datetime) -> Rollout:
    known = _counts(rollout)
    found = [(one, known.get(one.query) or Measured(query=one.query)) for one in wanted]
    return rollout.changed(
        analysis=[
            said if said.next_at is not None else said.changed(next_at=now + interval(seen, one))
            for one, said in found
        ]
    )


def _content(rollout: Rollout, one: Analysis, said: Measured) -> bool:
    """Whether the stage may end by this query. In the dark there are no users: that nothing is found there is no answer to wait for."""
    if said.state == "NoTraffic":
        return one.no_traffic == "Pass" or rollout.stage == "Proving"
    return said.state == "Passed"


def _failure(one: Analysis, said: Measured) -> str:
    counts = f"{said.failed} of {said.measured} measurements failed, {one.failure_limit or 0} may"
    return f"{_finding(said)} ({counts})"


def _finding(said: Measured) -> str:
    if said.state in ("NoTraffic", "Error") or said.value is None:
        return (
            f"{said.query} finds no traffic" if said.state == "NoTraffic" else f"{said.query} has no answer"
        )
    if said.min is not None and said.value < said.min:
        return f"{said.query} {said.value:.4g} is below min {said.min:.12g}"
    if said.max is not None and said.value > said.max:
        return f"{said.query} {said.value:.4g} is above max {said.max:.12g}"
    return f"{said.query} {said.value:.4g}"


def _hold(rollout: Rollout, one: Analysis, said: Measured) -> str | None:
    """What a query lacks for the stage to end, where that is worth saying."""
    if _content(rollout, one, said):
        return None
    if said.state == "NoTraffic":
        return f"{one.query} finds no traffic, and waits for some (noTraffic: Hold)"
    if said.state == "Failed":
        return _failure(one, said)
    if _beyond(one, said):
        return _no_answer(said)
    return None


# --- No answer ----------------------------------------------------------------------------------------------------


def _beyond(one: Analysis, said: Measured) -> bool:
    limit = one.consecutive_error_limit if one.consecutive_error_limit is not None else _DEFAULT_ERRORS
    return said.errors > limit


def _no_answer(said: Measured) -> str:
    return f"{said.query} had no answer {said.errors} times in a row: {said.message}"


def inconclusive(seen: Observation, status: Status) -> Problem | None:
    """Which queries have had no answer for longer than is borne; None where all have."""
    rollout = status.rollout
    if rollout is None:
        return None
    found = [
        _no_answer(said)
        for one, said in _paired(analysed(seen, rollout), rollout)
        if said.state == "Error" and _beyond(one, said)
    ]
    if not found:
        return None
    words = f"version {rollout.version} is held, for its analysis says neither yes nor no: {'; '.join(found)}"
    return Problem(reasons.ANALYSIS_INCONCLUSIVE, words[:_WORDS])


def said_once(seen: Observation, rollout: Rollout) -> tuple[Note, ...]:
    """The event that tells of an analysis which has just become inconclusive."""
    problem = inconclusive(seen, seen.resource.status.changed(rollout=rollout))
    if problem is None or inconclusive(seen, seen.resource.status) is not None:
        return ()
    return (Note("Warning", reasons.ANALYSIS_INCONCLUSIVE, problem.message[:1000]),)


# --- The record ---------------------------------------------------------------------------------------------------


def kept(status: Status) -> Status:
    """The status whose verdict on the version that is rolled out, and entry in the history, tell what was measured of it."""
    rollout = status.rollout
    found = [one.changed(next_at=None) for one in (rollout.analysis if rollout else None) or () if one.at]
    if rollout is None or not found:
        return status
    candidate = status.candidate
    if candidate is not None and candidate.verdict is not None and candidate.run_id == rollout.run_id:
        verdict = candidate.verdict.changed(analysis=found)
        status = status.changed(candidate=candidate.changed(verdict=verdict))
    return revised(status, rollout.run_id, analysis=found)
