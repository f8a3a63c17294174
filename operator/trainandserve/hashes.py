"""The three hashes that tell what a change to a resource means.

Each is taken over what the user set and nothing else: no default of the operator is in them, so that an upgrade of the
operator retrains nothing and judges nothing anew. (Model servers do follow it: the manifest that is applied is compared, not
a hash.)
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .names import RETRAIN
from .resource import TrainAndServe

_MODEL_FIELDS = ("image", "entrypoint", "parameters", "packages")
_GATE_FIELDS = ("onIncumbentError", "approval")
_SERVING_OMITTED = ("deletionPolicy", "pinnedVersion", "rollout")
_TOKEN_LIMIT = 253


def digest(value: Any) -> str:
    """Short stable hash of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def retrain_token(resource: TrainAndServe) -> str:
    """The retrain annotation; where it was taken away, the value that was last acted on (taking it away asks for nothing).

    Longer than the status holds, its digest stands for it: an annotation may have 256 KiB.
    """
    asked = resource.metadata.annotations.get(RETRAIN)
    if asked is None:
        return resource.status.last_handled_retrain or ""
    return bounded(asked)


def bounded(value: str) -> str:
    """An annotation's value as the status holds it; longer than that, its digest stands for it."""
    return value if len(value) <= _TOKEN_LIMIT else f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def training_inputs(resource: TrainAndServe) -> dict[str, Any]:
    """Everything the user set that makes the model, by name."""
    spec = resource.spec
    training = spec.training.as_set() if spec.training else {}
    inputs: dict[str, Any] = {name: training[name] for name in _MODEL_FIELDS if name in training}
    inputs["data"] = spec.data.uri
    if spec.evaluation and spec.evaluation.data:
        inputs["evaluationData"] = spec.evaluation.data.uri
    if token := retrain_token(resource):
        inputs["retrain"] = token
    return inputs


def training_hash(resource: TrainAndServe) -> str:
    """Changes when a new model is due."""
    return digest(training_inputs(resource))


def gate_hash(resource: TrainAndServe) -> str:
    """Changes when stored results must be judged again."""
    bounds = sorted((metric.as_set() for metric in resource.spec.metrics), key=lambda m: str(m["name"]))
    evaluation = resource.spec.evaluation.as_set() if resource.spec.evaluation else {}
    rest = {name: evaluation[name] for name in _GATE_FIELDS if name in evaluation}
    # Without these it is what it was before there were any: an upgrade judges nothing anew.
    return digest({"metrics": bounds, **rest} if rest else bounds)


def serving_hash(resource: TrainAndServe) -> str:
    """Changes when the InferenceService must change although the model does not."""
    serving = resource.spec.serving.as_set() if resource.spec.serving else {}
    inputs = {name: value for name, value in serving.items() if name not in _SERVING_OMITTED}
    return digest({**inputs, "secretName": resource.spec.storage.secret_name})
