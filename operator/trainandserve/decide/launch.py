"""Is a new run due, and may it start now? One that trains, or one that only evaluates what was trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .. import reasons
from ..changes import between, said, training_fields
from ..hashes import gate_hash, retrain_token, training_hash
from ..names import RETRAIN, attempt_prefix, evaluation_prefix, run_id
from ..observation import Observation, Policy, Problem
from ..plan import Plan, SubmitRun
from ..resource import Candidate, Change, Run, RunKind, Status, Target, TrainAndServe, Verdict
from .evaluation import Again, evaluation_due, undecided
from .history import entry_of, remember
from .run import active

DEFAULT_RUN_RETRIES = 2
_NO_FAULT_PAUSE = timedelta(seconds=5)
"""Pause before another run where the last one was nobody's failure; doubled with each attempt, for no limit ends these."""


@dataclass(frozen=True)
class Intent:
    """A run that is due: for which version, which try, from when on, and why."""

    version: int
    attempt: int
    failures: int
    due: datetime | None
    reason: str
    kind: RunKind = "Train"


def intent(resource: TrainAndServe, status: Status, policy: Policy) -> Intent | None:
    """What is to be trained or evaluated next; None when nothing is.

    The same question decides what a pass looks at, so it depends on nothing but the resource and its status.
    """
    if resource.spec.suspend or resource.metadata.deletion_timestamp or status.last_version is None:
        return None
    if active(status) or unjudged(status):
        return None
    if again := evaluation_due(resource, status):
        return _evaluation(resource, status, policy, again)
    if made_already(resource, status):
        return None
    if _left_nothing(status) or status.last_training_hash != training_hash(resource.changed(status=status)):
        return Intent(status.last_version + 1, 1, 0, None, _reason(resource, status))
    return _retry(resource, status, policy)


def made_already(resource: TrainAndServe, status: Status) -> Target | None:
    """The version that is to be served, where it was made from just these inputs, or evaluated by them: an edit was taken back.

    An empty hash of the last try asks for another run all the same: its verdict needs another comparison.
    """
    target = status.served.target if status.served else None
    if target is None or status.last_training_hash == "":
        return None
    entry = entry_of(status, target.run_id)
    evaluated = entry.evaluation.training_hash if entry is not None and entry.evaluation else None
    asked = training_hash(resource.changed(status=status))
    return target if asked in (target.training_hash, evaluated) else None


def _left_nothing(status: Status) -> bool:
    """Whether all that was tried has left nothing, although the inputs are those of the last try.

    So it is with a run that was stopped, also where the edit that stopped it was taken back since; and with a status
    of which a part was lost.
    """
    if status.run is not None:
        return status.run.state == "Stopped" and not status.run.only_evaluates
    return status.candidate is None and (status.served is None or status.served.target is None)


def unjudged(status: Status) -> bool:
    """Whether a run succeeded whose result was not read yet."""
    run, candidate = status.run, status.candidate
    if run is None or run.state != "Succeeded":
        return False
    if run.only_evaluates:
        return candidate is None or candidate.evaluation is None or candidate.evaluation.run_id != run.id
    return candidate is None or candidate.run_id != run.id


def _reason(resource: TrainAndServe, status: Status) -> str:
    if status.last_training_hash is None:
        return "first version"
    if status.last_training_hash == "":
        return _not_evaluated(status.candidate)
    asked = resource.metadata.annotations.get(RETRAIN)
    if asked is not None and retrain_token(resource) != (status.last_handled_retrain or ""):
        return "asked for by the retrain annotation"
    changed = changed_inputs(resource, status)
    return f"the training inputs changed: {said(changed)}" if changed else "the training inputs changed"


def _not_evaluated(candidate: Candidate | None) -> str:
    verdict = candidate.verdict if candidate else None
    if verdict is not None and verdict.reason == reasons.INCUMBENT_CHANGED:
        return verdict.message[:1024]
    return "the newest version cannot be evaluated again as it lies in the storage"


def changed_inputs(resource: TrainAndServe, status: Status) -> list[Change]:
    """Which inputs are not those of the last run; none where those are not known field by field."""
    run = status.run
    if run is None or run.inputs is None:
        return []
    return between(run.inputs, training_fields(resource.changed(status=status)))


def _retry(resource: TrainAndServe, status: Status, policy: Policy) -> Intent | None:
    run = status.run
    if run is None or run.only_evaluates or run.state not in ("Failed", "Lost"):
        return None
    if retries_exhausted(resource, run):
        return None
    return Intent(run.version, run.attempt + 1, run.failures, _next_try(run, policy), _again(run))


def _next_try(run: Run, policy: Policy) -> datetime | None:
    pause = (
        policy.run_backoff * 2 ** min(run.failures - 1, 8)
        if run.failures
        else min(policy.run_backoff, _NO_FAULT_PAUSE) * 2 ** min(run.attempt - 1, 6)
    )
    return run.finished_at + pause if run.finished_at else None


def _again(run: Run) -> str:
    return f"again, attempt {run.attempt} ended as {run.state}"


