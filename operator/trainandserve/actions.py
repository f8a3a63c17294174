"""The closed set of effects. Each may be repeated, but for the submission of a run."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from pydantic import JsonValue

from . import metrics, names, reasons
from .credentials import data_secret, evaluation_secret
from .decide.description import describe
from .events import send
from .gateways.errors import Denied, GatewayError, NotFound, Refused
from .gateways.kfp import Submission
from .inference_service import API, candidate_manifest, manifest
from .observation import InferenceService, Result
from .observe.results import read_checked, secret_access, storage_access
from .observe.workflows import WORKFLOWS
from .observe.world import World
from .pipeline import (
    CompiledPipeline,
    PipelineInputs,
    compile_pipeline,
    evaluation_parameters,
    run_parameters,
    service_account,
)
from .plan import (
    Action,
    AddFinalizer,
    ApplyCandidateService,
    ApplyInferenceService,
    DeleteCandidateService,
    DeleteInferenceService,
    DeleteVersion,
    DeleteVersions,
    DeleteWorkflow,
    Note,
    ReleaseInferenceService,
    RemoveFinalizer,
    SubmitRun,
    TerminateRun,
    WriteRecord,
)
from .resource import API_VERSION, PLURAL, HistoryEntry, Run, Target, TrainAndServe
from .result import result_digest
from .version_record import NAME, owner_of, version_record

logger = logging.getLogger(__name__)

_DISPLAY_NAME_LIMIT = 128
"""Longest display name: Kubeflow Pipelines stores 255, and leaves a stray Workflow behind one that is longer."""


async def perform(world: World, resource: TrainAndServe, action: Action) -> None:
    """Do one effect.

    Raises
    ------
    GatewayError
        It was refused, or it is not known whether it was done.
    """
    match action:
        case AddFinalizer():
            await _set_finalizers(world, resource, [*resource.metadata.finalizers, names.FINALIZER])
        case RemoveFinalizer():
            left = [one for one in resource.metadata.finalizers if one != names.FINALIZER]
            await _set_finalizers(world, resource, left)
        case SubmitRun(run):
            await _submit(world, resource, run)
        case TerminateRun(run_id):
            await world.kfp.terminate(run_id)
        case DeleteWorkflow(namespace, name):
            await world.kubernetes.delete(f"{WORKFLOWS}/namespaces/{namespace}/workflows/{name}")
        case ApplyInferenceService(target, version, canary):
            await _apply(world, resource, target, version, canary)
        case DeleteInferenceService():
            await _delete_service(world, resource, resource.metadata.name)
        case ApplyCandidateService(target, version):
            await _apply_candidate(world, resource, target, version)
        case DeleteCandidateService():
            if candidate := names.candidate_service(*resource.key):
                await _delete_service(world, resource, candidate)
        case ReleaseInferenceService():
            await _release(world, resource)
        case _:
            await _keep_storage(world, resource, action)


# --- The storage --------------------------------------------------------------------------------------------------

_NOTHING_LEFT = (reasons.SECRET_NOT_FOUND, reasons.BUCKET_NOT_FOUND)
"""What no patience mends while a resource goes; a namespace that is deleted takes the Secret along first."""


async def _keep_storage(
    world: World, resource: TrainAndServe, action: DeleteVersions | DeleteVersion | WriteRecord
) -> None:
    match action:
        case DeleteVersion():
            await _delete_version(world, resource, action)
        case DeleteVersions():
            await _delete_versions(world, resource)
        case WriteRecord(entry, _):
            await _write_record(world, resource, entry)


async def _delete_versions(world: World, resource: TrainAndServe) -> None:
    """Delete what the resource wrote; without its Secret or bucket that is skipped with a warning, and holds nothing up."""
    prefix = names.resource_prefix(resource)
    try:
        await world.s3.delete(prefix, await storage_access(world, resource))
    except Refused as error:
        if error.reason not in _NOTHING_LEFT:
            raise
        words = f"what was written below {prefix} was not deleted: {error.message}"
        logger.warning("%s: %s", reasons.CLEANUP_SKIPPED, words)
        note = Note("Warning", reasons.CLEANUP_SKIPPED, words)
        metrics.noted(resource, note)
        await send(world.kubernetes, resource, note)


async def _delete_version(world: World, resource: TrainAndServe, action: DeleteVersion) -> None:
    """Delete one attempt's folder, if what lies in it says that it is ours.

    The result goes first, so that what is left half deleted never looks complete, and the record last: as long as it is
    there, it says whose the rest is.
    """
    access = await storage_access(world, resource)
    for name in ("result.json", NAME):
        try:
            owner = owner_of(await world.s3.read(f"{action.prefix}{name}", access))
        except NotFound:
            continue
        if owner != (resource.metadata.uid, action.run_id):
            logger.warning("%s is left alone: %s is not of our run %s", action.prefix, name, action.run_id)
            return
    await world.s3.delete(action.prefix, access, first="result.json", last=NAME)


async def _write_record(world: World, resource: TrainAndServe, entry: HistoryEntry) -> None:
    """Write a version's record. Of one whose result is gone or another one there is nothing left to say."""
    prefix = names.version_prefix(entry.uri)
    try:
        access = await storage_access(world, resource)
        result = await world.s3.read(f"{prefix}result.json", access)
        if result_digest(result) != entry.result_digest:
            logger.warning(
                "version %s is not recorded: its result is not the one that was judged", entry.version
            )
            return
        await world.s3.write(f"{prefix}{NAME}", version_record(resource, entry, result), access)
    except NotFound:
        logger.warning("version %s is not recorded: its result is gone", entry.version)
    except GatewayError as error:
        words = f"the record of version {entry.version} could not be written yet: {error.message}"
        raise GatewayError(error.reason, words) from error


