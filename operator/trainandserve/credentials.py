"""The Secret that a resource names: whether the operator may read it, and what it says about S3."""

from __future__ import annotations

import base64
from typing import Any

from . import reasons
from .gateways.errors import Refused
from .gateways.kubernetes import Kubernetes
from .gateways.s3 import Access, Keys, split
from .names import CREDENTIALS
from .resource import TrainAndServe
from .settings import Settings
from .storage_access import StorageAccess, from_annotations

_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
_POD_IDENTITY = StorageAccess(virtual_bucket=True)


def data_secret(resource: TrainAndServe) -> str | None:
    """Name of the Secret for the training data."""
    return resource.spec.data.secret_name or resource.spec.storage.secret_name


def evaluation_secret(resource: TrainAndServe) -> str | None:
    """Name of the Secret for the evaluation data."""
    data = resource.spec.evaluation.data if resource.spec.evaluation else None
    return (data.secret_name if data else None) or data_secret(resource)


async def read_access(
    kubernetes: Kubernetes, namespace: str, name: str | None, uri: str, settings: Settings
) -> Access:
    """How to reach S3 with the Secret of that name; without a name, as the operator's own pod.

    Parameters
    ----------
    uri
        What is to be reached. As itself the operator reaches only the buckets that the administrator names: else
        whoever may write a resource could read and write whatever the operator may.

    Raises
    ------
    Refused
        The Secret is not there, not labelled for the operator, incomplete, or names an endpoint that is not allowed.
    Unreachable
        The API server does not answer.
    """
    if name is None:
        _check_bucket(uri, settings.pod_identity_buckets)
        return Access(_POD_IDENTITY)
    secret = await kubernetes.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    if secret is None:
        raise Refused(
            reasons.SECRET_NOT_FOUND, f"there is no Secret {name} in namespace {namespace}: create it"
        )
    metadata = secret["metadata"]
    if (metadata.get("labels") or {}).get(CREDENTIALS) != "true":
        raise Refused(
            reasons.SECRET_NOT_LABELLED,
            f'Secret {name} is not labelled {CREDENTIALS}: "true"; without the label the operator does not use it',
        )
    try:
        storage = from_annotations(name, metadata.get("annotations") or {})
    except ValueError as error:
        raise Refused(reasons.SECRET_INCOMPLETE, f"Secret {name}: {error}") from error
    _check_endpoint(name, storage, settings.s3_endpoints)
    return Access(storage, None if storage.anonymous else _keys(name, secret))


def _check_bucket(uri: str, allowed: tuple[str, ...]) -> None:
    bucket, _ = split(uri)
    if bucket in allowed:
        return
    raise Refused(
        reasons.SECRET_NOT_NAMED,
        f"no Secret is named for {uri}, and the operator does not reach bucket {bucket} as itself: name one in "
        "storage.secretName, or ask an administrator to add the bucket to TAS_POD_IDENTITY_BUCKETS",
    )


def _check_endpoint(name: str, storage: StorageAccess, allowed: tuple[str, ...]) -> None:
    if storage.endpoint_url is None:
        return
    host = storage.endpoint_url.split("://", 1)[1].lower()
    if host in allowed or host.split(":")[0].endswith(_AMAZON):
        return
    raise Refused(
        reasons.ENDPOINT_NOT_ALLOWED,
        f"Secret {name} names the S3 endpoint {host}, which the operator's settings do not allow: "
        "ask an administrator to add it to TAS_S3_ENDPOINTS",
    )


def _keys(name: str, secret: dict[str, Any]) -> Keys:
    data = secret.get("data") or {}
    missing = [key for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not data.get(key)]
    if missing:
        raise Refused(reasons.SECRET_INCOMPLETE, f"Secret {name} lacks {' and '.join(missing)}: add it")
    found = {
        key: base64.b64decode(value).decode().strip() for key, value in data.items() if key.startswith("AWS_")
    }
    return Keys(found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], found.get("AWS_SESSION_TOKEN"))
