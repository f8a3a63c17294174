"""The storage initializer: copies a model from S3 the way KServe's does, its prefix semantics included.

``python -m sandbox.kserve.storage URI FOLDER``, with the S3 settings in the environment.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DENIED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"})
_TIMEOUT_SECONDS = 10


class StorageError(Exception):
    """The model cannot be had; the text is what the initializer logs."""


def relative_keys(prefix: str, objects: Mapping[str, int]) -> dict[str, str]:
    """Key -> path below the model folder, of the objects that KServe downloads for a prefix.

    A plain string prefix: ``run-1`` takes ``run-10/...`` too, unless it ends with a slash. Empty objects and
    directory markers are left out. An object whose key is the prefix itself is taken alone.

    Parameters
    ----------
    objects
        Size in bytes by key, in the order of the listing.
    """
    if prefix and prefix in objects and not prefix.endswith("/"):
        return {prefix: prefix.rsplit("/", 1)[-1]}
    return {
        key: key.removeprefix(prefix).lstrip("/")
        for key, size in objects.items()
        if key.startswith(prefix) and size > 0 and not key.endswith("/")
    }


@cache
def _service_models() -> Any:
    """Shared by all clients: reading S3's description again costs 60 ms of CPU each time."""
    return botocore.session.Session().get_component("data_loader")


def s3_client(environment: Mapping[str, str]) -> S3Client:
    """A client that knows what the given variables say, and nothing of this machine's own credentials."""
    virtual = environment.get("S3_USER_VIRTUAL_BUCKET", "").lower() in ("1", "true")
    anonymous = environment.get("awsAnonymousCredential", "").lower() == "true"
    core = botocore.session.Session()
    core.register_component("data_loader", _service_models())
    session = boto3.session.Session(
        botocore_session=core,
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        region_name=environment.get("AWS_DEFAULT_REGION") or "us-east-1",
    )
    client: S3Client = session.client(
        "s3",
        endpoint_url=environment.get("AWS_ENDPOINT_URL"),
        verify=environment.get("S3_VERIFY_SSL", "").lower() not in ("0", "false"),
        config=Config(
            signature_version=UNSIGNED if anonymous else None,
            s3={"addressing_style": "virtual" if virtual else "path"},
            connect_timeout=_TIMEOUT_SECONDS,
            read_timeout=_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 2},
        ),
    )
    return client


def download(uri: str, folder: Path, environment: Mapping[str, str]) -> int:
    """Copy the model at `uri` into `folder`.

    Returns
    -------
    int
        Number of objects.

    Raises
    ------
    StorageError
        Wrong scheme or credentials, nothing there, or a path that leaves the folder.
    """
    parsed = urlparse(uri)
    if parsed.scheme != "s3":
        raise StorageError(
            f"Unexpected error during storage initialization: Cannot recognize storage type for {uri}\n"
            "'s3://' is the one storage type that the KServe stand-in reads."
        )
    if not environment.get("AWS_ACCESS_KEY_ID") and "awsAnonymousCredential" not in environment:
        raise _authentication_failed(uri, "Unable to locate credentials")
    try:
        return _copy(s3_client(environment), parsed.netloc, parsed.path.lstrip("/"), uri, folder)
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise _authentication_failed(uri, str(error)) from error
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _DENIED:
            raise _authentication_failed(uri, str(error)) from error
        raise StorageError(f"S3 error for {uri}: {error}\nStorage initialization failed: {error}") from error
    except (BotoCoreError, OSError) as error:
        raise StorageError(f"S3 error for {uri}: {error}\nStorage initialization failed: {error}") from error


def _copy(s3: S3Client, bucket: str, prefix: str, uri: str, folder: Path) -> int:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    objects = {row["Key"]: row["Size"] for page in pages for row in page.get("Contents", [])}
    keys = relative_keys(prefix, objects)
    if not keys:
        raise StorageError(f"Storage initialization failed: Failed to fetch model. No model found in {uri}.")
    for key, relative in keys.items():
        target = (folder / relative).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise StorageError(f"Storage initialization failed: {key} would be written outside the model")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return len(keys)


def _authentication_failed(uri: str, why: str) -> StorageError:
    return StorageError(
        f"S3 error for {uri}: {why}\nStorage initialization failed: S3 authentication failed. "
        "Set AWS_ACCESS_KEY_ID/AWS_SECRET_ACCESS_KEY or use awsAnonymousCredential=true."
    )


def log_of(uri: str, error: StorageError) -> str:
    """The failed initializer's log: what becomes the container's termination message."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    lines = [f"INFO Initializing, args: (src_uri, dest_path): [('{uri}', '/mnt/models')]"]
    lines += [f"INFO Copying contents of {uri} to local"]
    lines += [f"ERROR {line}" for line in str(error).splitlines()]
    return "".join(f"{stamp} 1 storage.initializer {line}\n" for line in lines)


def main(arguments: Sequence[str]) -> int:
    uri, folder = arguments
    try:
        download(uri, Path(folder), os.environ)
    except StorageError as error:
        sys.stdout.write(log_of(uri, error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
