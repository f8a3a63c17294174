"""By what steps does the version that is to be served come to serve?

Where a proven version serves, the next one is first proven without users: in Standard mode on an InferenceService of its own, in
Knative mode as a revision that gets no traffic. Only then users are sent to it, all at once or in steps. A version that fails
before has never been near them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .. import reasons
from ..inference_service import candidate_manifest, differs, left_over, manifest
from ..names import candidate_service
from ..observation import InferenceService, Observation, Problem, Unknown
from ..plan import ApplyCandidateService, DeleteCandidateService, Plan
from ..resource import Rollout, RolloutStage, Served, Status, Target, TrainAndServe
from .analysis import analysis_refused, anew, asked, counted, judged, kept, said_once
from .evidence import Evidence, Weight, timed, weigh
from .fallback import go_back
from .workload import (
    Place,
    applied,
    candidates_place,
    deployment_mode,
    foreign,
    is_knative,
    share,
    users_place,
)

_DEFAULT_STEPS = (10, 50)
_DEFAULT_STEP_DURATION = timedelta(minutes=5)
_LOOK_AT_STEP = timedelta(seconds=1)


def roll_out(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Bring the target on its way: proven apart first, then before users. Without a way to go, clear up behind it."""
    served = plan.status.served or Served()
    target = served.target
    if target is None or target.run_id == served.run_id:
        return _clear_up(seen, plan.then(status=kept(plan.status).changed(rollout=None)))
    rollout = plan.status.rollout
    if rollout is None or rollout.run_id != target.run_id:
        plan, rollout = plan.then(status=kept(plan.status)), _begun(seen, served, target, now)
        plan = plan.then(status=plan.status.changed(rollout=rollout))
    match rollout.stage:
        case "Proving":
            return _prove_apart(seen, plan, rollout, target, now)
        case "Canary":
            return _hold_step(seen, plan, rollout, target, now)
    return _clear_up(seen, plan)


def not_before_all(status: Status) -> bool:
    """Whether a version is being rolled out that not all users are sent to yet."""
    return status.rollout is not None and status.rollout.stage != "Promoting"


def place_of_proof(seen: Observation) -> Place:
    """Where the target is to be proven now."""
    return candidates_place(seen) if not_before_all(seen.resource.status) else users_place(seen)


def steps(resource: TrainAndServe) -> tuple[int, ...]:
    """The percentages of the requests that a canary gets before it gets all; none without a canary."""
    plan = resource.spec.rollout
    return tuple(plan.steps or _DEFAULT_STEPS) if plan.strategy == "Canary" else ()


def step_duration(resource: TrainAndServe) -> timedelta:
    """How long a step of a canary is held at least."""
    return resource.spec.rollout.step_duration or _DEFAULT_STEP_DURATION


def canary_refused(seen: Observation) -> Problem | None:
    """Why traffic cannot be split as the resource asks for it; None where it can, or is not asked for."""
    if not steps(seen.resource) or is_knative(seen):
        return None
    words = "serving.rollout.strategy is Canary, and KServe splits no traffic in Standard mode: write strategy: Replace, which proves "
    words += "every version without users first; or have the InferenceService run in Knative mode (TAS_DEPLOYMENT_MODE, before it is made)"
    return Problem(reasons.CANARY_REFUSED, words)


def refused(seen: Observation, rollout: Rollout) -> Problem | None:
    """Why a version is held in the dark, for what its resource asks for cannot be done; None where nothing holds it."""
    return canary_refused(seen) or (analysis_refused(seen) if asked(seen, rollout) else None)


def _begun(seen: Observation, served: Served, target: Target, now: datetime) -> Rollout:
    """A rollout at its first stage. Its clock runs, for it is applied in the same pass; the next one stops it if it was not.

    Nothing is proven apart where nothing serves yet (the first version ever, a status that was lost), or where users are being
    sent to the target already.
    """
    room = is_knative(seen) or candidate_service(*seen.resource.key) is not None
    at_once = served.version is None or applied(seen, target) or not room
    stage: RolloutStage = "Promoting" if at_once else "Proving"
    return Rollout(version=target.version, run_id=target.run_id, stage=stage, since=now)


def _prove_apart(seen: Observation, plan: Plan, rollout: Rollout, target: Target, now: datetime) -> Plan:
    if problem := refused(seen, rollout):
        return _kept(plan, anew(rollout.changed(since=None, message=problem.message)))
    place = candidates_place(seen)
    rollout = timed(seen, place, rollout, target, now).changed(traffic=share(seen, target.run_id))
    rollout = counted(seen, rollout, now)
    if is_knative(seen) and edited(seen, target):
        rollout = rollout.changed(analysis=None)
    plan = _kept(plan, rollout)
    if seen.resource.spec.suspend:
        return plan
    if isinstance(place.service, Unknown) or place.service is None or foreign(seen, place.service):
        return plan.then(again=True)
    if denied := _denied(seen, target):
        return _reject(seen, plan, target, denied, now)
    if not is_knative(seen) and (applying := _apply_candidate(seen, plan, place, target)) is not None:
        return _kept(applying, rollout.changed(analysis=None))
    plan, rollout, found = weighed(seen, plan, place, rollout, target, now)
    if found.weight is Weight.PROVEN:
        return _clear_up(seen, _kept(plan, _next(seen, rollout, now)))
    if found.weight is Weight.FAILED:
        return _reject(seen, plan, target, found.words, now)
    return plan.then(wake=found.wake)


