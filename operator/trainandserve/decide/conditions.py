"""The whole in conditions and one word: the table of the design, made in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .. import reasons
from ..names import candidate_service
from ..observation import Observation, Problem, Unknown
from ..plan import Plan
from ..resource import Condition, Phase, Run, Served, Status, Target
from . import workload
from .analysis import analysis_refused, inconclusive
from .approval import asking, awaiting
from .evaluation import evaluation_due, undecided
from .evidence import measuring
from .launch import given_up, intent, made_already, retries_exhausted
from .promotion import pin_trouble
from .rollout import canary_refused, refused, steps
from .run import active

_ORDER = ("Ready", "Reconciling", "Stalled", "ModelTrained", "ModelAccepted", "ModelServed")


def with_condition(
    status: Status, kind: str, state: str, reason: str, message: str, generation: int, now: datetime
) -> Status:
    """The status with one condition set; its transition time moves only when its status does."""
    before = status.condition(kind)
    since = before.last_transition_time if before and before.status == state else now
    condition = Condition(
        type=kind,
        status=state,
        reason=reason,
        message=message[:2048],
        last_transition_time=since,
        observed_generation=generation,
    )
    others = [one for one in status.conditions if one.type != kind]
    return status.changed(conditions=sorted([*others, condition], key=_place))


def _place(condition: Condition) -> int:
    """Its place in the list; one that somebody else wrote comes last."""
    return _ORDER.index(condition.type) if condition.type in _ORDER else len(_ORDER)


def without_condition(status: Status, kind: str) -> Status:
    """The status without that condition: Reconciling and Stalled are there only while they are true."""
    return status.changed(conditions=[one for one in status.conditions if one.type != kind])


@dataclass(frozen=True)
class Findings:
    """What the summary is made of."""

    answers: bool
    """A version was proven and has a pod that is ready."""
    rolling: bool
    """The InferenceService is not yet, or no longer, what the target asks for."""
    training: bool
    queued: bool
    ended: bool
    """Nothing will happen by itself: rejected, or all runs failed."""
    problem: Problem | None
    pin: Problem | None
    """Why the pinned version is not the one that serves or comes up."""
    refused: Problem | None
    """What the resource asks for and this cluster cannot do, or does not say."""


def summarise(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Write phase and conditions from the plan's status and what was seen."""
    found = _findings(seen, plan)
    generation = seen.resource.metadata.generation
    status = plan.status.changed(observed_generation=generation)
    status = _model_trained(seen, status, found, now)
    status = _model_accepted(seen, status, now)
    status = _model_served(seen, status, found, now)
    status = status.changed(phase=_phase(seen, status, found))
    if seen.resource.spec.suspend:
        return plan.then(status=_suspended(seen, status, found, now))
    return plan.then(status=_summary(seen, status, found, now), again=found.problem is not None)


def _findings(seen: Observation, plan: Plan) -> Findings:
    status = plan.status
    served = status.served or Served()
    due = intent(seen.resource, status, seen.policy)
    problem = _problem(seen)
    rolling = served.target is not None and not (
        served.target.run_id == served.run_id and workload.in_place(seen, served.target)
    )
    return Findings(
        answers=served.version is not None and workload.has_ready_pod(seen),
        rolling=rolling,
        training=active(status) or (due is not None and due.attempt > 1),
        queued=due is not None
        and seen.preflight is not None
        and not seen.preflight.slot
        and not seen.preflight.problems,
        ended=due is None and not active(status) and not awaiting(status) and _ended(seen, status),
        problem=problem,
        pin=pin_trouble(seen, status),
        refused=canary_refused(seen) or analysis_refused(seen) or inconclusive(seen, status),
    )


def _ended(seen: Observation, status: Status) -> bool:
    verdict = status.candidate.verdict if status.candidate is not None else None
    rejected = verdict is not None and not verdict.accepted and not undecided(verdict)
    return given_up(seen.resource, status) or rejected


