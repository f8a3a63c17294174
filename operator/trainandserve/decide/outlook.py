"""What will be done next, and why?

Says nothing that is not in the resource, its status and what was looked at before a run, and no time but those that are stored:
so it changes only when one of them does, and is never itself a reason to write.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import reasons
from ..changes import said
from ..durations import format_duration
from ..hashes import training_hash
from ..observation import Observation, Preflight
from ..plan import Plan
from ..resource import (
    Candidate,
    Metric,
    NextStep,
    Outlook,
    Rollout,
    Run,
    Served,
    Status,
    Target,
    TrainAndServe,
)
from .analysis import asked as measured_by
from .approval import asking, awaiting
from .evaluation import undecided
from .evidence import measuring
from .launch import Intent, changed_inputs, given_up, intent, unjudged
from .rollout import percent, refused, step_duration
from .rollout import steps as shares
from .run import active, train_deadline

_STEPS = 8
_CHANGES = 16
_CHANGING = (reasons.ROLLING_OUT, reasons.ROLLOUT_STUCK)


def foresee(seen: Observation, plan: Plan) -> Plan:
    """Store the outlook with the status that it follows from."""
    return plan.then(status=plan.status.changed(plan=outlook(seen, plan.status)))


def outlook(seen: Observation, status: Status) -> Outlook:
    """What follows from a status, as far as it depends on nothing that is still to come."""
    resource = seen.resource.changed(status=status)
    steps = list(_held(seen, resource) if resource.spec.suspend else _steps(seen, resource))
    pending = training_hash(resource) != (status.run.training_hash if status.run else None)
    changes = changed_inputs(resource, status) if pending else []
    more = len(changes) - _CHANGES
    return Outlook(
        steps=steps[:_STEPS], changes=changes[:_CHANGES], further_changes=more if more > 0 else None
    )


def _held(seen: Observation, resource: TrainAndServe) -> Iterator[NextStep]:
    """A suspended resource: what goes on, then what comes once it is let go."""
    if active(resource.status) and resource.status.run is not None:
        yield _run_goes_on(seen, resource, resource.status.run)
    yield NextStep(
        action="Wait", message="suspended: nothing is started or applied until spec.suspend is false"
    )
    free = resource.changed(spec=resource.spec.changed(suspend=None))
    if not active(resource.status):
        yield from (step for step in _steps(seen, free) if step.action != "Nothing")


def _steps(seen: Observation, resource: TrainAndServe) -> Iterator[NextStep]:
    status = resource.status
    if status.last_version is None:
        yield NextStep(
            action="Look",
            message="what the storage, the InferenceService and Kubeflow Pipelines know of it is looked for",
        )
        return
    found = [*_serving(seen, status), *_asking(status), *_training(seen, resource)]
    yield from found or [NextStep(action="Nothing", message=_rest(resource))]


# --- Serving ------------------------------------------------------------------------------------------------------


def _serving(seen: Observation, status: Status) -> Iterator[NextStep]:
    served = status.served
    if served is None or served.target is None:
        return
    target = served.target
    if served.run_id != target.run_id:
        yield _rollout(seen, status, served, target)
        return
    condition = status.condition("ModelServed")
    if condition is not None and condition.reason in _CHANGING:
        message = f"the pods of the model server are changed; version {target.version} stays"
        yield NextStep(action="RollOut", version=target.version, message=message)


def _rollout(seen: Observation, status: Status, served: Served, target: Target) -> NextStep:
    """How the version that is to be served comes to serve, and until when."""
    rollout = status.rollout if status.rollout and status.rollout.run_id == target.run_id else None
    apart = rollout is not None and rollout.stage == "Proving"
    words = f"version {target.version} is proven without users, then it replaces version {served.version}; "
    words += f"if it cannot be proven, version {served.version} stays"
    if not apart:
        otherwise = f"version {served.version} is applied again" if served.version else "it is taken down"
        words = (
            f"version {target.version} is brought before users and proven there; if that fails, {otherwise}"
        )
    since = rollout.since if rollout and not measuring(rollout) else None
    if rollout is not None and apart and (held := refused(seen, rollout)):
        return NextStep(action="Wait", version=target.version, message=held.message)
    if rollout is not None:
        words += _measured(seen, rollout)
    if rollout is not None and rollout.stage == "Canary":
        return NextStep(action="RollOut", version=target.version, message=_canary(seen, rollout, served))
    return NextStep(
        action="Prove" if apart else "RollOut",
        version=target.version,
        message=words,
        deadline=since + seen.policy.proof_deadline if since else None,
    )


def _asking(status: Status) -> Iterator[NextStep]:
    if waits := awaiting(status):
        yield NextStep(
            action="Wait", version=waits.version, message=f"version {waits.version}: {asking(waits)}"
        )


def _canary(seen: Observation, rollout: Rollout, served: Served) -> str:
    asked = percent(seen.resource, rollout)
    words = f"version {rollout.version} gets {asked}% of the requests, step {rollout.step} of {len(shares(seen.resource))}, for "
    words += f"{format_duration(step_duration(seen.resource))} and until its answers are right; then the next step, in the end all; "
    words += f"if it fails, version {served.version} gets all of them again"
    return words + _measured(seen, rollout)


def _measured(seen: Observation, rollout: Rollout) -> str:
    names = ", ".join(one.query for one in measured_by(seen, rollout))
    return f"; measured by {names}" if names else ""


# --- Training -----------------------------------------------------------------------------------------------------


def _training(seen: Observation, resource: TrainAndServe) -> Iterator[NextStep]:
    status = resource.status
    run = status.run
    if run is not None and active(status):
        yield from _under_way(seen, resource, run)
        return
    if run is not None and unjudged(status):
        yield from _after_run(resource, run.version)
        return
    wanted = intent(resource, status, seen.policy)
    if wanted is not None:
        yield from _next_run(seen, resource, wanted)


def _under_way(seen: Observation, resource: TrainAndServe, run: Run) -> Iterator[NextStep]:
    superseded = training_hash(resource) != run.training_hash
    if run.state != "Stopping" and not superseded:
        yield _run_goes_on(seen, resource, run)
        yield from _after_run(resource, run.version)
        return
    changed = said(changed_inputs(resource, resource.status)) if superseded else ""
    why = (
        f"the training inputs changed: {changed}" if changed else run.message or "the training inputs changed"
    )
    yield NextStep(
        action="Stop",
        version=run.version,
        message=f"the run of version {run.version} is stopped: {why}"[:2048],
    )
    over = "Stopped" if superseded or run.superseded else "Failed"
    failures = run.failures + (over == "Failed")
    ended = resource.status.changed(run=run.changed(state=over, failures=failures))
    wanted = intent(resource, ended, seen.policy)
    if wanted is not None:
        yield from _next_run(seen, resource, wanted)


def _run_goes_on(seen: Observation, resource: TrainAndServe, run: Run) -> NextStep:
    what = "is being submitted" if run.state == "Submitting" else f"is under way as run {run.id}"
    about = f"evaluation of version {run.version}" if run.only_evaluates else f"version {run.version}"
    deadline = (
        run.submitted_at + seen.policy.submit_patience
        if run.state == "Submitting"
        else train_deadline(resource, run)
    )
    return NextStep(
        action="Evaluate" if run.only_evaluates else "Train",
        version=run.version,
        message=f"{about}, attempt {run.attempt}, {what}: {run.reason}"[:2048],
        deadline=deadline,
    )


def _next_run(seen: Observation, resource: TrainAndServe, wanted: Intent) -> Iterator[NextStep]:
    attempt = f", attempt {wanted.attempt}," if wanted.attempt > 1 else ""
    done = "is evaluated, not trained" if wanted.kind == "Evaluate" else "is trained"
    message = f"version {wanted.version}{attempt} {done}: {wanted.reason}{_waits_for(seen.preflight)}"
    yield NextStep(action=wanted.kind, version=wanted.version, message=message[:2048], not_before=wanted.due)
    yield from _after_run(resource, wanted.version)


def _waits_for(preflight: Preflight | None) -> str:
    if preflight is None:
        return ""
    if preflight.problems:
        return f"; that waits until this is put right: {preflight.problems[0].message}"
    return "" if preflight.slot else "; that waits for a free place among the runs"


def _after_run(resource: TrainAndServe, version: int) -> Iterator[NextStep]:
    served = resource.status.served
    against = served.version if served and served.version != version else None
    yield NextStep(
        action="Judge",
        version=version,
        message=f"the result of version {version} is judged: {_bounds(resource, against)}",
    )
    if served is not None and served.version == version:
        return  # an evaluation of what serves: whatever it says, that goes on
    pinned = resource.spec.serve.pinned_version
    if pinned not in (None, version):
        words = f"if version {version} is accepted, that is recorded; version {pinned} is pinned"
        yield NextStep(action="Wait", version=version, message=words)
        return
    place = f"it replaces version {against}" if against else "it is served"
    asks = " and a person approves it" if resource.spec.evaluate.approval == "Manual" else ""
    yield NextStep(
        action="RollOut",
        version=version,
        message=f"if version {version} is accepted{asks}, {place} once it is proven to serve",
    )


def _bounds(resource: TrainAndServe, against: int | None) -> str:
    words = "; ".join(_bound(metric, against) for metric in resource.spec.metrics)
    return words[:1024] or "no bounds are set, so it is accepted"


def _bound(metric: Metric, against: int | None) -> str:
    parts = [
        f"min {metric.min:.12g}" if metric.min is not None else "",
        f"max {metric.max:.12g}" if metric.max is not None else "",
        f"maxRegression {metric.max_regression:.12g} against version {against}"
        if metric.max_regression is not None and against
        else "",
    ]
    return f"{metric.name} {', '.join(part for part in parts if part)}".rstrip()


# --- Nothing ------------------------------------------------------------------------------------------------------


def _rest(resource: TrainAndServe) -> str:
    """Why nothing is due, and what would change that."""
    run, candidate = resource.status.run, resource.status.candidate
    starts = "an edit of the training or a new value of the annotation trainandserve.io/retrain starts again"
    if run is not None and given_up(resource, resource.status):
        what = "evaluation of" if run.only_evaluates else "run for"
        return f"every {what} version {run.version} failed: {starts}"
    if candidate is not None and _turned_down(candidate):
        return f"version {candidate.version} was turned down: {starts}; an edit of the bounds judges it again"
    return f"nothing is due: {starts}"


def _turned_down(candidate: Candidate) -> bool:
    verdict = candidate.verdict
    return verdict is not None and not verdict.accepted and not undecided(verdict)
