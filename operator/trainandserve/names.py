"""Names that the operator gives: labels, annotations, run ids, prefixes in the bucket."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID, uuid5

from .resource import GROUP, TrainAndServe

FIELD_MANAGER = "trainandserve"
FINALIZER = f"{GROUP}/cleanup"

RETRAIN = f"{GROUP}/retrain"
"""Annotation of the resource: any new value starts a run."""

APPROVE = f"{GROUP}/approve"
"""Annotation of the resource: ``<version>@<first 8 of the result's digest>`` lets a version be served that waits for it."""

CREDENTIALS = f"{GROUP}/credentials"
"""Label that a Secret must carry (``"true"``) before the operator reads it."""

OWNER = f"{GROUP}/name"
"""Label of the InferenceService: the resource it belongs to."""

ROLE = f"{GROUP}/role"
"""Label of the second InferenceService (``candidate``), on which a version is proven before users meet it."""

MODEL_VERSION = f"{GROUP}/version"
RUN_ID = f"{GROUP}/run-id"
RESULT_DIGEST = f"{GROUP}/result-digest"
TRAINING_HASH = f"{GROUP}/training-hash"

VISIBILITY = "networking.kserve.io/visibility"
"""Label by which KServe makes no way from outside the cluster (``cluster-local``)."""

DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
TAG_ROUTING = "serving.kserve.io/enable-tag-routing"
"""Annotation by which the newest revision has an address of its own, in Knative mode."""

REVISION = "serving.knative.dev/revision"
"""Label of the Deployment behind a revision."""

STORAGE_SECRET = "serving.kserve.io/storageSecretName"
ISTIO_INJECT = "sidecar.istio.io/inject"
INFERENCE_SERVICE_LABEL = "serving.kserve.io/inferenceservice"
SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"
KFP_RUN_LABEL = "pipeline/runid"


def run_id(uid: str, version: int, attempt: int) -> str:
    """Id of the run for one attempt at one version: the same whoever computes it."""
    return str(uuid5(UUID(uid), f"{version}/{attempt}"))


def resource_prefix(resource: TrainAndServe) -> str:
    """Where all versions of a resource live: ``<storage.uri>/<namespace>/<name>/``."""
    namespace, name = resource.key
    return f"{resource.spec.storage.uri.rstrip('/')}/{namespace}/{name}/"


def attempt_prefix(resource: TrainAndServe, version: int, run: str) -> str:
    """Where one attempt writes: its own folder, named after its run."""
    return f"{resource_prefix(resource)}{version}-{run[:8]}/"


def model_uri(prefix: str) -> str:
    """What KServe is given: the parent of the integer folder, with a slash (else ``run-1`` also matches ``run-10``)."""
    return f"{prefix}model/"


def evaluation_prefix(uri: str, run: str) -> str:
    """Where a run that only evaluates a version writes: beside its model, whose address this takes."""
    return f"{version_prefix(uri)}evaluations/{run[:8]}/"


def version_prefix(uri: str) -> str:
    """Where the version lies whose model has this address."""
    return uri.removesuffix("model/")


def predictor_deployment(name: str) -> str:
    """Name of the Deployment that KServe makes in Standard mode."""
    return f"{name}-predictor"


HOST_LABEL = 63
"""Longest label of a host name. KServe makes one of ``<name>-predictor-<namespace>``, ingress or not."""

_DIGEST = 6


def predictor_host(namespace: str, name: str) -> str:
    """First label of the host name that KServe gives a predictor in Standard mode."""
    return f"{predictor_deployment(name)}-{namespace}"


def candidate_service(namespace: str, name: str) -> str | None:
    """Name of the second InferenceService of a resource; None where its namespace's name leaves no room for one.

    ``<name>-candidate``, or where that is too long for KServe a part of the name and a digest of the whole.
    """
    whole = f"{name}-candidate"
    if len(predictor_host(namespace, whole)) <= HOST_LABEL:
        return whole
    end = f"-c{sha256(name.encode()).hexdigest()[:_DIGEST]}"
    room = HOST_LABEL - len(predictor_host(namespace, end))
    return f"{name[:room].rstrip('-')}{end}" if room > 0 else None
