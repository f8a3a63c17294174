"""Names that the operator gives: labels, annotations, run ids, prefixes in the bucket."""

from __future__ import annotations

from uuid import UUID, uuid5

from .resource import GROUP, TrainAndServe

FIELD_MANAGER = "trainandserve"
FINALIZER = f"{GROUP}/cleanup"

RETRAIN = f"{GROUP}/retrain"
"""Annotation of the resource: any new value starts a run."""

CREDENTIALS = f"{GROUP}/credentials"
"""Label that a Secret must carry (``"true"``) before the operator reads it."""

OWNER = f"{GROUP}/name"
"""Label of the InferenceService: the resource it belongs to."""

MODEL_VERSION = f"{GROUP}/version"
RUN_ID = f"{GROUP}/run-id"
RESULT_DIGEST = f"{GROUP}/result-digest"
TRAINING_HASH = f"{GROUP}/training-hash"

DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
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


def predictor_deployment(name: str) -> str:
    """Name of the Deployment that KServe makes in Standard mode."""
    return f"{name}-predictor"