def _evaluation(resource: TrainAndServe, status: Status, policy: Policy, again: Again) -> Intent | None:
    """A run that only evaluates; the tries at the same one count together, and end."""
    run, attempt = status.run, _tries(status, again.candidate) + 1
    wanted = Intent(again.candidate.version, attempt, 0, None, again.reason, "Evaluate")
    asked = training_hash(resource.changed(status=status))
    if run is None or not again.tried_by(run, asked) or run.state not in ("Failed", "Lost"):
        return wanted
    if retries_exhausted(resource, run):
        return None
    reason = f"{again.reason}; {_again(run)}"
    return replace(wanted, failures=run.failures, due=_next_try(run, policy), reason=reason[:2048])


def _tries(status: Status, candidate: Candidate) -> int:
    """How many runs there were for a version, as far as is known: the ids of the next must be others."""
    run = status.run
    entry = entry_of(status, candidate.run_id)
    return max(
        run.attempt if run is not None and run.version == candidate.version else 0,
        (entry.attempt or 0) if entry else 0,
        candidate.evaluation.attempt if candidate.evaluation else 0,
        1,
    )


def given_up(resource: TrainAndServe, status: Status) -> bool:
    """Whether what is due has failed as often as it may: nothing more is tried by itself."""
    run = status.run
    if run is None or run.state not in ("Failed", "Lost") or not retries_exhausted(resource, run):
        return False
    if not run.only_evaluates:
        return True
    again = evaluation_due(resource, status)
    return again is not None and again.tried_by(run, training_hash(resource.changed(status=status)))


def retries_exhausted(resource: TrainAndServe, run: Run) -> bool:
    """Whether as many runs failed for this version as training.runRetries allows."""
    limit = resource.spec.train.run_retries
    return run.failures > (DEFAULT_RUN_RETRIES if limit is None else limit)


def plan_run(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Store the next run as Submitting; the pass whose write stores it submits it, no other."""
    wanted = intent(seen.resource, plan.status, seen.policy)
    if wanted is None:
        return plan
    if wanted.due and now < wanted.due:
        return plan.then(wake=wanted.due)
    preflight = seen.preflight
    if preflight is None:
        return plan.then(wake=now)
    if preflight.problems:
        return plan.then(again=True)
    if wanted.kind == "Evaluate" and preflight.unusable:
        return _train_instead(seen.resource, plan, preflight.unusable, now)
    if not preflight.slot:
        return plan.then(again=True)
    if wanted.kind == "Train" and preflight.data_digest is None:
        return plan.then(again=True)  # it was looked at for an evaluation, which may not take that data
    run = _run(seen, plan.status, wanted, now)
    status = plan.status.changed(run=run)
    if wanted.kind == "Train":
        # What an evaluation answers is noted when its result was read: until then it is asked for still.
        status = status.changed(
            last_version=max(wanted.version, plan.status.last_version or 0),
            last_training_hash=run.training_hash,
            last_handled_retrain=retrain_token(seen.resource) or None,
        )
    if preflight.taken:
        return plan.then(
            status=status, wake=now
        )  # of a time that the status does not know: found, then followed
    return plan.then(SubmitRun(run), status=status, wake=now + seen.policy.submit_patience)


def _train_instead(resource: TrainAndServe, plan: Plan, problem: Problem, now: datetime) -> Plan:
    """A version whose files are gone or changed cannot be evaluated: another one is trained, and compared."""
    candidate = plan.status.candidate
    assert candidate is not None
    words = (
        f"version {candidate.version} cannot be evaluated again ({problem.message}): another one is trained"
    )
    status = plan.status.changed(last_training_hash="")
    if undecided(candidate.verdict):
        verdict = Verdict(
            accepted=False,
            reason=reasons.INCUMBENT_CHANGED,
            message=words[:1024],
            gate_hash=gate_hash(resource),
            at=now,
        )
        status = remember(resource, status.changed(candidate=candidate.changed(verdict=verdict)))
    return plan.then(status=status, wake=now)


def _run(seen: Observation, status: Status, wanted: Intent, now: datetime) -> Run:
    resource, preflight = seen.resource, seen.preflight
    assert preflight is not None
    identity = run_id(resource.metadata.uid, wanted.version, wanted.attempt)
    run = Run(
        version=wanted.version,
        attempt=wanted.attempt,
        id=identity,
        state="Submitting",
        reason=wanted.reason,
        training_hash=training_hash(resource),
        inputs=training_fields(resource),
        data_digest=preflight.data_digest,
        evaluation_digest=preflight.evaluation_digest,
        incumbent=status.served.version if status.served else None,
        prefix=attempt_prefix(resource, wanted.version, identity),
        failures=wanted.failures,
        submitted_at=now,
    )
    if wanted.kind == "Train":
        return run
    again = evaluation_due(resource, status)
    assert again is not None
    return run.changed(
        kind="Evaluate",
        evaluates=again.candidate.run_id,
        incumbent=again.incumbent,
        prefix=evaluation_prefix(again.candidate.uri, identity),
    )