# --- The resource itself ------------------------------------------------------------------------------------------


def resource_path(resource: TrainAndServe) -> str:
    """Path of the resource at the API server."""
    namespace, name = resource.key
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}/{name}"


async def _set_finalizers(world: World, resource: TrainAndServe, finalizers: list[str]) -> None:
    # From the version that was decided from: somebody else's finalizer must not be lost.
    patch = {"metadata": {"finalizers": finalizers, "resourceVersion": resource.metadata.resource_version}}
    try:
        body = await world.kubernetes.merge(resource_path(resource), patch)
    except NotFound:
        return
    if body["metadata"].get("deletionTimestamp") and not finalizers:
        world.cache.drop_resource(resource.key, resource.metadata.uid)
    else:
        world.cache.put_resource(resource.key, body)


# --- The run ------------------------------------------------------------------------------------------------------


class NotSubmittedError(GatewayError):
    """The run could not even be made ready: nothing was sent."""


async def _submit(world: World, resource: TrainAndServe, run: Run) -> None:
    """POST the run, once. What comes before the POST fails as `NotSubmittedError`: then certainly nothing runs."""
    try:
        submission = await _submission(world, resource, run)
    except GatewayError as error:
        raise NotSubmittedError(error.reason, error.message) from error
    world.check_leading()
    await world.kfp.submit(submission)


async def _submission(world: World, resource: TrainAndServe, run: Run) -> Submission:
    compiled = await _compile(world, resource, run)
    told = run.changed(pipeline_digest=await asyncio.to_thread(lambda: compiled.digest))
    return Submission(
        run_id=run.id,
        display_name=_display_name(resource, run),
        description=describe(told),
        experiment_id=await world.kfp.experiment(resource.metadata.namespace)
        if await world.kfp.multi_user()
        else None,
        pipeline=compiled.body(),
        parameters=_parameters(resource, run),
        service_account=service_account(resource),
    )


def _display_name(resource: TrainAndServe, run: Run) -> str:
    namespace, name = resource.key
    what = " evaluation" if run.only_evaluates else ""
    return f"{namespace}/{name} v{run.version} #{run.attempt}{what}"[:_DISPLAY_NAME_LIMIT]


def _parameters(resource: TrainAndServe, run: Run) -> dict[str, JsonValue]:
    served, candidate = resource.status.served, resource.status.candidate
    incumbent = served if served is not None and served.version == run.incumbent else None
    if not run.only_evaluates:
        return run_parameters(resource, run, incumbent)
    if candidate is None or candidate.run_id != run.evaluates:
        raise Refused(reasons.NO_RESULT, f"version {run.version} is not the newest any more")
    return evaluation_parameters(resource, run, candidate, incumbent)


