"""The versions that the bucket holds."""

from __future__ import annotations

import re
from dataclasses import replace

from .. import names, reasons
from ..gateways.errors import GatewayError
from ..observation import Folder, Problem, Result, Stored, Unknown
from ..resource import Status, TrainAndServe
from .results import read_checked, storage_access
from .world import World

ATTEMPTS_LOOKED_FOR = 12
"""Attempts at a version whose ids are tried."""

_ATTEMPTS_OF_ALL = 100
"""The same where a folder is only to be told from those of others."""

_ATTEMPT = re.compile(r"([1-9][0-9]{0,8})-([0-9a-f]{8})")


async def folders(world: World, resource: TrainAndServe) -> list[tuple[int, str]]:
    """The folders of all attempts, by version, newest first.

    Raises
    ------
    GatewayError
        The storage does not answer.
    """
    access = await storage_access(world, resource)
    prefix = names.resource_prefix(resource)
    matches = (_ATTEMPT.fullmatch(folder) for folder in await world.s3.folders(prefix, access))
    return sorted(((int(match[1]), f"{prefix}{match[0]}/") for match in matches if match), reverse=True)


def run_of(
    resource: TrainAndServe, version: int, prefix: str, attempts: int = ATTEMPTS_LOOKED_FOR
) -> str | None:
    """The run of ours that a folder is named after; None where it is none of this resource's."""
    for attempt in range(1, attempts + 1):
        run_id = names.run_id(resource.metadata.uid, version, attempt)
        if prefix.endswith(f"/{version}-{run_id[:8]}/"):
            return run_id
    return None


async def find_version(world: World, resource: TrainAndServe, version: int) -> Stored | Problem:
    """A version whose result is ours and whose files are those of the result; a problem where there is none."""
    missing: Problem | None = None
    try:
        for prefix, run_id, digest in await _places(world, resource, version):
            result = await read_checked(world, resource, prefix, version, run_id)
            if isinstance(result, Unknown):
                return result
            if isinstance(result, Result) and digest in (None, result.digest):
                return Stored(result, prefix)
            if isinstance(result, Result):
                missing = Problem(reasons.MODEL_CHANGED, "its result file is not the one that was judged")
            else:
                missing = missing or result
    except GatewayError as error:
        return Unknown(error.reason, error.message)
    where = names.resource_prefix(resource)
    return missing or Problem(reasons.NO_RESULT, f"this resource has no version {version} below {where}")


async def _places(world: World, resource: TrainAndServe, version: int) -> list[tuple[str, str, str | None]]:
    """Where the version may be, with its run and, where it is known, the digest of its result: what the status knows first."""
    known = [one for one in _known(resource.status) if one[0] == version]
    places = [(names.version_prefix(uri), run_id, digest) for _, uri, run_id, digest in known if uri]
    seen = {prefix for prefix, *_ in places}
    for number, prefix in await folders(world, resource):
        if number == version and prefix not in seen and (run_id := run_of(resource, version, prefix)):
            places.append((prefix, run_id, None))
    return places


def _known(status: Status) -> list[tuple[int, str, str, str | None]]:
    found: dict[str, tuple[int, str, str, str | None]] = {}
    for entry in (status.candidate, *status.history):
        if entry is not None:
            found.setdefault(
                entry.run_id, (entry.version, entry.uri, entry.run_id, entry.result_digest or None)
            )
    return list(found.values())


async def own_folders(world: World, resource: TrainAndServe) -> tuple[Folder, ...] | Unknown:
    """The folders that attempts of this resource wrote, newest first.

    Whether one has a result is looked for from the newest on, until as many are found as are to be kept: what is older goes
    whatever it holds.
    """
    keep = resource.spec.storage.keep_versions or 0
    complete: set[int] = set()
    try:
        access = await storage_access(world, resource)
        found = [
            Folder(version, run_id, prefix)
            for version, prefix in await folders(world, resource)
            if (run_id := run_of(resource, version, prefix, _ATTEMPTS_OF_ALL))
        ]
        if len({folder.version for folder in found}) <= keep:
            return tuple(found)
        for folder in found:
            if len(complete) < keep and await world.s3.exists(f"{folder.prefix}result.json", access):
                complete.add(folder.version)
    except GatewayError as error:
        return Unknown(error.reason, error.message)
    return tuple(replace(folder, complete=folder.version in complete) for folder in found)
