"""The reasons that conditions and events carry: one word each, with what it means."""

from __future__ import annotations

from typing import Final

# Ready, Reconciling
SERVING: Final = "Serving"  # A proven version serves and nothing is to do.
PROGRESSING: Final = "Progressing"  # Something is under way; the message says what.
NOT_SERVED_YET: Final = "NotServedYet"  # No version was ever proven to serve.
NOT_ANSWERING: Final = "NotAnswering"  # The model server has no pod that is ready.
SUSPENDED: Final = "Suspended"  # spec.suspend holds everything.
DELETING: Final = "Deleting"  # The resource is being deleted.

# ModelTrained
TRAINED: Final = "Trained"  # The newest run succeeded and its result was read.
TRAINING: Final = "Training"  # A run is under way.
EVALUATING: Final = "Evaluating"  # A run that only evaluates is under way.
QUEUED: Final = "Queued"  # As many runs as allowed are under way.
RUN_FAILED: Final = "RunFailed"  # A run failed; the message names the step.
RUN_LOST: Final = "RunLost"  # A run vanished without a result.
RUN_STOPPED: Final = "RunStopped"  # A run was stopped because its inputs changed.
NO_RESULT: Final = "NoResult"  # A run succeeded but left no result that holds.
RETRIES_EXHAUSTED: Final = "RetriesExhausted"  # The runs for this version all failed.
RUN_STUCK: Final = "RunStuck"  # A run does not move; the message says what holds it.
SUBMISSION_REFUSED: Final = "SubmissionRefused"  # Kubeflow Pipelines refused the run.
SUBMISSION_UNCERTAIN: Final = (
    "SubmissionUncertain"  # No answer to a submission; looking for what became of it.
)

# ModelAccepted
ACCEPTED: Final = "Accepted"  # The version met every bound.
APPROVED: Final = "Approved"  # A person let the version be served.
AWAITING_APPROVAL: Final = "AwaitingApproval"  # The version met every bound; evaluation.approval is Manual.
INCONCLUSIVE: Final = "Inconclusive"  # The evaluation says neither yes nor no; a person must.
SUPERSEDED: Final = "Superseded"  # A newer version was judged while this one waited for approval.
REJECTED: Final = "Rejected"  # The version missed a bound.
FAILED_TO_SERVE: Final = (
    "FailedToServe"  # The version met its bounds but the model server could not serve it.
)
NOT_JUDGED: Final = "NotJudged"  # No version was judged yet.
INCUMBENT_CHANGED: Final = "IncumbentChanged"  # Another version serves than the one it was compared with.

# ModelServed
PROVEN: Final = "Proven"  # Seen to serve: Deployment, pods and predictions.
SMOKE_SKIPPED: Final = "SmokeSkipped"  # Seen to serve, but predictions could not be tried from here.
ROLLING_OUT: Final = "RollingOut"  # The model server is being changed.
ROLLOUT_STUCK: Final = "RolloutStuck"  # A change of the model server does not get done.
NOTHING_TO_SERVE: Final = "NothingToServe"  # No version was accepted yet.
NOT_OURS: Final = "InferenceServiceNotOurs"  # An InferenceService of that name belongs to somebody else.
APPLY_REFUSED: Final = "InferenceServiceRefused"  # The API server or KServe refused the InferenceService.
CANARY_REFUSED: Final = "CanaryNotSupported"  # KServe splits no traffic in this mode.
ANALYSIS_REFUSED: Final = "AnalysisNotConfigured"  # No such query, or no Prometheus, is configured.
ANALYSIS_INCONCLUSIVE: Final = "AnalysisInconclusive"  # Prometheus does not say how a version does.
ADMISSION_DENIED: Final = "AdmissionDenied"  # A webhook denied the InferenceService.
PINNED_UNAVAILABLE: Final = "PinnedVersionUnavailable"  # The pinned version is not there, or not whole.
MODEL_CHANGED: Final = "ModelChanged"  # The files of a version are not those that were judged.

# What is missing outside
NAMESPACE_NOT_SUPPORTED: Final = "NamespaceNotSupported"  # Single-user Kubeflow Pipelines run elsewhere.
NAME_TOO_LONG: Final = "NameTooLong"  # KServe cannot make a host name from it.
SECRET_NOT_FOUND: Final = "SecretNotFound"  # A Secret that the resource names is not there.
SECRET_NOT_NAMED: Final = "SecretNotNamed"  # No Secret is named, and the operator may not go there as itself.
SECRET_NOT_LABELLED: Final = "SecretNotLabelled"  # The Secret is not marked for use by the operator.
SECRET_INCOMPLETE: Final = "SecretIncomplete"  # The Secret lacks a key or has a malformed annotation.
ENDPOINT_NOT_ALLOWED: Final = (
    "EndpointNotAllowed"  # The Secret names an S3 endpoint that the administrator did not allow.
)
BUCKET_NOT_FOUND: Final = "BucketNotFound"  # The bucket is not there.
BUCKET_REFUSED: Final = "BucketRefused"  # The bucket refuses these credentials.
STORAGE_UNREACHABLE: Final = "StorageUnreachable"  # S3 does not answer.
DATA_NOT_FOUND: Final = "DataNotFound"  # There is nothing under the data's URI.
KFP_UNREACHABLE: Final = "PipelinesUnreachable"  # Kubeflow Pipelines does not answer.
KFP_REFUSED: Final = "PipelinesRefused"  # Kubeflow Pipelines refuses the operator's credentials.
KSERVE_MISSING: Final = "KServeNotInstalled"  # The cluster has no InferenceService.
KUBERNETES_REFUSED: Final = "KubernetesRefused"  # The API server refused the operator.
INVALID_SPEC: Final = "InvalidSpec"  # The specification cannot be read.

# Events
RUN_STARTED: Final = "RunStarted"
RUN_SUCCEEDED: Final = "RunSucceeded"
VERSION_ACCEPTED: Final = "VersionAccepted"
VERSION_REJECTED: Final = "VersionRejected"
APPROVAL_NEEDED: Final = "ApprovalNeeded"
APPROVAL_IGNORED: Final = "ApprovalIgnored"
VERSION_SERVED: Final = "VersionServed"
VERSION_PINNED: Final = "VersionPinned"
PIN_REMOVED: Final = "PinRemoved"
ROLLED_BACK: Final = "RolledBack"
STATUS_REBUILT: Final = "StatusRebuilt"
CLEANUP_SKIPPED: Final = "CleanupSkipped"