def _problem(seen: Observation) -> Problem | None:
    """The first thing outside that is missing or unknown."""
    if workload.not_ours(seen):
        return Problem(
            reasons.NOT_OURS,
            f"an InferenceService {seen.resource.metadata.name} exists that this resource did not make; it is left alone: "
            "delete it, or give this resource another name",
        )
    rollout = seen.resource.status.rollout
    if rollout is not None and rollout.stage == "Proving" and workload.foreign(seen, seen.candidate_service):
        return Problem(
            reasons.NOT_OURS,
            f"version {rollout.version} is to be proven on an InferenceService {candidate_service(*seen.resource.key)}, and one "
            "exists that this resource did not make; it is left alone: delete it, or give this resource another name",
        )
    if seen.failure is not None:
        return seen.failure
    if seen.preflight is not None and seen.preflight.problems:
        return seen.preflight.problems[0]
    unknown = (seen.recovery, seen.inference_service, seen.run, seen.workflows, seen.result)
    return next((reading for reading in unknown if isinstance(reading, Unknown)), None)


# --- One condition each -------------------------------------------------------------------------------------------


def _model_trained(seen: Observation, status: Status, found: Findings, now: datetime) -> Status:
    state, reason, message = _trained_words(seen, status, found)
    return with_condition(
        status, "ModelTrained", state, reason, message, seen.resource.metadata.generation, now
    )


def _trained_words(seen: Observation, status: Status, found: Findings) -> tuple[str, str, str]:
    run = status.run
    preflight = seen.preflight
    if run is not None and run.only_evaluates and (told := _evaluated_words(seen, status, run)):
        return told
    if active(status) and run is not None:
        words = f"version {run.version}, attempt {run.attempt}: {run.reason}"
        if run.state == "Stopping":
            why = f": {run.message}" if run.message else ""
            return "Unknown", reasons.RUN_STOPPED, f"{words}; being stopped{why}"
        if run.state == "Submitting":
            reason = reasons.SUBMISSION_UNCERTAIN if run.message else reasons.TRAINING
            return "Unknown", reason, run.message or f"{words}; being submitted"
        return "Unknown", reasons.RUN_STUCK if run.message else reasons.TRAINING, run.message or words
    if isinstance(seen.recovery, Unknown):  # nothing is planned before it is known what there was
        return "Unknown", seen.recovery.reason, seen.recovery.message
    if preflight is not None and preflight.problems:
        text = "; ".join(problem.message for problem in preflight.problems)
        return "Unknown", preflight.problems[0].reason, text
    if found.queued:
        return (
            "Unknown",
            reasons.QUEUED,
            "as many runs as the operator's settings allow are under way; this one waits",
        )
    if (made := made_already(seen.resource, status)) and (run is None or run.version != made.version):
        return "True", reasons.TRAINED, f"version {made.version} was trained from these inputs"
    if run is None or run.state == "Stopped":
        return (
            "Unknown",
            reasons.RUN_STOPPED if run else reasons.PROGRESSING,
            "the next run is being prepared",
        )
    if run.state == "Succeeded":
        return "True", reasons.TRAINED, f"version {run.version} was trained by run {run.made_by}"
    if retries_exhausted(seen.resource, run):
        advice = (
            "change the training, or set the annotation trainandserve.io/retrain to a new value, to try again"
        )
        return (
            "False",
            reasons.RETRIES_EXHAUSTED,
            f"version {run.version}: {run.failures} runs failed, the last: {run.message}; {advice}",
        )
    reason = reasons.RUN_FAILED if run.state == "Failed" else reasons.RUN_LOST
    return "False", reason, f"version {run.version}, attempt {run.attempt}: {run.message}; it is tried again"


def _evaluated_words(seen: Observation, status: Status, run: Run) -> tuple[str, str, str] | None:
    """Of a run that only evaluates: the model is trained, whatever becomes of it; None where that is all there is to say."""
    words = f"version {run.version} is trained"
    tried = f"attempt {run.attempt}: {run.reason}"
    if active(status):
        if run.message:
            reason = reasons.SUBMISSION_UNCERTAIN if run.state == "Submitting" else reasons.RUN_STUCK
            return "True", reason, f"{words}; {tried}; {run.message}"
        return "True", reasons.EVALUATING, f"{words}; {tried}"
    if run.state not in ("Failed", "Lost") or (seen.preflight is not None and seen.preflight.problems):
        return None
    if given_up(seen.resource, status):
        advice = "correct what the message names and raise training.runRetries, or set the annotation trainandserve.io/retrain "
        advice += "to a new value to train another"
        text = f"version {run.version}: {run.failures} evaluations failed, the last: {run.message}; {advice}"
        return "False", reasons.RETRIES_EXHAUSTED, text
    if evaluation_due(seen.resource, status) is None:
        return "True", reasons.TRAINED, f"{words}, by run {run.made_by}"
    reason = reasons.RUN_FAILED if run.state == "Failed" else reasons.RUN_LOST
    return "True", reason, f"{words}; {tried}: {run.message}; it is tried again"