def _hold_step(seen: Observation, plan: Plan, rollout: Rollout, target: Target, now: datetime) -> Plan:
    """A step of a canary: held for its time, from when its share was seen, and until the analysis is content."""
    wanted, found_share = percent(seen.resource, rollout), share(seen, target.run_id)
    if wanted is None or not is_knative(seen):
        return _kept(plan, anew(rollout.changed(stage="Promoting", step=None, since=now, message=None)))
    if edited(seen, target):
        again = rollout.changed(stage="Proving", step=None, since=now, message=None, analysis=None)
        return _kept(plan, again)
    place = candidates_place(seen)
    there = found_share is not None and found_share >= wanted
    rollout = timed(seen, place, rollout, target, now).changed(traffic=found_share)
    rollout = counted(seen, rollout if there else rollout.changed(since=None), now)
    plan = _kept(plan, rollout)
    if seen.resource.spec.suspend:
        return plan
    plan, rollout, found = weighed(seen, plan, place, rollout, target, now)
    if found.weight is Weight.FAILED:
        return _reject(seen, plan, target, found.words, now)
    held = rollout.since is not None and now >= rollout.since + step_duration(seen.resource)
    if found.weight is Weight.PROVEN and held:
        return _kept(plan, _next(seen, rollout, now))
    return plan.then(wake=found.wake or now + _LOOK_AT_STEP)


def weighed(
    seen: Observation, plan: Plan, place: Place, rollout: Rollout, target: Target, now: datetime
) -> tuple[Plan, Rollout, Evidence]:
    """What pods, predictions and queries amount to at the rollout's stage; the rollout and the plan with what is to be kept of it."""
    rollout, found = judged(seen, rollout, weigh(seen, place, rollout, target, now), now)
    return _kept(plan, rollout).then(notes=said_once(seen, rollout)), rollout, found


def percent(resource: TrainAndServe, rollout: Rollout) -> int | None:
    """The share of the requests that the rollout's step asks for; None where the steps are over."""
    if rollout.stage == "Proving":
        return 0
    found = steps(resource)
    if rollout.stage != "Canary" or rollout.step is None or rollout.step > len(found):
        return None
    return found[rollout.step - 1]


def _next(seen: Observation, rollout: Rollout, now: datetime) -> Rollout:
    """The rollout at its next step, whose time counts from when its share is seen; or before all users."""
    rollout, step = anew(rollout), (rollout.step or 0) + 1
    if is_knative(seen) and step <= len(steps(seen.resource)):
        return rollout.changed(stage="Canary", step=step, since=None, message=None)
    return rollout.changed(stage="Promoting", step=None, since=now, message=None)


def edited(seen: Observation, target: Target) -> bool:
    """Whether how the version is served was edited since it was applied: other pods, which were not proven."""
    service = seen.inference_service
    if not isinstance(service, InferenceService) or not applied(seen, target):
        return False
    wanted = manifest(seen.resource, target, seen.policy, deployment_mode(seen), service.canary)
    return differs(wanted, service.body) or left_over(wanted, service.body)


def _kept(plan: Plan, rollout: Rollout) -> Plan:
    return plan.then(status=plan.status.changed(rollout=rollout))


def _denied(seen: Observation, target: Target) -> str | None:
    """What a webhook said against this version's InferenceService, when it was last applied."""
    rollout, failure = seen.resource.status.rollout, seen.failure
    tried = rollout is not None and rollout.run_id == target.run_id
    return failure.message if tried and failure and failure.reason == reasons.ADMISSION_DENIED else None


def _reject(seen: Observation, plan: Plan, target: Target, why: str, now: datetime) -> Plan:
    return _clear_up(seen, go_back(seen, plan, target, why, now))


def _apply_candidate(seen: Observation, plan: Plan, place: Place, target: Target) -> Plan | None:
    """A plan that applies the second InferenceService; None where it is as it should be."""
    service, name = place.service, candidate_service(*seen.resource.key)
    if name is None or (isinstance(service, InferenceService) and service.metadata.get("deletionTimestamp")):
        return plan.then(again=True)  # of a rollout before this one: its name is free in a moment
    wanted = candidate_manifest(seen.resource, target, seen.policy, name)
    if isinstance(service, InferenceService):
        if not differs(wanted, service.body) and not left_over(wanted, service.body):
            return None
        return plan.then(ApplyCandidateService(target, service.resource_version), again=True)
    return plan.then(ApplyCandidateService(target, ""), again=True)


def _clear_up(seen: Observation, plan: Plan) -> Plan:
    """Delete the second InferenceService, if it is ours: it is done with, and its room may be needed."""
    service = seen.candidate_service
    if seen.resource.spec.suspend or plan.status.last_version is None:
        return plan
    if not isinstance(service, InferenceService) or foreign(seen, service):
        return plan
    if service.metadata.get("deletionTimestamp"):
        return plan
    return plan.then(DeleteCandidateService())
