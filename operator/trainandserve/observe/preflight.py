"""Could a run start now? Everything it needs is looked at before, and each missing thing is named."""

from __future__ import annotations

from .. import reasons
from ..credentials import data_secret, evaluation_secret
from ..gateways.errors import GatewayError
from ..gateways.s3 import listing_digest
from ..inference_service import API
from ..names import HOST_LABEL, predictor_host, resource_prefix
from ..observation import ABSENT, Preflight, Problem, Unknown
from ..resource import GROUP, Candidate, TrainAndServe
from .results import read_unchanged, secret_access, storage_access
from .workflows import live_workflows
from .world import World

_PARAMETERS_LIMIT = 16 * 1024
_PLATFORM = (
    "pipeline/",
    "pipelines.kubeflow.org/",
    "workflows.argoproj.io/",
    "serving.kserve.io/",
    "internal.serving.kserve.io/",
    f"{GROUP}/",
)
"""Labels and annotations by which controllers know pods as theirs."""


async def preflight(
    world: World, resource: TrainAndServe, run_id: str, only: Candidate | None = None
) -> Preflight:
    """Look at KServe, Kubeflow Pipelines, Secrets, buckets and data; the first problem of each kind counts.

    Parameters
    ----------
    run_id
        The id that the run would have. That nobody knows it yet is asked before anything is stored: a second POST of an id
        destroys what the first one made.
    only
        The version that the run only evaluates; None: it trains one.
    """
    problems = [*_names(resource), *await _platform(world, resource)]
    taken, unusable = False, None
    digests: dict[str, str | None] = {"data": None, "evaluation": None}
    try:
        taken = not problems and await _is_taken(world, resource, run_id)
        await _storage(world, resource)
        held_out = resource.spec.evaluate.data
        if only is None or held_out is None:
            digests["data"] = await _digest(world, resource, resource.spec.data.uri, data_secret(resource))
        if held_out is not None:
            digests["evaluation"] = await _digest(world, resource, held_out.uri, evaluation_secret(resource))
        if only is not None:
            unusable = await _unusable(world, resource, only)
    except GatewayError as error:
        problems.append(error.problem)
    if problems:
        return Preflight(tuple(problems))
    if unusable is not None:
        return Preflight(unusable=unusable)
    return Preflight(
        (), digests["data"], digests["evaluation"], slot=world.slots.take(resource.key), taken=taken
    )


def _names(resource: TrainAndServe) -> list[Problem]:
    namespace, name = resource.key
    found = []
    host = predictor_host(namespace, name)
    if len(host) > HOST_LABEL:
        words = f"KServe makes the host name {host}, longer than {HOST_LABEL} characters: use a shorter name"
        found.append(Problem(reasons.NAME_TOO_LONG, words))
    if len(resource.spec.train.model_dump_json(include={"parameters"})) > _PARAMETERS_LIMIT:
        words = (
            f"training.parameters is larger than {_PARAMETERS_LIMIT} bytes: put what is large into the data"
        )
        found.append(Problem(reasons.INVALID_SPEC, words))
    return [*found, *_pod_metadata(resource)]


def _pod_metadata(resource: TrainAndServe) -> list[Problem]:
    """A pod that says it is another run's, or a model server's, would be taken for one: by Argo, KServe, and by us."""
    training = resource.spec.train
    found = []
    for field, keys in (("podLabels", training.pod_labels), ("podAnnotations", training.pod_annotations)):
        if taken := sorted(key for key in keys or () if key.startswith(_PLATFORM)):
            words = f"training.{field} has {', '.join(taken)}: write keys of your own, those belong to the platform"
            found.append(Problem(reasons.INVALID_SPEC, words))
    return found


async def _platform(world: World, resource: TrainAndServe) -> list[Problem]:
    found = []
    try:
        if not await world.kubernetes.has_kind(API, "inferenceservices"):
            words = "the cluster has no InferenceService: install KServe"
            found.append(Problem(reasons.KSERVE_MISSING, words))
        if problem := await _namespace(world, resource):
            found.append(problem)
    except GatewayError as error:
        found.append(error.problem)
    return found


async def _is_taken(world: World, resource: TrainAndServe, run_id: str) -> bool:
    if await world.kfp.get_run(run_id) is not ABSENT:
        return True
    return bool(await live_workflows(world, resource.metadata.namespace, [run_id]))


async def _namespace(world: World, resource: TrainAndServe) -> Problem | None:
    """Single-user Kubeflow Pipelines run everybody's steps in their own namespace, with its rights and Secrets."""
    settings, namespace = world.settings, resource.metadata.namespace
    allowed = {settings.kfp_namespace, *settings.allowed_namespaces}
    if namespace in allowed or "*" in allowed or await world.kfp.multi_user():
        return None
    return Problem(
        reasons.NAMESPACE_NOT_SUPPORTED,
        f"Kubeflow Pipelines is installed for a single user and runs everything in {settings.kfp_namespace}: create the "
        f"resource there, or ask an administrator to add {namespace} to TAS_ALLOWED_NAMESPACES",
    )


async def _storage(world: World, resource: TrainAndServe) -> None:
    access = await storage_access(world, resource)
    await world.s3.check_writable(resource_prefix(resource), access)


async def _unusable(world: World, resource: TrainAndServe, version: Candidate) -> Problem | None:
    """Why a version cannot be evaluated as it lies there; None where it can.

    Raises
    ------
    GatewayError
        Nobody says.
    """
    found = await read_unchanged(world, resource, version)
    if isinstance(found, Unknown):
        raise GatewayError(found.reason, found.message)
    return found if isinstance(found, Problem) else None


async def _digest(world: World, resource: TrainAndServe, uri: str, secret: str | None) -> str:
    objects = await world.s3.objects(uri, await secret_access(world, resource, secret))
    if not objects:
        raise GatewayError(
            reasons.DATA_NOT_FOUND, f"there is nothing under {uri}: upload the data, or correct the URI"
        )
    return listing_digest(objects)
