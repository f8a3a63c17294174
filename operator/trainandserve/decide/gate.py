"""Is the new version good enough to serve?"""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..hashes import gate_hash
from ..names import model_uri
from ..observation import Observation, Problem, Result, Unknown
from ..plan import Note, Plan
from ..resource import Candidate, Check, Evaluated, Incumbent, Run, Status, TrainAndServe, Verdict
from .approval import asking, awaiting, held, in_use
from .bounds import Before, check
from .evaluation import compared_with_another, evaluation_due, open_to_comparison, settled, undecided
from .history import overtaken, remember
from .launch import unjudged
from .run import active, finished, superseded


def judge(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Give the verdict on a result that was read, and again on a stored one whose bounds were edited.

    A verdict never rests on a comparison with a version that does not serve any more: it waits for another evaluation.
    """
    run = plan.status.run
    if run is not None and unjudged(plan.status):
        return _judge_result(seen, plan, run, now)
    if _bounds_changed(seen.resource, plan.status):
        return _judge_again(seen.resource, plan, now)
    return _follow_incumbent(seen.resource, plan, now)


def _judge_result(seen: Observation, plan: Plan, run: Run, now: datetime) -> Plan:
    result = seen.result
    if superseded(seen, run) or _evaluates_in_vain(plan.status, run):
        return finished(plan, run, now, state="Stopped", superseded=True)
    if result is None:
        return plan.then(wake=now)
    if isinstance(result, Unknown):
        return plan.then(again=True)
    if isinstance(result, Problem):
        return finished(plan, run, now, failed=True, state="Failed", message=result.message)
    candidate, status = _from_result(plan.status, run, result)
    stale = compared_with_another(seen.resource, plan.status, candidate)
    if stale and result.incumbent_version != run.incumbent:
        words = f"{_named(result.incumbent_version)} instead of {_named(run.incumbent)}"
        message = f"the run compared with {words}: is training.image older than the operator?"
        return finished(plan, run, now, failed=True, state="Failed", message=message)
    waited = awaiting(plan.status)
    if waited is not None and waited.run_id != candidate.run_id:
        status = overtaken(status, waited)
    plan = plan.then(status=status)
    if stale:
        return _wait_for_comparison(seen.resource, plan, candidate, now)
    return _store(seen.resource, plan, candidate, now)


def _evaluates_in_vain(status: Status, run: Run) -> bool:
    """Whether a run evaluates a version that is not the newest any more, or that could not be served meanwhile."""
    about = status.candidate
    if not run.only_evaluates or about is None:
        return run.only_evaluates
    failed = about.verdict is not None and about.verdict.reason == reasons.FAILED_TO_SERVE
    return failed or about.run_id != run.evaluates


def _from_result(status: Status, run: Run, result: Result) -> tuple[Candidate, Status]:
    """The newest version as the run's result tells it, not judged yet; and the status that knows what the run has answered."""
    if not run.only_evaluates or status.candidate is None:
        return candidate_of(result, model_uri(run.prefix), run.training_hash), status
    asked = run.training_hash
    by = Evaluated(run_id=run.id, attempt=run.attempt, digest=result.digest, training_hash=asked)
    return evaluated(status.candidate, result, by), status.changed(last_training_hash=asked)


def evaluated(candidate: Candidate, result: Result, by: Evaluated) -> Candidate:
    """The candidate with other numbers, not judged yet; what was said to those it had, by the gate or by a person, was said to those."""
    found = candidate_of(result, candidate.uri, candidate.training_hash)
    return candidate.changed(
        metrics=found.metrics, samples=found.samples, incumbent=found.incumbent, evaluation=by, verdict=None
    )


def _named(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"


def candidate_of(result: Result, uri: str, training_hash: str) -> Candidate:
    """The candidate that a result file describes, not judged yet."""
    incumbent = None
    if result.incumbent_version is not None:
        metrics = dict(result.incumbent_metrics) if result.incumbent_metrics is not None else None
        incumbent = Incumbent(version=result.incumbent_version, metrics=metrics, error=result.incumbent_error)
    return Candidate(
        version=result.version,
        run_id=result.run_id,
        uri=uri,
        metrics=dict(result.metrics),
        samples=result.samples,
        incumbent=incumbent,
        result_digest=result.digest,
        training_hash=training_hash,
        data_digest=result.data_digest,
    )


def _bounds_changed(resource: TrainAndServe, status: Status) -> bool:
    verdict = status.candidate.verdict if status.candidate else None
    return (
        verdict is not None
        and verdict.reason != reasons.FAILED_TO_SERVE
        and verdict.gate_hash != gate_hash(resource)
    )


def _judge_again(resource: TrainAndServe, plan: Plan, now: datetime) -> Plan:
    candidate = plan.status.candidate
    assert candidate is not None
    if not compared_with_another(resource, plan.status, candidate):
        return _store(resource, plan, candidate, now)
    if open_to_comparison(resource, plan.status) or evaluation_due(resource, plan.status):
        return _wait_for_comparison(resource, plan, candidate, now)
    verdict = _no_verdict(resource, candidate, "another one is trained and compared", now)
    status = plan.status.changed(candidate=candidate.changed(verdict=verdict), last_training_hash="")
    return plan.then(status=status)


def _follow_incumbent(resource: TrainAndServe, plan: Plan, now: datetime) -> Plan:
    """A version that was not decided on waits for another comparison when another version serves, and no more when that is over."""
    candidate, status = plan.status.candidate, plan.status
    if candidate is None or not undecided(candidate.verdict) or not settled(status):
        return plan
    if not open_to_comparison(resource, status):
        return plan
    stale, waits = compared_with_another(resource, status, candidate), not held(candidate.verdict)
    if stale and not waits:
        return _wait_for_comparison(resource, plan, candidate, now)
    if waits and not stale and not active(status):
        return _store(resource, plan, candidate, now)
    return plan


def _wait_for_comparison(resource: TrainAndServe, plan: Plan, candidate: Candidate, now: datetime) -> Plan:
    verdict = _no_verdict(resource, candidate, "it is evaluated again, without being trained", now)
    status = plan.status.changed(candidate=candidate.changed(verdict=verdict))
    return plan.then(status=remember(resource, status))


def _no_verdict(resource: TrainAndServe, candidate: Candidate, then: str, now: datetime) -> Verdict:
    other = _named(candidate.incumbent.version if candidate.incumbent else None)
    return Verdict(
        accepted=False,
        reason=reasons.INCUMBENT_CHANGED,
        message=f"it was compared with {other}, and another version serves now: {then}",
        gate_hash=gate_hash(resource),
        at=now,
        approved_at=candidate.verdict.approved_at if candidate.verdict else None,
    )


def _store(resource: TrainAndServe, plan: Plan, candidate: Candidate, now: datetime) -> Plan:
    verdict = verdict_on(resource, candidate, now, used=in_use(plan.status, candidate.run_id))
    before = candidate.verdict
    candidate = candidate.changed(verdict=verdict)
    status = plan.status.changed(candidate=candidate, summary=_summary(candidate, verdict))
    status = remember(resource, status)
    if before is not None and _outcome(before) == _outcome(verdict):
        return plan.then(status=status)
    return plan.then(status=status, notes=_told(status, candidate, verdict))


def _outcome(verdict: Verdict) -> tuple[bool, bool, bool]:
    return verdict.accepted, held(verdict), undecided(verdict)


def _told(status: Status, candidate: Candidate, verdict: Verdict) -> tuple[Note, ...]:
    words = f"version {candidate.version}: {verdict.message}"
    if verdict.accepted:
        return (Note("Normal", reasons.VERSION_ACCEPTED, words),)
    if not held(verdict):
        return (Note("Warning", reasons.VERSION_REJECTED, words),)
    if awaiting(status) is None:
        return ()  # it serves: there is nothing to ask for
    # What is to be set comes first: an event is cut where it is too long.
    return (
        Note(
            "Normal",
            reasons.APPROVAL_NEEDED,
            f"version {candidate.version}: {asking(candidate)}; {verdict.message}"[:1000],
        ),
    )


def verdict_on(
    resource: TrainAndServe, candidate: Candidate, now: datetime, *, used: bool = False
) -> Verdict:
    """Every metric against its bounds, and whether a person must say yes.

    Parameters
    ----------
    used
        Whether the version serves, or is to be served: then nobody is asked whether it may.
    """
    before = Before()
    if incumbent := candidate.incumbent:
        on_error = resource.spec.evaluate.on_incumbent_error or "Reject"
        before = Before(incumbent.metrics, incumbent.error, on_error)
    checks = [check(metric, candidate.metrics, before, candidate.samples) for metric in resource.spec.metrics]
    approved_at = candidate.verdict.approved_at if candidate.verdict else None
    reason, message = _judgement(resource, checks, approved=approved_at is not None, used=used)
    return Verdict(
        accepted=reason in (reasons.ACCEPTED, reasons.APPROVED),
        reason=reason,
        message=message[:2048],
        gate_hash=gate_hash(resource),
        checks=checks,
        analysis=candidate.verdict.analysis if candidate.verdict else None,
        at=now,
        approved_at=approved_at,
    )


def _judgement(
    resource: TrainAndServe, checks: list[Check], *, approved: bool, used: bool
) -> tuple[str, str]:
    failed = "; ".join(one.message for one in checks if not one.passed and not one.inconclusive)
    doubts = "; ".join(one.message for one in checks if one.inconclusive)
    words = doubts or "; ".join(one.message for one in checks) or "no bounds are set"
    if failed:
        return reasons.REJECTED, failed
    asks = resource.spec.evaluate.approval == "Manual" and not used
    if not doubts and not asks:
        return reasons.ACCEPTED, words
    if approved:
        return reasons.APPROVED, f"approved by annotation; {words}"
    return reasons.INCONCLUSIVE if doubts else reasons.AWAITING_APPROVAL, words


def _summary(candidate: Candidate, verdict: Verdict) -> str | None:
    name = verdict.checks[0].name if verdict.checks else next(iter(candidate.metrics), None)
    value = candidate.metrics.get(name) if name else None
    return f"{name} {value:.4g}" if value is not None else None
