"""Measurements by Prometheus of the version that is being rolled out: those that are due."""

from __future__ import annotations

import asyncio
from datetime import datetime

from ..decide.analysis import due, interval
from ..decide.rollout import place_of_proof
from ..gateways.errors import GatewayError
from ..names import predictor_deployment
from ..observation import Deployment, InferenceService, Measurement, Observation
from ..queries import QueriesError, Subject
from ..resource import Analysis
from .world import World


async def measure(world: World, seen: Observation, now: datetime) -> dict[str, object]:
    """Ask the queries that are due about the place where the version is; the observation's field."""
    asked = due(seen, now)
    found = await asyncio.gather(*(_measured(world, seen, one) for one in asked))
    return {"measurements": {one.query: answer for one, answer in zip(asked, found, strict=True)}}


async def _measured(world: World, seen: Observation, asked: Analysis) -> Measurement:
    subject = subject_of(seen, asked)
    query = (world.policy.queries or {}).get(asked.query)
    if subject is None or query is None or world.prometheus is None:
        return Measurement(error="there is nothing to ask, or nobody to ask it")
    try:
        return Measurement(value=await world.prometheus.ask(query.about(subject)))
    except (GatewayError, QueriesError) as error:
        return Measurement(error=str(error))


def subject_of(seen: Observation, asked: Analysis) -> Subject | None:
    """What a measurement is about now; None while there is no such InferenceService."""
    place = place_of_proof(seen)
    if not isinstance(place.service, InferenceService):
        return None
    service = str(place.service.metadata["name"])
    revision = str(place.service.predictor.get("latestCreatedRevision") or "")
    known = place.deployment.name if isinstance(place.deployment, Deployment) else ""
    return Subject(
        namespace=seen.resource.metadata.namespace,
        service=service,
        deployment=known or predictor_deployment(service),
        revision=revision,
        interval=interval(seen, asked),
    )
