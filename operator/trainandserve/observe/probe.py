"""Predictions asked of the model server that is being proven, and of the one that serves beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..decide.rollout import not_before_all, place_of_proof
from ..decide.workload import Place, users_place
from ..gateways.errors import GatewayError
from ..gateways.predictor import Answer
from ..names import version_prefix
from ..observation import InferenceService, Observation, Result, ServerTrouble
from ..predictions import disagreement
from ..resource import Target, TrainAndServe
from .results import read_checked
from .troubles import restarts, server_pods, server_trouble
from .world import Memory, World


async def probe(world: World, seen: Observation, memory: Memory, now: datetime) -> dict[str, object]:
    """Ask for predictions where the target is to be proven, and look at its pods; the observation's fields."""
    target = seen.resource.status.served.target if seen.resource.status.served else None
    place = place_of_proof(seen)
    service = place.service
    if target is None or not isinstance(service, InferenceService):
        return {}
    sample = await _sample(world, seen.resource, target, memory)
    beside = users_place(seen) if not_before_all(seen.resource.status) else None
    answer, other, (trouble, started) = await asyncio.gather(
        _ask(world, place, sample), _ask(world, beside, sample), _pods(world, service, target)
    )
    found: dict[str, object] = {"server_trouble": trouble}
    if answer is not None:
        of = f"{place.address}/{target.run_id}/{started}"
        found["probe"] = memory.answers.take(of, _checked(world, answer, sample), other, now)
    return found


async def _ask(world: World, place: Place | None, sample: Mapping[str, Any] | None) -> Answer | None:
    if place is None or not isinstance(place.service, InferenceService) or not place.address:
        return None
    metadata = place.service.metadata
    return await world.predictor.ask(place.address, str(metadata["namespace"]), str(metadata["name"]), sample)


def _checked(world: World, answer: Answer, sample: Mapping[str, Any] | None) -> Answer:
    """The answer, or that it is wrong: not what the version answered when it was evaluated."""
    expected = (sample or {}).get("predictions")
    if answer.predictions is None or not isinstance(expected, list):
        return answer
    if words := disagreement(expected, answer.predictions, world.settings.smoke_tolerance):
        return replace(answer, state="wrong", message=words)
    return answer


async def _pods(world: World, service: InferenceService, target: Target) -> tuple[ServerTrouble | None, int]:
    """What is wrong with the target's pods, and how often their containers were started again."""
    try:
        pods = await server_pods(world, service, target)
    except GatewayError:
        return None, 0
    return server_trouble(pods), restarts(pods)


async def _sample(
    world: World, resource: TrainAndServe, target: Target, memory: Memory
) -> Mapping[str, Any] | None:
    """The sample of a version's result file, inputs and predictions, read once."""
    if target.run_id not in memory.samples:
        prefix = version_prefix(target.uri)
        result = await read_checked(world, resource, prefix, target.version, target.run_id)
        memory.samples = {target.run_id: result.sample if isinstance(result, Result) else None}
    return memory.samples[target.run_id]
