"""The storage initializer's environment, found the way KServe finds it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sandbox.kserve.cluster import SECRETS, SERVICE_ACCOUNTS, Cluster
from sandbox.kserve.spec import GROUP, SECRET_ANNOTATION

ACCESS_KEY = "AWS_ACCESS_KEY_ID"
SECRET_KEY = "AWS_SECRET_ACCESS_KEY"

# Annotation of the Secret -> variable of the storage initializer.
_VARIABLES = {
    "s3-usehttps": "S3_USE_HTTPS",
    "s3-region": "AWS_DEFAULT_REGION",
    "s3-verifyssl": "S3_VERIFY_SSL",
    "s3-useanoncredential": "awsAnonymousCredential",
    "s3-usevirtualbucket": "S3_USER_VIRTUAL_BUCKET",
    "s3-useaccelerate": "S3_USE_ACCELERATE",
    "s3-cabundle": "AWS_CA_BUNDLE",
}

Variables = list[dict[str, Any]]


class ServiceAccountMissingError(Exception):
    """The predictor's ServiceAccount does not exist."""


async def storage_variables(
    cluster: Cluster, namespace: str, annotations: Mapping[str, str], service_account: str
) -> Variables:
    """The ``env`` of a pod's storage initializer: keys by reference, the rest from the Secret's annotations.

    The Secret is the one that the InferenceService's annotation names, else every one under the
    ServiceAccount's ``secrets`` that holds an S3 key.

    Raises
    ------
    ServiceAccountMissingError
        Also where the annotation makes it superfluous: its pods cannot be created.
    """
    account = await cluster.get(SERVICE_ACCOUNTS, namespace, service_account)
    if account is None:
        raise ServiceAccountMissingError(
            f"error looking up service account {namespace}/{service_account}: "
            f'serviceaccount "{service_account}" not found'
        )
    named = annotations.get(SECRET_ANNOTATION)
    names = [named] if named else [row["name"] for row in account.get("secrets") or []]
    variables: Variables = []
    for name in names:
        secret = await cluster.get(SECRETS, namespace, name)
        if secret is not None:
            variables += s3_variables(secret)
    return variables


def s3_variables(secret: Mapping[str, Any]) -> Variables:
    """What one Secret gives; nothing if it holds no S3 secret key."""
    if SECRET_KEY not in (secret.get("data") or {}):
        return []
    name = secret["metadata"]["name"]
    prefix = f"{GROUP}/"
    settings = {
        key.removeprefix(prefix): value
        for key, value in (secret["metadata"].get("annotations") or {}).items()
        if key.startswith(prefix)
    }
    plain = {_VARIABLES[key]: value for key, value in settings.items() if key in _VARIABLES}
    if endpoint := settings.get("s3-endpoint"):
        scheme = "http" if settings.get("s3-usehttps") == "0" else "https"
        plain |= {"S3_ENDPOINT": endpoint, "AWS_ENDPOINT_URL": f"{scheme}://{endpoint}"}
    references: Variables = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
        for key in (ACCESS_KEY, SECRET_KEY)
    ]
    return references + [{"name": key, "value": plain[key]} for key in sorted(plain)]


async def resolved(cluster: Cluster, namespace: str, variables: Variables) -> dict[str, str]:
    """Names and values, references looked up as a kubelet does at every start of the container.

    Variables whose Secret or key is missing are left out (a kubelet would not start the container at all).
    """
    values: dict[str, str] = {}
    secrets: dict[str, Mapping[str, str]] = {}
    for variable in variables:
        reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if reference is None:
            values[variable["name"]] = str(variable.get("value", ""))
            continue
        if reference["name"] not in secrets:
            secret = await cluster.get(SECRETS, namespace, reference["name"])
            secrets[reference["name"]] = (secret or {}).get("data") or {}
        if reference["key"] in secrets[reference["name"]]:
            values[variable["name"]] = base64.b64decode(secrets[reference["name"]][reference["key"]]).decode()
    return values
