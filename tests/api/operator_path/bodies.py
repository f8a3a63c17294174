"""What is applied: resources, Secrets, and the settings of an operator whose patience is short."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from tests.api.operator_path.api import Json
from tests.api.operator_path.process import NAMESPACE
from tests.api.operator_path.storage import ACCESS_KEY, SECRET_KEY, Storage

SECRET = "object-store"
SETTINGS = {
    "TAS_SUBMIT_PATIENCE": "3s",
    "TAS_LOST_PATIENCE": "2s",
    "TAS_RUN_BACKOFF": "1s",
    "TAS_RUN_READ_INTERVAL": "1s",
    "TAS_STALL_AFTER": "1s",
    "TAS_PROOF_DURATION": "1s",
    "TAS_PROOF_DEADLINE": "15s",  # a busy machine starts a server in that, too
    "TAS_DELETION_PATIENCE": "3s",
    "TAS_REQUEST_TIMEOUT": "3s",
    "TAS_RESYNC": "10m",  # nothing here may depend on it
    "TAS_PREDICTOR_HOSTS": "127.0.0.1",  # where the stand-in's model servers are
    "TAS_LISTEN": "127.0.0.1",
    "TAS_PORT": "0",
    "TAS_LEASE_NAMESPACE": NAMESPACE,
    "TAS_TRAINER_IMAGE": "trainer:test",
}


def secret(storage: Storage) -> Json:
    """A Secret as KServe reads it, marked for the operator."""
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    annotations = {
        "serving.kserve.io/s3-endpoint": storage.endpoint,
        "serving.kserve.io/s3-usehttps": "0",
        "serving.kserve.io/s3-region": "us-east-1",
    }
    return {
        "metadata": {
            "name": SECRET,
            "labels": {"trainandserve.io/credentials": "true"},
            "annotations": annotations,
        },
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()},
    }


def resource(storage: Storage, name: str, spec: Mapping[str, Any]) -> Json:
    """The plainest resource, with parts of its specification laid over it; None takes a part away."""
    plain = {
        "data": {"uri": storage.uri(f"data/{name}/")},
        "storage": {"uri": storage.uri("models/"), "secretName": SECRET},
        "training": {"parameters": {"epochs": 1}},
        "evaluation": {"metrics": [{"name": "accuracy", "min": 0.5}]},
    }
    return {
        "apiVersion": "trainandserve.io/v1alpha1",
        "kind": "TrainAndServe",
        "metadata": {"name": name},
        "spec": _merged(plain, spec),
    }


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Json:
    found = dict(base)
    for key, value in over.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(found.get(key), dict):
            found[key] = _merged(found[key], value)
        else:
            found[key] = value
    return found