async def _compile(world: World, resource: TrainAndServe, run: Run) -> CompiledPipeline:
    data = (await secret_access(world, resource, data_secret(resource))).storage
    storage = (await storage_access(world, resource)).storage
    evaluation = None
    if resource.spec.evaluation and resource.spec.evaluation.data:
        evaluation = (await secret_access(world, resource, evaluation_secret(resource))).storage
    image = resource.spec.train.image or world.settings.trainer_image
    inputs = PipelineInputs(image, data, evaluation, storage)
    try:
        return await asyncio.to_thread(compile_pipeline, resource, inputs, only_evaluates=run.only_evaluates)
    except (TypeError, ValueError) as error:
        raise Refused(reasons.INVALID_SPEC, f"the pipeline cannot be compiled: {error}") from error


# --- The InferenceService -----------------------------------------------------------------------------------------


def _service_path(resource: TrainAndServe, name: str) -> str:
    return f"/apis/{API}/namespaces/{resource.metadata.namespace}/inferenceservices/{name}"


async def _apply(
    world: World, resource: TrainAndServe, target: Target, version: str, canary: int | None
) -> None:
    """Apply what is to be served, if its files are still those that were judged."""
    await _check_target(world, resource, target)
    known = world.cache.inference_services.get(resource.key)
    mode = InferenceService(known).deployment_mode if version and known else world.policy.deployment_mode
    await _apply_service(world, resource, manifest(resource, target, world.policy, mode, canary), version)


async def _apply_candidate(world: World, resource: TrainAndServe, target: Target, version: str) -> None:
    """Apply what is to be proven without users, if its files are still those that were judged."""
    name = names.candidate_service(*resource.key)
    assert name is not None
    await _check_target(world, resource, target)
    await _apply_service(world, resource, candidate_manifest(resource, target, world.policy, name), version)


async def _apply_service(world: World, resource: TrainAndServe, body: dict[str, Any], version: str) -> None:
    name = body["metadata"]["name"]
    path, key = _service_path(resource, name), (resource.metadata.namespace, name)
    if version:
        body["metadata"]["resourceVersion"] = version
    elif live := await world.kubernetes.get(path):
        # The watch lags: it is there. The next pass decides from what it is.
        world.cache.inference_services.put(key, live)
        return
    try:
        # Without force where none was seen: one that somebody made meanwhile is in conflict, not taken over.
        applied = await world.kubernetes.apply(path, body, force=bool(version))
    except Refused as error:
        reason = error.reason if isinstance(error, Denied) else reasons.APPLY_REFUSED
        raise Refused(reason, f"the InferenceService was refused: {error.message}") from error
    world.cache.inference_services.put(key, applied)


async def _check_target(world: World, resource: TrainAndServe, target: Target) -> None:
    prefix = names.version_prefix(target.uri)
    result = await read_checked(world, resource, prefix, target.version, target.run_id)
    if not isinstance(result, Result):
        raise GatewayError(result.reason, f"version {target.version} is not applied: {result.message}")
    if result.digest != target.result_digest:
        raise Refused(
            reasons.MODEL_CHANGED,
            f"version {target.version} is not applied: its result file is not the one that was judged; "
            "set the annotation trainandserve.io/retrain to a new value to train another",
        )


async def _delete_service(world: World, resource: TrainAndServe, name: str) -> None:
    live = await world.kubernetes.get(_service_path(resource, name))
    if live is None:
        world.cache.inference_services.drop((resource.metadata.namespace, name))
    elif _is_ours(live, resource):
        await world.kubernetes.delete(_service_path(resource, name), live["metadata"]["uid"])


async def _release(world: World, resource: TrainAndServe) -> None:
    path = _service_path(resource, resource.metadata.name)
    live = await world.kubernetes.get(path)
    if live is None or not _is_ours(live, resource):
        return
    metadata = live["metadata"]
    owners = [one for one in metadata.get("ownerReferences", ()) if one.get("uid") != resource.metadata.uid]
    patch = {"metadata": {"ownerReferences": owners or None, "resourceVersion": metadata["resourceVersion"]}}
    body = await world.kubernetes.merge(path, patch)
    world.cache.inference_services.put(resource.key, body)


def _is_ours(live: dict[str, Any], resource: TrainAndServe) -> bool:
    owners = live["metadata"].get("ownerReferences", ())
    return any(one.get("uid") == resource.metadata.uid and one.get("controller") for one in owners)
