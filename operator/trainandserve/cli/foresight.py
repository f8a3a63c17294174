"""What would follow from a change: the operator's own decision, on the resource as it would be. Pure.

The world is taken to be at rest: what is served is in place, a run under way goes on, and whether what a run needs is there was
not looked at. So what the decision on the new resource says beyond that on the live one is what the change does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import reasons
from ..changes import between, fields
from ..decide import decide
from ..decide.rollout import not_before_all, percent
from ..decide.run import active
from ..inference_service import manifest
from ..names import FIELD_MANAGER, FINALIZER, version_prefix
from ..observation import (
    ABSENT,
    Deployment,
    InferenceService,
    KfpRun,
    Observation,
    Policy,
    Problem,
    Result,
    Stored,
)
from ..plan import ApplyCandidateService, ApplyInferenceService, Plan
from ..resource import Change, Condition, NextStep, Outlook, Served, Status, Target, TrainAndServe
from ..settings import Settings

NOTHING = "nothing"
_KINDS = {"Train": "trains", "Evaluate": "evaluates", "Stop": "stops", "Wait": "waits"}
_APPLIES = (ApplyInferenceService, ApplyCandidateService)


@dataclass(frozen=True)
class Effect:
    """One thing that the change does."""

    kind: str
    """trains, evaluates, stops, judges, waits (for approval), serves, rolls, holds, resumes, or nothing."""
    message: str


@dataclass(frozen=True)
class Foresight:
    """A change and what follows from it."""

    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]
    outlook: Outlook


def foresight(before: TrainAndServe | None, after: TrainAndServe, now: datetime) -> Foresight:
    """What would follow if the live resource became this one.

    Parameters
    ----------
    before
        The live resource; None: there is none yet.
    """
    policy = Policy.of(Settings())
    then = decide(_at_rest(after, before or after, policy), now)
    known = fields(before) if before else {}
    rest = decide(_at_rest(before, before, policy), now) if before else Plan(after.status)
    changes = between(known, fields(after))
    effects = list(_effects(rest, then))
    if _waits_for_rollout(then, changes) and not any(one.kind == "rolls" for one in effects):
        effects.append(
            Effect("rolls", "the pods of the model server are replaced once the rollout under way is over")
        )
    return Foresight(
        changes=tuple(changes),
        effects=tuple(effects) or (Effect(NOTHING, "nothing that runs or serves is touched"),),
        outlook=then.status.plan or Outlook(),
    )


# --- The world at rest --------------------------------------------------------------------------------------------


def before_users(status: Status) -> Target | None:
    """The version that all users, or most of them, are sent to."""
    if status.served is None:
        return None
    return status.served.proven if not_before_all(status) else status.served.target


def _at_rest(resource: TrainAndServe, live: TrainAndServe, policy: Policy) -> Observation:
    known = _seen_before(resource)
    target = before_users(known.status)
    run = known.status.run
    served = known.status.served
    if served is not None and served.target is not None and served.deployment_mode == "Knative":
        serving = _split(live, served, policy)
    else:
        serving = {
            "inference_service": _applied(live, target, policy) if target else ABSENT,
            "deployment": _in_place(target) if target else ABSENT,
        }
    return Observation(
        resource=known,
        policy=policy,
        **serving,
        pinned=_pinned(known),
        run=KfpRun(run.id, "RUNNING") if run is not None and active(known.status) else None,
    )


def _pinned(resource: TrainAndServe) -> Stored | Problem | None:
    """The pinned version as its record tells it; of one that is not in the history nothing is known here."""
    version = resource.spec.serve.pinned_version
    if version is None:
        return None
    entry = next((one for one in resource.status.history if one.version == version), None)
    if entry is None:
        return Problem(reasons.PINNED_UNAVAILABLE, f"version {version} is not in status.history")
    metrics = {name: value for name, value in entry.metrics.items() if value is not None}
    result = Result(
        version=version,
        run_id=entry.run_id,
        digest=entry.result_digest,
        metrics=metrics,
        training_hash=entry.training_hash,
    )
    return Stored(result, version_prefix(entry.uri))


def _seen_before(resource: TrainAndServe) -> TrainAndServe:
    """The resource as after the operator's first looks: those are no answer to what the change does."""
    status = resource.status
    if status.last_version is None:
        status = status.changed(last_version=0)
    if not status.conditions:
        since = resource.metadata.creation_timestamp or datetime.min
        first = Condition(
            type="Ready",
            status="False",
            reason=reasons.NOT_SERVED_YET,
            message="",
            last_transition_time=since,
        )
        status = status.changed(conditions=[first])
    metadata = resource.metadata.changed(finalizers=[FINALIZER], deletion_timestamp=None)
    return resource.changed(metadata=metadata, status=status)


