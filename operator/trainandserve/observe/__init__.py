"""All reads of a pass: from the watches first, then only what the next decision needs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from .. import reasons
from ..cache import Key
from ..decide.looks import Known, Look, first_looks, known_status, next_run, second_looks
from ..decide.prune import prunable, worth_a_look
from ..decide.rollout import place_of_proof
from ..gateways.errors import GatewayError
from ..gateways.kfp import Kfp
from ..inference_service import API
from ..names import candidate_service, run_id
from ..observation import (
    ABSENT,
    Deployment,
    InferenceService,
    KfpRun,
    Observation,
    Problem,
    Reading,
    Unknown,
    Workflow,
)
from ..resource import TrainAndServe
from .analysis import measure
from .lost_status import recover
from .preflight import preflight
from .probe import probe
from .results import read_checked, read_evaluation
from .troubles import run_pods, server_pods, server_trouble
from .versions import find_version, own_folders
from .workflows import live_workflows
from .world import Memory, World


async def observe(
    world: World, key: Key, resource: TrainAndServe, memory: Memory, now: datetime
) -> Observation:
    """Look at the present state of one resource."""
    seen = await _with_foreign_services(world, _from_watches(world, key, resource, memory))
    known = _known(world, resource, memory, now)
    seen = replace(seen, workflow_phase=known.workflow_phase)
    looks = first_looks(seen, known, now)
    seen = await _look(world, seen, memory, looks, now)
    known = replace(known, progress_since=memory.progress_since)
    return await _look(world, seen, memory, second_looks(seen, known, now) - looks, now)


def _from_watches(world: World, key: Key, resource: TrainAndServe, memory: Memory) -> Observation:
    service = _service(world, key)
    return Observation(
        resource=resource,
        policy=world.policy,
        inference_service=service,
        revisions=_revisions(world, key, service),
        deployment=world.cache.deployment(key) or ABSENT,
        candidate_service=_service(world, _candidates_key(key)),
        candidate_deployment=world.cache.deployment(_candidates_key(key)) or ABSENT,
        recorded=dict(memory.recorded),
        failure=memory.failure,
    )


def _candidates_key(key: Key) -> Key:
    """The second InferenceService; where there can be none, a key that nothing has."""
    return (key[0], candidate_service(*key) or "")


def _revisions(world: World, key: Key, service: Reading[InferenceService]) -> dict[str, Deployment]:
    if not isinstance(service, InferenceService):
        return {}
    found = {name: world.cache.deployment((key[0], name)) for name in service.revisions}
    return {name: deployment for name, deployment in found.items() if deployment is not None}


def _service(world: World, key: Key) -> Reading[InferenceService]:
    body = world.cache.inference_services.get(key)
    return InferenceService(body) if body is not None else ABSENT


async def _with_foreign_services(world: World, seen: Observation) -> Observation:
    key = seen.resource.key
    service, candidate = await asyncio.gather(
        _live_if_foreign(world, seen.resource, key, seen.inference_service),
        _live_if_foreign(world, seen.resource, _candidates_key(key), seen.candidate_service),
    )
    return replace(seen, inference_service=service, candidate_service=candidate)


async def _live_if_foreign(
    world: World, resource: TrainAndServe, key: Key, service: Reading[InferenceService]
) -> Reading[InferenceService]:
    """An InferenceService that is not ours is not in the watch: whether it is still there is asked."""
    if not isinstance(service, InferenceService) or service.controlled_by(resource.metadata.uid):
        return service
    namespace, name = key
    try:
        live = await world.kubernetes.get(f"/apis/{API}/namespaces/{namespace}/inferenceservices/{name}")
    except GatewayError as error:
        return Unknown(error.reason, error.message)
    if live is None:
        world.cache.inference_services.drop(key)
        return ABSENT
    world.cache.inference_services.put(key, live)
    return InferenceService(live)


def _known(world: World, resource: TrainAndServe, memory: Memory, now: datetime) -> Known:
    run = resource.status.run
    if run is None:
        return Known(pruned=memory.pruned)
    if memory.run_id != run.id:
        memory.run_id, memory.run_read_at, memory.progress_since = run.id, None, None
    flows = world.cache.workflows(run.id)
    phase = flows[0].phase if flows else None
    return Known(phase, memory.run_read_at, memory.progress_since, world.run_reads.free(now), memory.pruned)


async def _look(
    world: World, seen: Observation, memory: Memory, looks: frozenset[Look], now: datetime
) -> Observation:
    """Take all looks at once; each fills its own field."""
    reads = {
        Look.RUN: lambda: _run(world, seen, memory, now),
        Look.WORKFLOWS: lambda: _workflows(world, seen),
        Look.RUN_PODS: lambda: _run_pods(world, seen),
        Look.ABANDONED: lambda: _abandoned(world, seen),
        Look.PREFLIGHT: lambda: _preflight(world, seen, now),
        Look.RESULT: lambda: _result(world, seen),
        Look.PINNED: lambda: _pinned(world, seen),
        Look.VERSIONS: lambda: _versions(world, seen, memory),
        Look.PROBE: lambda: probe(world, seen, memory, now),
        Look.ANALYSIS: lambda: measure(world, seen, now),
        Look.SERVER_PODS: lambda: _server_pods(world, seen),
        Look.RECOVERY: lambda: _recovery(world, seen),
    }
    found: dict[str, object] = {}
    for part in await asyncio.gather(*(reads[look]() for look in sorted(looks, key=lambda look: look.value))):
        found |= part
    return replace(seen, **found)  # type: ignore[arg-type]


# --- One look each ------------------------------------------------------------------------------------------------


async def _run(world: World, seen: Observation, memory: Memory, now: datetime) -> dict[str, object]:
    run = seen.resource.status.run
    assert run is not None
    world.run_reads.take()
    found = await read_run(world.kfp, run.id)
    if isinstance(found, KfpRun):
        memory.run_read_at = now
        progress = f"{found.state} {[(step.name, step.state) for step in found.steps]}"
        if progress != memory.progress or memory.progress_since is None:
            memory.progress, memory.progress_since = progress, now
    return {"run": found}


async def read_run(kfp: Kfp, run_id: str) -> Reading[KfpRun]:
    """A run, absent, or unknown."""
    try:
        return await kfp.get_run(run_id)
    except GatewayError as error:
        return Unknown(error.reason, error.message)


async def _workflows(world: World, seen: Observation) -> dict[str, object]:
    run = seen.resource.status.run
    assert run is not None
    try:
        return {"workflows": await live_workflows(world, seen.resource.metadata.namespace, [run.id])}
    except GatewayError as error:
        return {"workflows": Unknown(error.reason, error.message)}


async def _abandoned(world: World, seen: Observation) -> dict[str, object]:
    ids = [one.id for one in seen.resource.status.abandoned]
    runs = dict(zip(ids, await asyncio.gather(*(read_run(world.kfp, one) for one in ids)), strict=True))
    flows: tuple[Workflow, ...] = ()
    for one in ids:
        flows += tuple(
            flow for flow in world.cache.workflows(one) if flow.phase not in ("Succeeded", "Failed", "Error")
        )
    return {"abandoned_runs": runs, "abandoned_workflows": flows}


async def _run_pods(world: World, seen: Observation) -> dict[str, object]:
    run = seen.resource.status.run
    assert run is not None
    try:
        return {"run_pods": await run_pods(world, seen.resource.metadata.namespace, run)}
    except GatewayError:
        return {}


async def _preflight(world: World, seen: Observation, now: datetime) -> dict[str, object]:
    wanted = next_run(seen, now)
    assert wanted is not None
    identity = run_id(seen.resource.metadata.uid, wanted.version, wanted.attempt)
    only = known_status(seen, now).candidate if wanted.kind == "Evaluate" else None
    return {"preflight": await preflight(world, seen.resource, identity, only)}


async def _result(world: World, seen: Observation) -> dict[str, object]:
    run = seen.resource.status.run
    assert run is not None
    candidate = seen.resource.status.candidate
    if not run.only_evaluates:
        found = await read_checked(world, seen.resource, run.prefix, run.version, run.id)
    elif candidate is None or candidate.run_id != run.evaluates:
        found = Problem(reasons.NO_RESULT, "the version that was evaluated is not the newest any more")
    else:
        found = await read_evaluation(world, seen.resource, candidate, run.id)
    return {"result": found}


async def _pinned(world: World, seen: Observation) -> dict[str, object]:
    version = seen.resource.spec.serve.pinned_version
    assert version is not None
    return {"pinned": await find_version(world, seen.resource, version)}


async def _versions(world: World, seen: Observation, memory: Memory) -> dict[str, object]:
    found = await own_folders(world, seen.resource)
    if isinstance(found, tuple) and not prunable(seen.resource, seen.resource.status, found):
        memory.pruned = worth_a_look(seen.resource, seen.resource.status)
    return {"versions": found}


async def _server_pods(world: World, seen: Observation) -> dict[str, object]:
    target = seen.resource.status.served.target if seen.resource.status.served else None
    if target is None:
        return {}
    service = place_of_proof(seen).service
    if not isinstance(service, InferenceService):
        return {}
    try:
        return {"server_trouble": server_trouble(await server_pods(world, service, target))}
    except GatewayError:
        return {}


async def _recovery(world: World, seen: Observation) -> dict[str, object]:
    try:
        return {"recovery": await recover(world, seen)}
    except GatewayError as error:
        return {"recovery": Unknown(error.reason, error.message)}