def _model_accepted(seen: Observation, status: Status, now: datetime) -> Status:
    verdict = status.candidate.verdict if status.candidate else None
    generation = seen.resource.metadata.generation
    if status.candidate is None or verdict is None:
        return with_condition(
            status,
            "ModelAccepted",
            "Unknown",
            reasons.NOT_JUDGED,
            "no version was judged yet",
            generation,
            now,
        )
    state = "True" if verdict.accepted else "Unknown" if undecided(verdict) else "False"
    words = f"version {status.candidate.version}: {verdict.message}"
    if waits := awaiting(status):
        words = f"version {waits.version}: {asking(waits)}; {verdict.message}"
    return with_condition(status, "ModelAccepted", state, verdict.reason, words, generation, now)


def _model_served(seen: Observation, status: Status, found: Findings, now: datetime) -> Status:
    state, reason, message = _served_words(seen, status, found, now)
    return with_condition(
        status, "ModelServed", state, reason, message, seen.resource.metadata.generation, now
    )


def _served_words(seen: Observation, status: Status, found: Findings, now: datetime) -> tuple[str, str, str]:
    served = status.served or Served()
    if workload.not_ours(seen) and found.problem:
        return "False", reasons.NOT_OURS, found.problem.message
    if served.target is None:
        return "False", reasons.NOTHING_TO_SERVE, "no version was accepted yet; nothing is served"
    if not found.rolling:
        skipped = (served.proof or "").find("not tried") >= 0
        return (
            "True",
            reasons.SMOKE_SKIPPED if skipped else reasons.PROVEN,
            f"version {served.version}: {served.proof}",
        )
    stuck = _rolling_for(status, now) > seen.policy.proof_deadline and not _takes_its_time(status)
    reason = reasons.ROLLOUT_STUCK if stuck else reasons.ROLLING_OUT
    if (held := _held_in_the_dark(seen, status)) is not None:
        words = f"version {served.version} serves, version {served.target.version} is held: {held.message}"
        return "True", held.reason, words
    if inconclusive(seen, status):
        reason = reasons.ANALYSIS_INCONCLUSIVE
    if served.run_id == served.target.run_id:
        trouble = f": {seen.server_trouble.message}" if seen.server_trouble else ""
        if found.answers:
            words = f"version {served.version} serves while its pods are being changed{trouble}"
            return "True", reason, words
        return "False", reason, f"version {served.version} is coming up{trouble}"
    words = _coming_up(seen, status, served.target)
    if found.answers:
        return "True", reason, f"version {served.version} serves, {words}"
    return "False", reason, words


def _held_in_the_dark(seen: Observation, status: Status) -> Problem | None:
    rollout = status.rollout
    return refused(seen, rollout) if rollout is not None and rollout.stage == "Proving" else None


def _takes_its_time(status: Status) -> bool:
    """Whether the version is at a stage that is held for its time, and nothing is in its way."""
    rollout = status.rollout
    if rollout is None or rollout.since is None or rollout.message is not None:
        return False
    return rollout.stage == "Canary" or measuring(rollout)


def _coming_up(seen: Observation, status: Status, target: Target) -> str:
    rollout = status.rollout
    how = "is coming up"
    if rollout is not None and rollout.stage == "Proving":
        how = f"is being proven without users, {_where(seen)}"
    if rollout is not None and rollout.stage == "Canary":
        how = f"gets {rollout.traffic or 0}% of the requests, step {rollout.step} of {len(steps(seen.resource))}"
    held = f": {rollout.message}" if rollout is not None and rollout.message else ""
    return f"version {target.version} {how}{held}"


def _where(seen: Observation) -> str:
    if workload.is_knative(seen):
        return "as a revision without traffic"
    return f"on {candidate_service(*seen.resource.key)}"


