"""The Secret that a resource names: whether the operator may read it, and what it says about S3."""

from __future__ import annotations

import base64
import re
from typing import Any

from . import reasons
from .addresses import is_amazon, is_listed
from .fields import OBJECT_NAME
from .gateways.errors import Refused
from .gateways.kubernetes import Kubernetes
from .gateways.s3 import Access, Keys
from .names import CREDENTIALS
from .resource import TrainAndServe
from .settings import Settings
from .storage_access import StorageAccess, from_annotations

_POD_IDENTITY = StorageAccess(virtual_bucket=True)


def data_secret(resource: TrainAndServe) -> str | None:
    """Name of the Secret for the training data."""
    return resource.spec.data.secret_name or resource.spec.storage.secret_name


def evaluation_secret(resource: TrainAndServe) -> str | None:
    """Name of the Secret for the evaluation data."""
    data = resource.spec.evaluation.data if resource.spec.evaluation else None
    return (data.secret_name if data else None) or data_secret(resource)


async def read_access(kubernetes: Kubernetes, namespace: str, name: str | None, settings: Settings) -> Access:
    """How to reach S3 with the Secret of that name; without a name, as the operator's own pod.

    As itself the operator reaches only what the administrator lists: else whoever may write a resource could read and write
    whatever the operator may. Each request is held to that list (`Access.reaches`), wherever its address comes from.

    Raises
    ------
    Refused
        The Secret is not there, not labelled for the operator, incomplete, or names an endpoint that is not allowed.
    Unreachable
        The API server does not answer.
    """
    if name is None:
        return Access(_POD_IDENTITY, reach=_own_part(settings.pod_identity_buckets, namespace))
    if re.fullmatch(OBJECT_NAME, name) is None:
        # The definition refuses it as well. Here it would become a part of a path, and a path may lead elsewhere.
        raise Refused(reasons.SECRET_NOT_FOUND, f"{name!r} is no name of a Secret: write the name alone")
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


def _own_part(listed: tuple[str, ...], namespace: str) -> tuple[str, ...]:
    """What the operator may reach as itself for a namespace."""
    return tuple(one.removeprefix("s3://").replace("{namespace}", namespace) for one in listed)


def _check_endpoint(name: str, storage: StorageAccess, allowed: tuple[str, ...]) -> None:
    if storage.endpoint_url is None:
        return
    host = storage.endpoint_url.split("://", 1)[1].lower()
    if is_listed(host, allowed) or is_amazon(host):
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
