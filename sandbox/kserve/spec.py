"""What an InferenceService asks for, and what KServe v0.20 finds wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

GROUP = "serving.kserve.io"
VERSION = "v1beta1"
PLURAL = "inferenceservices"
FINALIZER = "inferenceservice.finalizers"
ISVC_LABEL = f"{GROUP}/inferenceservice"
MODE_ANNOTATION = f"{GROUP}/deploymentMode"
TAG_ANNOTATION = f"{GROUP}/enable-tag-routing"
STOP_ANNOTATION = f"{GROUP}/stop"
SECRET_ANNOTATION = f"{GROUP}/storageSecretName"
SOURCE_URI_ANNOTATION = "internal.serving.kserve.io/storage-initializer-sourceuri"
FORMAT_ANNOTATION = "modelFormat"
LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"

STANDARD_MODES = frozenset({"Standard", "RawDeployment"})
KNATIVE_MODES = frozenset({"Knative", "Serverless"})
# KServe refuses other schemes before it creates anything; of these the stand-in can read s3 only.
STORAGE_SCHEMES = frozenset({"s3", "gs", "http", "https", "hf", "file", "pvc", "hdfs", "webhdfs", "oci"})
MAX_HOST_LABEL = 63


@dataclass(frozen=True)
class Runtime:
    """A serving runtime as far as selection and the pod template need it.

    Attributes
    ----------
    model_format
        Name of the one model format that it serves.
    protocols
        Values of ``protocolVersion`` that select it.
    container
        Container fields that the InferenceService's own are merged over.
    """

    name: str
    model_format: str
    protocols: frozenset[str]
    container: Mapping[str, Any]


TENSORFLOW_RUNTIME = Runtime(
    name="kserve-tensorflow-serving",
    model_format="tensorflow",
    protocols=frozenset({"v1", "grpc-v1"}),
    container={
        "image": "tensorflow/serving:2.6.2",
        "args": ["--port=9000", "--rest_api_port=8080", "--model_base_path=/mnt/models"],
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
    },
)


class Problem(StrEnum):
    """Why nothing can be deployed."""

    SERVERLESS_REJECTED = "ServerlessModeRejected"
    STORAGE_NOT_SUPPORTED = "StorageURINotSupported"
    RUNTIME_NOT_RECOGNIZED = "RuntimeNotRecognized"
    NO_SUPPORTING_RUNTIME = "NoSupportingRuntime"
    RECONCILE_FAILED = "ReconcileFailed"


@dataclass(frozen=True)
class Finding:
    """One problem and the text that KServe says about it."""

    problem: Problem
    message: str


@dataclass(frozen=True)
class InferenceService:
    """A read-only view of one InferenceService object."""

    raw: Mapping[str, Any]

    @property
    def metadata(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.raw["metadata"]
        return found

    @property
    def name(self) -> str:
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        return str(self.metadata["namespace"])

    @property
    def uid(self) -> str:
        return str(self.metadata["uid"])

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.metadata.get("annotations") or {})

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.metadata.get("labels") or {})

    @property
    def finalizers(self) -> list[str]:
        return list(self.metadata.get("finalizers") or [])

    @property
    def being_deleted(self) -> bool:
        return "deletionTimestamp" in self.metadata

    @property
    def predictor(self) -> Mapping[str, Any]:
        return self.raw.get("spec", {}).get("predictor") or {}

    @property
    def model(self) -> Mapping[str, Any]:
        return self.predictor.get("model") or {}

    @property
    def model_format(self) -> str:
        return str((self.model.get("modelFormat") or {}).get("name") or "")

    @property
    def storage_uri(self) -> str:
        return str(self.model.get("storageUri") or "")

    @property
    def service_account(self) -> str:
        return str(self.predictor.get("serviceAccountName") or "default")

    @property
    def replicas(self) -> int:
        """Servers wanted: ``minReplicas``, or one where that is absent or zero (there is no autoscaler)."""
        return max(1, int(self.predictor.get("minReplicas") or 1))

    @property
    def mode(self) -> str:
        """The deployment mode asked for; without the annotation, the shipped default."""
        return self.annotations.get(MODE_ANNOTATION, "Serverless")

    @property
    def status_mode(self) -> str:
        return "Knative" if self.mode in KNATIVE_MODES else "Standard"

    @property
    def canary(self) -> int | None:
        """``canaryTrafficPercent``, which Knative mode alone looks at."""
        found = self.predictor.get("canaryTrafficPercent")
        return None if found is None else int(found)

    @property
    def tagged(self) -> bool:
        """Whether the latest revision gets an address of its own."""
        return self.annotations.get(TAG_ANNOTATION) == "true"

    @property
    def stop_requested(self) -> bool:
        return self.annotations.get(STOP_ANNOTATION, "").lower() == "true"

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.raw.get("status") or {})

    @property
    def defaulted_annotations(self) -> dict[str, str]:
        """Annotations that the real webhook would have added on the write and that are still missing."""
        if not self.model_format or FORMAT_ANNOTATION in self.annotations:
            return {}
        return {FORMAT_ANNOTATION: self.model_format}


def choose_runtime(isvc: InferenceService, runtimes: tuple[Runtime, ...]) -> Runtime | Finding:
    """The runtime named in the model, else the first that serves its format and protocol."""
    wanted = isvc.model.get("runtime")
    if wanted:
        for runtime in runtimes:
            if runtime.name == wanted:
                return runtime
        return Finding(Problem.RUNTIME_NOT_RECOGNIZED, "Waiting for runtime to become available")
    protocol = isvc.model.get("protocolVersion") or "v1"
    for runtime in runtimes:
        if runtime.model_format == isvc.model_format and protocol in runtime.protocols:
            return runtime
    return Finding(Problem.NO_SUPPORTING_RUNTIME, "No runtime found to support specified framework/version")


def rejected_mode(isvc: InferenceService) -> Finding | None:
    """The shipped default is a mode that needs Knative, which is not there."""
    if isvc.mode not in KNATIVE_MODES:
        return None
    return Finding(
        Problem.SERVERLESS_REJECTED,
        "It is not possible to use Knative deployment mode when Knative Services are not available",
    )


def unsupported_storage(isvc: InferenceService) -> Finding | None:
    """A scheme that KServe does not know. An empty URI passes here and fails in the storage initializer."""
    scheme, separator, _ = isvc.storage_uri.partition("://")
    if not isvc.storage_uri or (separator and scheme in STORAGE_SCHEMES):
        return None
    return Finding(
        Problem.STORAGE_NOT_SUPPORTED,
        f"fails to reconcile predictor: StorageURI not supported: {isvc.storage_uri}",
    )


def failed_workload(isvc: InferenceService) -> Finding | None:
    """Names and modes that pass the webhook and stop the workload's reconciler."""
    prefix = "fails to create NewRawKubeReconciler for predictor: "
    if isvc.mode in KNATIVE_MODES:
        return None
    if isvc.mode not in STANDARD_MODES:
        return Finding(
            Problem.RECONCILE_FAILED, f"{prefix}unsupported deployment mode for workload: {isvc.mode}"
        )
    host = f"{isvc.name}-predictor-{isvc.namespace}"
    if len(host) > MAX_HOST_LABEL:
        return Finding(
            Problem.RECONCILE_FAILED,
            f'{prefix}failed creating host name: invalid domain name "{host}.example.com": '
            f'url: Invalid value: "{host}": must be no more than {MAX_HOST_LABEL} characters',
        )
    return None
