"""By what steps does the version that is to be served come to serve?

Where a proven version serves, the next one is first proven on an InferenceService of its own, which nobody is sent to. Only
then the one that users reach is changed. A version that fails before has never been near them.
"""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..inference_service import candidate_manifest, differs, left_over
from ..names import candidate_service
from ..observation import InferenceService, Observation, Unknown
from ..plan import ApplyCandidateService, DeleteCandidateService, Plan
from ..resource import Rollout, RolloutStage, Served, Status, Target
from .evidence import Weight, timed, weigh
from .way_back import go_back
from .workload import Place, applied, candidates_place, foreign, users_place


def roll_out(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Bring the target on its way: proven apart first, then before users. Without a way to go, clear up behind it."""
    served = plan.status.served or Served()
    target = served.target
    if target is None or target.run_id == served.run_id:
        return _clear_up(seen, plan.then(status=plan.status.changed(rollout=None)))
    rollout = plan.status.rollout
    if rollout is None or rollout.run_id != target.run_id:
        rollout = _begun(seen, served, target, now)
        plan = plan.then(status=plan.status.changed(rollout=rollout))
    return (
        _prove_apart(seen, plan, rollout, target, now)
        if rollout.stage == "Proving"
        else _clear_up(seen, plan)
    )


def proven_apart(status: Status) -> bool:
    """Whether a version is being proven without users now."""
    return status.rollout is not None and status.rollout.stage == "Proving"


def place_of_proof(seen: Observation) -> Place:
    """Where the target is to be proven now."""
    return candidates_place(seen) if proven_apart(seen.resource.status) else users_place(seen)


def _begun(seen: Observation, served: Served, target: Target, now: datetime) -> Rollout:
    """A rollout at its first stage. Its clock runs, for it is applied in the same pass; the next one stops it if it was not.

    Nothing is proven apart where nothing serves yet (the first version ever, a status that was lost), or where users are being
    sent to the target already.
    """
    at_once = served.version is None or applied(seen, target) or _candidate(seen) is None
    stage: RolloutStage = "Promoting" if at_once else "Proving"
    return Rollout(version=target.version, run_id=target.run_id, stage=stage, since=now)


def _candidate(seen: Observation) -> str | None:
    return candidate_service(*seen.resource.key)


def _prove_apart(seen: Observation, plan: Plan, rollout: Rollout, target: Target, now: datetime) -> Plan:
    place = candidates_place(seen)
    rollout = timed(seen, place, rollout, target, now)
    plan = plan.then(status=plan.status.changed(rollout=rollout))
    if seen.resource.spec.suspend:
        return plan
    if isinstance(place.service, Unknown) or place.service is None or foreign(seen, place.service):
        return plan.then(again=True)
    if denied := _denied(seen, target):
        return _reject(seen, plan, target, denied, now)
    if (asked := _apply(seen, plan, place, target)) is not None:
        return asked
    found = weigh(seen, place, rollout, target, now)
    if found.weight is Weight.PROVEN:
        status = plan.status.changed(rollout=rollout.changed(stage="Promoting", since=now, message=None))
        return _clear_up(seen, plan.then(status=status))
    if found.weight is Weight.FAILED:
        return _reject(seen, plan, target, found.words, now)
    return plan.then(wake=found.wake)


def _denied(seen: Observation, target: Target) -> str | None:
    """What a webhook said against this version's InferenceService, when it was last applied."""
    rollout, failure = seen.resource.status.rollout, seen.failure
    tried = rollout is not None and rollout.run_id == target.run_id
    return failure.message if tried and failure and failure.reason == reasons.ADMISSION_DENIED else None


def _reject(seen: Observation, plan: Plan, target: Target, why: str, now: datetime) -> Plan:
    return _clear_up(seen, go_back(seen, plan, target, why, now))


def _apply(seen: Observation, plan: Plan, place: Place, target: Target) -> Plan | None:
    """A plan that applies the second InferenceService; None where it is as it should be."""
    service, name = place.service, _candidate(seen)
    assert name is not None
    if isinstance(service, InferenceService) and service.metadata.get("deletionTimestamp"):
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