def _split(live: TrainAndServe, served: Served, policy: Policy) -> dict[str, Any]:
    """What is seen in Knative mode: a revision of each version, with the share of the requests that its step asks for."""
    target, proven, rollout = served.target, served.proven, live.status.rollout
    assert target is not None
    asked = percent(live, rollout) if rollout is not None else None
    shares = {"newest": 100 if asked is None or proven is None else asked}
    revisions = {"newest": _in_place(target)}
    if shares["newest"] < 100 and proven is not None:
        shares["before"], revisions["before"] = 100 - shares["newest"], _in_place(proven)
    traffic = [{"revisionName": name, "percent": share} for name, share in shares.items()]
    predictor = {"latestCreatedRevision": "newest", "latestReadyRevision": "newest", "traffic": traffic}
    status = {"deploymentMode": "Knative", "components": {"predictor": predictor}}
    body = _applied(live, target, policy, "Knative", asked).body
    return {"inference_service": InferenceService({**body, "status": status}), "revisions": revisions}


def _applied(
    live: TrainAndServe, target: Target, policy: Policy, mode: str = "Standard", canary: int | None = None
) -> InferenceService:
    """The InferenceService as the operator has applied it for the live resource."""
    body = manifest(live, target, policy, mode, canary)
    entry = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": _owned(body)}
    body["metadata"] |= {"managedFields": [entry], "resourceVersion": "0"}
    return InferenceService(body)


def _owned(value: Any) -> dict[str, Any]:
    """What the API server notes as ours after an apply of this."""
    if not isinstance(value, dict):
        return {}
    inner = {f"f:{name}": _owned(one) for name, one in value.items()}
    return {name: one for name, one in inner.items() if name not in _NOT_OWNED}


_NOT_OWNED = ("f:apiVersion", "f:kind", "f:name", "f:namespace")


def _in_place(target: Target) -> Deployment:
    return Deployment(
        run_id=target.run_id,
        source_uri=target.uri,
        generation=1,
        observed_generation=1,
        desired=1,
        replicas=1,
        updated=1,
        ready=1,
        available=1,
    )


# --- The difference -----------------------------------------------------------------------------------------------


def _effects(rest: Plan, then: Plan) -> Iterator[Effect]:
    yield from _verdict(rest, then)
    yield from _serving(rest, then)
    usual = _planned(rest)
    for step in _planned(then):
        kind = _KINDS.get(step.action)
        if kind is not None and step not in usual:
            yield Effect("holds" if _is_suspended(step) else kind, step.message)
    if any(map(_is_suspended, usual)) and not any(map(_is_suspended, _planned(then))):
        yield Effect("resumes", "what was held back is done now")


def _planned(plan: Plan) -> list[NextStep]:
    return plan.status.plan.steps if plan.status.plan else []


def _is_suspended(step: NextStep) -> bool:
    """Whether the step is to wait for the end of a suspension, and not for a version's approval."""
    return step.action == "Wait" and step.version is None


def _verdict(rest: Plan, then: Plan) -> Iterator[Effect]:
    before, after = rest.status.candidate, then.status.candidate
    if before is None or after is None or before.verdict is None or after.verdict is None:
        return
    if before.verdict.gate_hash == after.verdict.gate_hash:
        return
    was, now = before.verdict.reason, after.verdict.reason
    words = f"{was} stays" if was == now else f"{was} becomes {now}"
    yield Effect("judges", f"version {after.version} again: {words}: {after.verdict.message}")


def _serving(rest: Plan, then: Plan) -> Iterator[Effect]:
    usual = {action.target.run_id for action in rest.actions if isinstance(action, _APPLIES)}
    live = before_users(rest.status)
    for action in then.actions:
        if not isinstance(action, _APPLIES) or action.target.run_id in usual:
            continue
        version = action.target.version
        if live is not None and live.run_id == action.target.run_id:
            yield Effect("rolls", f"the pods of the model server are replaced; version {version} stays")
        else:
            yield Effect("serves", f"version {version} is rolled out")


def _waits_for_rollout(then: Plan, changes: list[Change]) -> bool:
    """Whether an edit of how it is served is not followed before the rollout under way is over."""
    rollout = then.status.rollout
    return (
        rollout is not None and rollout.stage == "Proving" and any(one.hash == "serving" for one in changes)
    )
