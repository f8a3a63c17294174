"""A version's result file, checked against the bucket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .. import reasons
from ..credentials import read_access
from ..gateways.errors import NotFound, Refused, Unreachable
from ..gateways.s3 import Access
from ..names import evaluation_prefix, version_prefix
from ..observation import Problem, Result, Unknown
from ..resource import Candidate, TrainAndServe
from ..result import checked, evaluation, read_result
from .world import World

EVALUATION = "evaluation.json"
"""File of an evaluation by a run of its own."""

_OUTSIDE = ("Secret", "Bucket", "Endpoint", "Kubernetes")


async def storage_access(world: World, resource: TrainAndServe) -> Access:
    """How to reach the resource's storage; see `credentials.read_access` for what is raised."""
    return await secret_access(world, resource, resource.spec.storage.secret_name)


async def secret_access(world: World, resource: TrainAndServe, secret: str | None) -> Access:
    """How to reach S3 with a Secret of the resource's namespace."""
    return await read_access(world.kubernetes, resource.metadata.namespace, secret, world.settings)


async def read_checked(
    world: World, resource: TrainAndServe, prefix: str, version: int, run_id: str
) -> Result | Problem | Unknown:
    """The result of a version; a problem where it does not hold, unknown where nobody says.

    A refused Secret or bucket says nothing about the version: unknown.
    """

    async def read() -> Result:
        access = await storage_access(world, resource)
        data = await world.s3.read(f"{prefix}result.json", access)
        listing = await world.s3.objects(prefix, access)
        file = read_result(data, f"{prefix}result.json")
        return checked(file, data, listing, uid=resource.metadata.uid, version=version, run_id=run_id)

    return await _answered(read)


async def read_unchanged(
    world: World, resource: TrainAndServe, candidate: Candidate
) -> Result | Problem | Unknown:
    """The result of a version that was judged, if it is still the one that was."""
    found = await read_checked(
        world, resource, version_prefix(candidate.uri), candidate.version, candidate.run_id
    )
    if isinstance(found, Result) and found.digest != candidate.result_digest:
        return Problem(reasons.MODEL_CHANGED, "its result file is not the one that was judged")
    return found


async def read_evaluation(
    world: World, resource: TrainAndServe, candidate: Candidate, run_id: str
) -> Result | Problem | Unknown:
    """What a run found that only evaluated a version; a problem where that does not hold, or the version does not any more."""
    made = await read_unchanged(world, resource, candidate)
    if not isinstance(made, Result):
        return made

    async def read() -> Result:
        uri = f"{evaluation_prefix(candidate.uri, run_id)}{EVALUATION}"
        data = await world.s3.read(uri, await storage_access(world, resource))
        uid, version = resource.metadata.uid, candidate.version
        return evaluation(data, uri, uid=uid, version=version, evaluates=candidate.run_id, run_id=run_id)

    return await _answered(read)


async def _answered(read: Callable[[], Awaitable[Result]]) -> Result | Problem | Unknown:
    try:
        return await read()
    except NotFound as error:
        return Problem(error.reason, f"the run left no result: {error.message}")
    except Refused as error:
        return Unknown(error.reason, error.message) if error.reason.startswith(_OUTSIDE) else error.problem
    except Unreachable as error:
        return error.unknown
