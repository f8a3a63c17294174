"""What others still know of a resource whose status is gone."""

from __future__ import annotations

from dataclasses import replace

from .. import names
from ..decide.gate import candidate_of
from ..decide.history import history_limit
from ..gateways.errors import NotFound, Unreachable
from ..observation import InferenceService, KfpRun, Observation, Problem, Recovery, Result, Unknown
from ..resource import HistoryEntry, TrainAndServe
from ..version_record import NAME, read_record
from .results import read_checked, read_evaluation, storage_access
from .versions import ATTEMPTS_LOOKED_FOR, folders, run_of
from .workflows import live_workflows
from .world import World

_FOLDERS_LOOKED_AT = 100
"""Folders whose records are looked for: some attempts leave none."""


async def recover(world: World, seen: Observation) -> Recovery:
    """Look at the folders in the storage, the InferenceService's annotations and the runs that could be under way.

    Raises
    ------
    GatewayError
        Something does not answer; then nothing may be planned yet.
    """
    resource = seen.resource
    known = await folders(world, resource)
    found = Recovery(last_version=max((version for version, _ in known), default=0))
    found = replace(found, records=await _records(world, resource, known))
    found = await _served(world, seen, found)
    found = await _newest(world, resource, found, known)
    found = await _evaluation(world, resource, found)
    return await _running(world, resource, found)


async def _records(
    world: World, resource: TrainAndServe, known: list[tuple[int, str]]
) -> tuple[HistoryEntry, ...]:
    """What the records of the newest versions say: as many as the history holds."""
    records: list[HistoryEntry] = []
    for version, prefix in known[:_FOLDERS_LOOKED_AT]:
        run_id = run_of(resource, version, prefix)
        if (
            run_id
            and len(records) < history_limit(resource)
            and (entry := await _record(world, resource, prefix, version, run_id))
        ):
            records.append(entry)
    return tuple(records)


async def _record(
    world: World, resource: TrainAndServe, prefix: str, version: int, run_id: str
) -> HistoryEntry | None:
    try:
        data = await world.s3.read(f"{prefix}{NAME}", await storage_access(world, resource))
    except NotFound:
        return None
    return read_record(data, uid=resource.metadata.uid, version=version, run_id=run_id)


async def _served(world: World, seen: Observation, found: Recovery) -> Recovery:
    """The version that our InferenceService carries in its annotations, if its files still hold."""
    service = seen.inference_service
    if not isinstance(service, InferenceService) or not service.controlled_by(seen.resource.metadata.uid):
        return found
    annotations = service.asked.get("annotations") or {}
    uri = (service.asked.get("model") or {}).get("storageUri", "")
    version, run_id = annotations.get(names.MODEL_VERSION, ""), annotations.get(names.RUN_ID, "")
    if not version.isdecimal() or not run_id or not uri.endswith("/model/"):
        return found
    prefix = names.version_prefix(uri)
    result = await _result(world, seen.resource, prefix, int(version), run_id)
    found = replace(found, last_version=max(found.last_version, int(version)))
    if result is None or result.digest != annotations.get(names.RESULT_DIGEST):
        return found
    return replace(found, served=result, served_prefix=prefix)


async def _newest(
    world: World, resource: TrainAndServe, found: Recovery, known: list[tuple[int, str]]
) -> Recovery:
    """The newest version with a result of ours."""
    for version, prefix in known:
        run_id = run_of(resource, version, prefix)
        result = await _result(world, resource, prefix, version, run_id) if run_id else None
        if result is not None:
            return replace(found, newest=result, newest_prefix=prefix)
    return found


async def _evaluation(world: World, resource: TrainAndServe, found: Recovery) -> Recovery:
    """The last evaluation of that version by a run of its own, if its record names one and it still holds."""
    newest = found.newest
    record = next(
        (
            one
            for one in found.records
            if newest and (one.run_id, one.result_digest) == (newest.run_id, newest.digest)
        ),
        None,
    )
    if newest is None or record is None or record.evaluation is None:
        return found
    version = candidate_of(newest, names.model_uri(found.newest_prefix), newest.training_hash)
    result = _said(await read_evaluation(world, resource, version, record.evaluation.run_id))
    if result is not None and result.digest == record.evaluation.digest:
        return replace(found, evaluation=result)
    return found


async def _result(
    world: World, resource: TrainAndServe, prefix: str, version: int, run_id: str
) -> Result | None:
    return _said(await read_checked(world, resource, prefix, version, run_id))


def _said(found: Result | Problem | Unknown) -> Result | None:
    """A result that holds; None where there is none. That nobody says is no answer: what is there may not be forgotten."""
    if isinstance(found, Unknown):
        raise Unreachable(found.reason, found.message)
    return found if isinstance(found, Result) else None


async def _running(world: World, resource: TrainAndServe, found: Recovery) -> Recovery:
    """A run that is under way, by the ids that it could have: they follow from uid, version and attempt."""
    ids = [
        names.run_id(resource.metadata.uid, version, attempt)
        for version in (found.last_version, found.last_version + 1)
        for attempt in range(1, ATTEMPTS_LOOKED_FOR + 1)
        if version
    ]
    for flow in await live_workflows(world, resource.metadata.namespace, ids):
        run = await world.kfp.get_run(flow.run_id)
        if isinstance(run, KfpRun) and not run.finished:
            return replace(found, running=run)
    return found
