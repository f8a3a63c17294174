"""What to do next, by the reason that a condition carries. Pure; the README says the same at length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .. import reasons
from ..names import CREDENTIALS, RETRAIN
from ..resource import Condition, Status

NOTHING_WRONG = frozenset(
    {
        reasons.ACCEPTED,
        reasons.APPROVED,
        reasons.DELETING,
        reasons.NOTHING_TO_SERVE,
        reasons.NOT_JUDGED,
        reasons.NOT_SERVED_YET,
        reasons.EVALUATING,
        reasons.PROGRESSING,
        reasons.PROVEN,
        reasons.QUEUED,
        reasons.ROLLING_OUT,
        reasons.RUN_STOPPED,
        reasons.SERVING,
        reasons.SMOKE_SKIPPED,
        reasons.SUSPENDED,
        reasons.TRAINED,
        reasons.TRAINING,
    }
)
"""Reasons that ask for nothing but patience."""

ADVICE = {
    reasons.RUN_FAILED: "it is tried again by itself; look at `logs`, and correct data, parameters or code if they speak of them",
    reasons.RUN_LOST: "it is tried again by itself; if it comes back, look whether somebody deletes runs or Workflows",
    reasons.RETRIES_EXHAUSTED: "look at `logs`, remove the cause, then edit the training or call `retrain`",
    reasons.RUN_STUCK: "remove what the message names; the run goes on by itself",
    reasons.SUBMISSION_UNCERTAIN: "wait a minute: the operator looks what became of it",
    reasons.SUBMISSION_REFUSED: "correct what Kubeflow Pipelines says in the message, then call `retrain`",
    reasons.NO_RESULT: "look at `logs`; if files were removed from the bucket, bring them back or call `retrain`",
    reasons.REJECTED: "train better, or edit evaluation.metrics: the stored result is judged again without a run",
    reasons.FAILED_TO_SERVE: "correct what the server says in the message (often serving.resources), then call `retrain`",
    reasons.AWAITING_APPROVAL: "look at the numbers, then call `approve`, or leave it: a newer version takes its place",
    reasons.INCONCLUSIVE: "look at the numbers, then call `approve`, or train on more data",
    reasons.SUPERSEDED: "nothing: a newer version was judged meanwhile",
    reasons.PINNED_UNAVAILABLE: "pin another version with `rollback --to`, or take the pin away with `promote`",
    reasons.INCUMBENT_CHANGED: "wait: it is compared again by itself",
    reasons.NOT_ANSWERING: "look at the model server's pods: kubectl get pods -l serving.kserve.io/inferenceservice=NAME",
    reasons.ROLLOUT_STUCK: "correct the edit of serving; the message says what the new pods lack",
    reasons.NOT_OURS: "delete the other InferenceService, or give this resource another name",
    reasons.APPLY_REFUSED: "correct what the message says: usually serving.runtime, a quota or a policy",
    reasons.CANARY_REFUSED: "write serving.rollout.strategy: Replace, or serve in KServe's Knative mode",
    reasons.ANALYSIS_REFUSED: "name a query that the message lists, or ask an administrator for TAS_ANALYSIS_QUERIES and TAS_PROMETHEUS_URL",
    reasons.ANALYSIS_INCONCLUSIVE: "ask an administrator to check what the message says of Prometheus or the query; it goes on by itself",
    reasons.ADMISSION_DENIED: "correct what the webhook's message says, then call `retrain`; what served goes on serving",
    reasons.MODEL_CHANGED: "bring the version's files in the bucket back, or call `retrain`",
    reasons.SECRET_NOT_FOUND: "create the Secret in this namespace",
    reasons.SECRET_NOT_NAMED: "name a Secret in storage.secretName",
    reasons.SECRET_NOT_LABELLED: f"kubectl label secret SECRET {CREDENTIALS}=true",
    reasons.SECRET_INCOMPLETE: "add to the Secret what the message says",
    reasons.ENDPOINT_NOT_ALLOWED: "ask an administrator to add the endpoint to TAS_S3_ENDPOINTS",
    reasons.BUCKET_NOT_FOUND: "create the bucket, or correct the URI",
    reasons.BUCKET_REFUSED: "check the keys in the Secret, and their rights on the bucket",
    reasons.STORAGE_UNREACHABLE: "check the endpoint in the Secret's annotations, and the network",
    reasons.DATA_NOT_FOUND: "upload the data, or correct the URI",
    reasons.KFP_UNREACHABLE: "ask an administrator to check Kubeflow Pipelines and TAS_KFP_ENDPOINT",
    reasons.KFP_REFUSED: "ask an administrator to check the operator's rights on Kubeflow Pipelines",
    reasons.NAMESPACE_NOT_SUPPORTED: "create the resource in Kubeflow Pipelines' namespace, or ask for TAS_ALLOWED_NAMESPACES",
    reasons.KSERVE_MISSING: "ask an administrator to install KServe",
    reasons.KUBERNETES_REFUSED: "ask an administrator to check the operator's rights",
    reasons.NAME_TOO_LONG: "make the resource anew under a shorter name",
    reasons.INVALID_SPEC: "correct the field that the message names",
}

_ELSE = f"read the message; once the cause is gone it goes on by itself, or set the annotation {RETRAIN}"


@dataclass(frozen=True)
class Finding:
    """A condition that is not fine, once for all conditions that carry the same reason."""

    condition: Condition
    advice: str


def findings(status: Status) -> tuple[Finding, ...]:
    """What is not fine and what to do about it, the narrower conditions before the summary."""
    return tuple(_findings(status))


def _findings(status: Status) -> Iterator[Finding]:
    told: set[str] = set()
    # The summary repeats the reason of the part that is wrong: that part says it better.
    for condition in sorted(status.conditions, key=lambda one: not one.type.startswith("Model")):
        if condition.reason in NOTHING_WRONG or condition.reason in told:
            continue
        told.add(condition.reason)
        yield Finding(condition, ADVICE.get(condition.reason, _ELSE))
