"""A version's result file, checked against the bucket."""

from __future__ import annotations

from ..credentials import read_access
from ..gateways.errors import NotFound, Refused, Unreachable
from ..gateways.s3 import Access
from ..observation import Problem, Result, Unknown
from ..resource import TrainAndServe
from ..result import checked, read_result
from .world import World

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
    try:
        access = await storage_access(world, resource)
        data = await world.s3.read(f"{prefix}result.json", access)
        listing = await world.s3.objects(prefix, access)
        file = read_result(data, f"{prefix}result.json")
        return checked(file, data, listing, uid=resource.metadata.uid, version=version, run_id=run_id)
    except NotFound as error:
        return Problem(error.reason, f"the run left no result: {error.message}")
    except Refused as error:
        return Unknown(error.reason, error.message) if error.reason.startswith(_OUTSIDE) else error.problem
    except Unreachable as error:
        return error.unknown