def _rolling_for(status: Status, now: datetime) -> timedelta:
    before = status.condition("Reconciling")
    return now - before.last_transition_time if before else timedelta(0)


# --- The summary --------------------------------------------------------------------------------------------------


def _phase(seen: Observation, status: Status, found: Findings) -> Phase:
    if seen.resource.spec.suspend:
        return "Suspended"
    if found.rolling:
        return "RollingOut"
    if active(status):
        return "Training"
    if found.queued:
        return "Queued"
    if awaiting(status):
        return "AwaitingApproval"
    if found.problem is not None and status.phase not in (None, "Suspended") and found.answers:
        return status.phase if status.phase != "Pending" else "Serving"
    if found.training:
        return "Training"
    if found.answers:
        return "Serving"
    return "Failed" if found.ended else "Pending"


def _summary(seen: Observation, status: Status, found: Findings, now: datetime) -> Status:
    generation = seen.resource.metadata.generation
    state, reason, message = _ready_words(status, found)
    status = with_condition(status, "Ready", state, reason, message, generation, now)
    if _reconciling(found):
        status = with_condition(
            status, "Reconciling", "True", reasons.PROGRESSING, _under_way(status), generation, now
        )
    else:
        status = without_condition(status, "Reconciling")
    if found.ended and not found.answers and not found.rolling:
        return with_condition(status, "Stalled", "True", reason, message, generation, now)
    return without_condition(status, "Stalled")


def _reconciling(found: Findings) -> bool:
    if found.answers:
        return found.rolling
    return not found.ended or found.rolling


def _ready_words(status: Status, found: Findings) -> tuple[str, str, str]:
    served = status.served or Served()
    if found.answers:
        pinned = status.pin is not None and status.pin.run_id == served.run_id
        words = f"version {served.version} serves{', as pinned' if pinned else ''}"
        if trouble := found.problem or found.pin or found.refused:
            return "True", trouble.reason, f"{words}; {trouble.message}"
        for kind in ("ModelTrained", "ModelAccepted"):
            condition = status.condition(kind)
            if condition and condition.status == "False":
                return "True", condition.reason, f"{words}; {condition.message}"
        if accepted := _asked(status):
            return "True", accepted.reason, f"{words}; {accepted.message}"
        return "True", reasons.SERVING, words
    if trouble := found.problem or found.pin:
        return "False", trouble.reason, trouble.message
    if served.version is not None:
        return "False", reasons.NOT_ANSWERING, f"version {served.version} has no pod that is ready"
    condition = next(
        (c for c in status.conditions if c.type.startswith("Model") and c.status == "False"), None
    )
    if (accepted := _asked(status)) and not found.rolling and not found.training:
        return "False", accepted.reason, accepted.message
    trained = status.condition("ModelTrained")
    if found.ended and condition is not None:
        return "False", condition.reason, condition.message
    return (
        "False",
        reasons.NOT_SERVED_YET,
        (trained.message if trained and not found.rolling else _under_way(status)),
    )


def _asked(status: Status) -> Condition | None:
    """The condition that asks a person to approve, where one waits."""
    return status.condition("ModelAccepted") if awaiting(status) else None


def _under_way(status: Status) -> str:
    trained = status.condition("ModelTrained")
    if (accepted := _asked(status)) and trained and trained.status == "True":
        return accepted.message
    for kind in ("ModelServed", "ModelTrained"):
        condition = status.condition(kind)
        if condition and condition.reason not in (
            reasons.NOTHING_TO_SERVE,
            reasons.PROVEN,
            reasons.SMOKE_SKIPPED,
        ):
            return condition.message
    return "something outside is missing or unknown"


def _suspended(seen: Observation, status: Status, found: Findings, now: datetime) -> Status:
    """Suspended: Ready stays what it was, unless the pods themselves say otherwise; nothing is under way."""
    ready = status.condition("Ready")
    generation = seen.resource.metadata.generation
    answers = found.answers
    served = status.served or Served()
    words = f"suspended; version {served.version} serves" if answers else "suspended; nothing serves"
    state = ("True" if answers else "False") if workload.pods_are_known(seen) or not ready else ready.status
    status = with_condition(status, "Ready", state, reasons.SUSPENDED, words, generation, now)
    return without_condition(without_condition(status, "Reconciling"), "Stalled")
