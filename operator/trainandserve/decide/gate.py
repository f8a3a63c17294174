"""Is the new version good enough to serve?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from .. import reasons
from ..hashes import gate_hash
from ..names import model_uri
from ..observation import Observation, Problem, Result, Unknown
from ..plan import Note, Plan
from ..resource import Candidate, Check, HistoryEntry, Incumbent, Metric, Run, Status, TrainAndServe, Verdict
from .run import finished, superseded
from .training import unjudged

_DEFAULT_HISTORY = 10


def judge(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Give the verdict on a result that was read, and again on a stored one whose bounds were edited."""
    run = plan.status.run
    if run is not None and unjudged(plan.status):
        return _judge_result(seen, plan, run, now)
    if _bounds_changed(seen.resource, plan.status):
        return _judge_again(seen.resource, plan, now)
    return plan


def _judge_result(seen: Observation, plan: Plan, run: Run, now: datetime) -> Plan:
    result = seen.result
    if superseded(seen, run):
        return finished(plan, run, now, state="Stopped", superseded=True)
    if result is None:
        return plan.then(wake=now)
    if isinstance(result, Unknown):
        return plan.then(again=True)
    if isinstance(result, Problem):
        return finished(plan, run, now, failed=True, state="Failed", message=result.message)
    if compared_with_another(seen.resource, plan.status, result.incumbent_version):
        if result.incumbent_version != run.incumbent:
            words = f"{_named(result.incumbent_version)} instead of {_named(run.incumbent)}"
            message = f"the run compared with {words}: is training.image older than the operator?"
            return finished(plan, run, now, failed=True, state="Failed", message=message)
        message = "another version serves now than the one it was compared with: evaluating again"
        return finished(plan, run, now, state="Lost", message=message)
    candidate = candidate_of(result, model_uri(run.prefix), run.training_hash)
    return _store(seen.resource, plan, candidate, now)


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


def compared_with_another(resource: TrainAndServe, status: Status, incumbent: int | None) -> bool:
    """Whether a bound on regression would be taken against a version that no longer serves."""
    serving = status.served.version if status.served else None
    return serving != incumbent and any(metric.max_regression is not None for metric in resource.spec.metrics)


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
    serves = plan.status.served is not None and plan.status.served.version == candidate.version
    incumbent = candidate.incumbent.version if candidate.incumbent else None
    if not serves and compared_with_another(resource, plan.status, incumbent):
        verdict = Verdict(
            accepted=False,
            reason=reasons.INCUMBENT_CHANGED,
            message="another version serves now than the one it was compared with: it is trained and compared again",
            gate_hash=gate_hash(resource),
            at=now,
        )
        status = plan.status.changed(candidate=candidate.changed(verdict=verdict), last_training_hash="")
        return plan.then(status=status)
    return _store(resource, plan, candidate, now)


def _store(resource: TrainAndServe, plan: Plan, candidate: Candidate, now: datetime) -> Plan:
    verdict = verdict_on(resource, candidate, now)
    before = candidate.verdict
    status = plan.status.changed(
        candidate=candidate.changed(verdict=verdict), summary=_summary(candidate, verdict)
    )
    status = remember(resource, status, now)
    if before is not None and before.accepted == verdict.accepted:
        return plan.then(status=status)
    words = f"version {candidate.version}: {verdict.message}"
    if verdict.accepted:
        return plan.then(status=status, notes=(Note("Normal", reasons.VERSION_ACCEPTED, words),))
    return plan.then(status=status, notes=(Note("Warning", reasons.VERSION_REJECTED, words),))


def verdict_on(resource: TrainAndServe, candidate: Candidate, now: datetime) -> Verdict:
    """Every metric against its bounds; one that is missing or no number rejects."""
    incumbent = candidate.incumbent.metrics if candidate.incumbent else None
    error = candidate.incumbent.error if candidate.incumbent else None
    checks = [check(metric, candidate.metrics, incumbent, error) for metric in resource.spec.metrics]
    failed = [one.message for one in checks if not one.passed]
    passed = "; ".join(one.message for one in checks) or "no bounds are set"
    return Verdict(
        accepted=not failed,
        reason=reasons.REJECTED if failed else reasons.ACCEPTED,
        message=("; ".join(failed) if failed else passed)[:2048],
        gate_hash=gate_hash(resource),
        checks=checks,
        at=now,
    )


def check(
    metric: Metric,
    values: Mapping[str, float | None],
    incumbent: Mapping[str, float | None] | None,
    error: str | None,
) -> Check:
    """One metric of the candidate against its absolute bounds and against the incumbent's value."""
    value = _number(values.get(metric.name))
    before = _number(incumbent.get(metric.name)) if incumbent else None
    wrong = _missed(metric, value, before, error)
    if value is None:
        message = f"{metric.name} is missing or not a number"
    else:
        shown = f"{value:.6g}"
        if wrong and float(shown) in (metric.min, metric.max):
            shown = repr(value)  # else it would read as if the bound was met
        message = f"{metric.name} {shown} {wrong or _kept(metric, before)}"
    return Check(name=metric.name, value=value, incumbent=before, passed=wrong is None, message=message)


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _missed(metric: Metric, value: float | None, before: float | None, error: str | None) -> str | None:
    if value is None:
        return "is missing"
    if metric.min is not None and value < metric.min:
        return f"is below min {metric.min:.12g}"
    if metric.max is not None and value > metric.max:
        return f"is above max {metric.max:.12g}"
    if metric.max_regression is None:
        return None
    if error is not None:
        return f"cannot be compared: {error}"
    if before is None:
        return None
    worse = before - value if metric.min is not None else value - before
    # The difference of two decimal fractions carries a rounding error; a bound that is met exactly is met.
    if worse > metric.max_regression + 1e-12 * max(1.0, abs(before)):
        return f"is {worse:.6g} worse than the version serving ({before:.6g}); maxRegression is {metric.max_regression:g}"
    return None


def _kept(metric: Metric, before: float | None) -> str:
    bounds = [
        f"min {metric.min:.12g}" if metric.min is not None else "",
        f"max {metric.max:.12g}" if metric.max is not None else "",
    ]
    words = "meets " + " and ".join(bound for bound in bounds if bound)
    return words if before is None or metric.max_regression is None else f"{words} (serving: {before:.6g})"


def _summary(candidate: Candidate, verdict: Verdict) -> str | None:
    name = verdict.checks[0].name if verdict.checks else next(iter(candidate.metrics), None)
    value = candidate.metrics.get(name) if name else None
    return f"{name} {value:.4g}" if value is not None else None


def remember(resource: TrainAndServe, status: Status, now: datetime) -> Status:
    """Put the candidate, as it was judged, at the head of the history."""
    candidate = status.candidate
    if candidate is None or candidate.verdict is None:
        return status
    entry = HistoryEntry(
        version=candidate.version,
        run_id=candidate.run_id,
        uri=candidate.uri,
        verdict=candidate.verdict.reason,
        metrics=candidate.metrics,
        data_digest=candidate.data_digest,
        result_digest=candidate.result_digest,
        at=now,
    )
    others = [one for one in status.history if one.run_id != candidate.run_id]
    return status.changed(history=[entry, *others][: resource.spec.history_limit or _DEFAULT_HISTORY])
