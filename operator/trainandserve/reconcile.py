"""The pass: look, decide, store, act. Read this first."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from . import logs, metrics, reasons
from .actions import NotSubmittedError, perform, resource_path
from .cache import Key, parse
from .decide import decide
from .decide.run import finished
from .events import send
from .gateways.errors import Conflict, GatewayError, NotFound, Refused
from .gateways.kfp import IdNotHonouredError, NotTakenError
from .observe import observe
from .observe.world import Memory, World
from .plan import (
    Action,
    ApplyCandidateService,
    ApplyInferenceService,
    Note,
    Plan,
    SubmitRun,
    WriteRecord,
)
from .resource import Run, Status, TrainAndServe

logger = logging.getLogger(__name__)

_NEVER_AGAIN = 1_000
"""More failures than any limit of retries."""


@dataclass(frozen=True)
class Outcome:
    """When to look at the resource again: at a time, and with a growing pause where something is missing outside."""

    wake: datetime | None = None
    again: bool = False


async def reconcile(world: World, key: Key, memory: Memory, now: datetime) -> Outcome:
    """One pass over one resource: from the whole present state, whatever woke it.

    The status is stored first, from the version that was decided from; only then come the effects. A crash at any point
    leaves an intention to look into.

    Raises
    ------
    Conflict
        The resource has changed since it was looked at: nothing was done.
    """
    resource = world.cache.resource(key)
    if resource is None:
        return Outcome()
    if isinstance(resource, ValidationError):
        return _cannot_read(key, resource)
    with logs.about(resource):
        try:
            seen = await observe(world, key, resource, memory, now)
            plan = decide(seen, now)
            resource = await store(world, resource, plan.status)
        finally:
            world.slots.give_back(key)
        troubled = memory.failure is not None
        memory.failure = None
        try:
            await _act(world, resource, plan, memory, now)
        finally:
            await _tell(world, resource, plan.notes)
        told = _records_written(resource, plan, memory)
        return Outcome(
            now if (troubled or told) and memory.failure is None else plan.wake,
            plan.again or memory.failure is not None,
        )


def _records_written(resource: TrainAndServe, plan: Plan, memory: Memory) -> bool:
    """Whether records were written in this pass, which the next one stores; the memory of older versions is let go."""
    kept = {entry.run_id for entry in resource.status.history}
    memory.recorded = {run: digest for run, digest in memory.recorded.items() if run in kept}
    return any(
        isinstance(action, WriteRecord) and memory.recorded.get(action.entry.run_id) == action.digest
        for action in plan.actions
    )


async def store(world: World, resource: TrainAndServe, status: Status) -> TrainAndServe:
    """Store the status, if it is another one, from the version that was decided from; the resource as it is then."""
    if status.dump() == resource.status.dump():
        return resource
    world.check_leading()
    body = dict(world.cache.resources.get(resource.key) or {})
    metadata = {**body["metadata"], "resourceVersion": resource.metadata.resource_version}
    body |= {"metadata": metadata, "status": status.dump()}
    stored = await world.kubernetes.replace(f"{resource_path(resource)}/status", body)
    metrics.written("status")
    world.cache.put_resource(resource.key, stored)
    found = parse(stored)
    assert isinstance(found, TrainAndServe)
    return found


async def _act(world: World, resource: TrainAndServe, plan: Plan, memory: Memory, now: datetime) -> None:
    """Do the effects in their order; the first that fails ends the pass, and the next one says so in the status."""
    for action in plan.actions:
        world.check_leading()
        try:
            await _perform(world, resource, action, now)
        except NotFound:
            continue
        except Conflict:
            raise  # what was decided from is gone: nothing is wrong, the next pass decides again
        except GatewayError as error:
            logger.warning("%s did not work: %s", type(action).__name__, error.message)
            metrics.acted(action, "error")
            memory.failure = error.problem
            return
        metrics.acted(action, "done")
        if isinstance(action, WriteRecord):
            memory.recorded[action.entry.run_id] = action.digest


async def _perform(world: World, resource: TrainAndServe, action: Action, now: datetime) -> None:
    logger.info("%s", described(action))
    if not isinstance(action, SubmitRun):
        await perform(world, resource, action)
        return
    try:
        await perform(world, resource, action)
    except GatewayError as error:
        await _submission_failed(world, resource, action.run, error, now)


def described(action: Action) -> str:
    """An effect in a few words, for the log."""
    match action:
        case SubmitRun(run):
            return f"SubmitRun version {run.version}, attempt {run.attempt}, id {run.id} ({run.reason})"
        case ApplyInferenceService(target, _, canary):
            part = "" if canary is None else f", {canary}% of the requests"
            return f"ApplyInferenceService version {target.version}, run {target.run_id}{part}"
        case ApplyCandidateService(target, _):
            return f"ApplyCandidateService version {target.version}, run {target.run_id}"
        case WriteRecord(entry, _):
            return f"WriteRecord version {entry.version}, {entry.verdict}"
    return str(action)


async def _submission_failed(
    world: World, resource: TrainAndServe, run: Run, error: GatewayError, now: datetime
) -> None:
    """Store what the submission was answered. Only an answer that means it is taken for a no."""
    logger.warning("the submission of run %s did not succeed: %s", run.id, error.message)
    plan = Plan(resource.status)
    outside = isinstance(error, NotSubmittedError | NotTakenError)
    if outside and error.reason != reasons.INVALID_SPEC:
        plan = finished(plan, run, now, state="Lost", message=f"it was not submitted: {error.message}")
    elif isinstance(error, Refused | NotSubmittedError):
        hopeless = isinstance(error, IdNotHonouredError | NotSubmittedError)
        failures = _NEVER_AGAIN if hopeless else run.failures
        plan = finished(
            plan, run.changed(failures=failures), now, failed=True, state="Failed", message=error.message
        )
    else:
        words = f"the submission was not confirmed: {error.message}; looking for what became of it"
        plan = Plan(resource.status.changed(run=run.changed(message=words)))
    resource = await store(world, resource, plan.status)
    await _tell(world, resource, plan.notes)


async def _tell(world: World, resource: TrainAndServe, notes: tuple[Note, ...]) -> None:
    for note in notes:
        logger.log(
            logging.WARNING if note.type == "Warning" else logging.INFO, "%s: %s", note.reason, note.message
        )
        metrics.noted(resource, note)
        await send(world.kubernetes, resource, note)


def _cannot_read(key: Key, error: ValidationError) -> Outcome:
    """The API server holds what this operator cannot read: of a newer definition. Nothing is touched."""
    first = error.errors()[0]
    logger.error(
        "%s/%s cannot be read, and is left alone (%s): %s: %s; is the operator older than the definition?",
        *key,
        reasons.INVALID_SPEC,
        ".".join(map(str, first["loc"])),
        first["msg"],
    )
    return Outcome()
