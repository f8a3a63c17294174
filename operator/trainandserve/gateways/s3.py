"""The door to S3: boto3 in threads, with time limits, and the errors in our own types.

Where the door leads is written by others: a Secret names the endpoint, a resource the bucket, and an annotation that anybody
may have edited the folder. So each request is held to what its `Access` reaches, each connection to the addresses that were
checked (`s3_connections`), and a redirect is an answer like any other, not a way to go.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .. import reasons
from ..storage_access import StorageAccess
from .errors import GatewayError, NotFound, Refused, Unreachable, brief
from .s3_connections import AddressRefusedError, checked_sender

T = TypeVar("T")

RESULT_LIMIT = 1024 * 1024
"""Largest result file that is read, in bytes."""

_LIST_LIMIT = 1_000_000
_REFUSED = {
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "403",
    "401",
}


@dataclass(frozen=True)
class Keys:
    """What proves an identity to S3. Never printed."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Access:
    """How a bucket is reached, and as whom; without keys as the pod itself.

    Attributes
    ----------
    reach
        Buckets, and prefixes in them, that may be reached so; None: whatever the keys open.
    """

    storage: StorageAccess
    keys: Keys | None = field(default=None, repr=False)
    reach: tuple[str, ...] | None = None

    def reaches(self, uri: str) -> bool:
        """Whether a URI is, or is below, what may be reached."""
        if self.reach is None:
            return True
        bucket, key = split(uri)
        place = f"{bucket}/{key}/"
        if {".", ".."} & set(place.split("/")):
            return False  # no store takes them for folders; a proxy before it may
        return any(place.startswith(one.rstrip("/") + "/") for one in self.reach)


@dataclass(frozen=True)
class S3Object:
    """One object of a listing; its key is relative to the prefix that was listed."""

    key: str
    size: int
    etag: str


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def listing_digest(objects: list[S3Object]) -> str:
    """Digest of a data set by its listing, the same rule as the trainer's: key, size and ETag of each object, by key."""
    lines = sorted((one.key, f"{one.key}\0{one.size}\0{one.etag}\n") for one in objects)
    return "sha256:" + hashlib.sha256("".join(line for _, line in lines).encode()).hexdigest()


class S3:
    """Requests to S3."""

    def __init__(self, threads: int = 16) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="s3")

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def objects(self, uri: str, access: Access) -> list[S3Object]:
        """The objects below a prefix, or the one object that the URI names; without folder markers.

        Raises
        ------
        Refused, Unreachable
            As every method here.
        """
        return await self._call(uri, access, lambda: _list(uri, access))

    async def folders(self, uri: str, access: Access) -> list[str]:
        """Names of the folders right below a prefix."""
        return await self._call(uri, access, lambda: _folders(uri, access))

    async def read(self, uri: str, access: Access) -> bytes:
        """A small object, at most `RESULT_LIMIT` bytes.

        Raises
        ------
        NotFound
            There is none.
        """
        return await self._call(uri, access, lambda: _read(uri, access))

    async def exists(self, uri: str, access: Access) -> bool:
        """Whether there is an object of just this name."""
        return await self._call(uri, access, lambda: _exists(uri, access))

    async def write(self, uri: str, data: bytes, access: Access) -> None:
        """Write a small JSON object, whole or not at all; over one that is there."""
        await self._call(uri, access, lambda: _write(uri, data, access))

    async def check_writable(self, uri: str, access: Access) -> None:
        """Write and remove an empty object below a prefix: what a run would find out an hour later."""
        await self._call(uri, access, lambda: _check_writable(uri, access))

    async def delete(self, uri: str, access: Access, *, first: str = "", last: str = "") -> int:
        """Delete everything below a prefix; the number of objects.

        Parameters
        ----------
        first, last
            Objects right below the prefix that go before, and after, all others.
        """
        return await self._call(uri, access, lambda: _delete(uri, access, first, last))

    async def _call(self, uri: str, access: Access, request: Callable[[], T]) -> T:
        if not access.reaches(uri):
            raise Refused(
                reasons.SECRET_NOT_NAMED,
                f"no Secret is named for {uri}, and the operator does not go there as itself: name one in "
                "storage.secretName, or ask an administrator to add the place to TAS_POD_IDENTITY_BUCKETS",
            )
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, request)
        except (AddressRefusedError, BotoCoreError, ClientError, OSError) as error:
            raise _error(uri, error) from error


@lru_cache(maxsize=64)
def _client(access: Access) -> Any:
    storage, keys = access.storage, access.keys
    settings = Config(
        retries={"total_max_attempts": 3, "mode": "standard"},
        signature_version=UNSIGNED if storage.anonymous else "s3v4",
        s3={"addressing_style": "virtual" if storage.virtual_bucket else "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.session.Session(
        aws_access_key_id=keys.access_key if keys else None,
        aws_secret_access_key=keys.secret_key if keys else None,
        aws_session_token=keys.session_token if keys else None,
        region_name=storage.region or "us-east-1",
    )
    client = session.client("s3", endpoint_url=storage.endpoint_url, config=settings)
    client.meta.events.register(
        "before-send.s3", checked_sender(client.meta.endpoint_url, storage.verify_ssl)
    )
    if storage.endpoint_url:
        client.meta.events.register_last("before-parameter-build.s3", _stay_in_region)
    return client


def _stay_in_region(context: dict[str, Any], **_: object) -> None:
    """Have boto3 take a redirect for an answer.

    It would ask the server for the bucket's region, and again for every redirect that this is answered with, until the stack is
    full. Amazon alone has regions to be sent to.
    """
    context.setdefault("s3_redirect", {})["redirected"] = True


def _list(uri: str, access: Access) -> list[S3Object]:
    bucket, key = split(uri)
    found: list[S3Object] = []
    folder = key if not key or key.endswith("/") else f"{key}/"
    for page in _client(access).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
        for one in page.get("Contents", ()):
            name = one["Key"]
            if name.endswith("/"):
                continue
            if name == key:
                return [S3Object(name.rsplit("/", 1)[-1], one["Size"], one["ETag"].strip('"'))]
            if name.startswith(folder):
                found.append(S3Object(name[len(folder) :], one["Size"], one["ETag"].strip('"')))
        if len(found) > _LIST_LIMIT:
            raise Refused(
                reasons.DATA_NOT_FOUND, f"{uri} has more than {_LIST_LIMIT} objects; put them into archives"
            )
    return found


def _folders(uri: str, access: Access) -> list[str]:
    bucket, prefix = split(uri)
    pages = (
        _client(access).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    )
    return [
        one["Prefix"][len(prefix) :].rstrip("/") for page in pages for one in page.get("CommonPrefixes", ())
    ]


def _read(uri: str, access: Access) -> bytes:
    bucket, key = split(uri)
    answer = _client(access).get_object(Bucket=bucket, Key=key)
    if answer["ContentLength"] > RESULT_LIMIT:
        raise Refused(reasons.NO_RESULT, f"{uri} is larger than {RESULT_LIMIT} bytes")
    data: bytes = answer["Body"].read(RESULT_LIMIT + 1)
    return data


def _exists(uri: str, access: Access) -> bool:
    # Listed, not asked for by HEAD: without a body, a missing object and a missing bucket are the same 404.
    bucket, key = split(uri)
    answer = _client(access).list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return any(one["Key"] == key for one in answer.get("Contents", ()))


def _write(uri: str, data: bytes, access: Access) -> None:
    bucket, key = split(uri)
    _client(access).put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/json")


def _check_writable(uri: str, access: Access) -> None:
    bucket, prefix = split(uri)
    key = f"{prefix}.writable"
    _client(access).put_object(Bucket=bucket, Key=key, Body=b"")
    _client(access).delete_object(Bucket=bucket, Key=key)


def _delete(uri: str, access: Access, first: str, last: str) -> int:
    bucket, prefix = split(uri)
    if not prefix.endswith("/"):
        raise ValueError(f"only a folder is deleted whole, not {uri}")
    client = _client(access)
    if first:
        client.delete_object(Bucket=bucket, Key=f"{prefix}{first}")
    count = 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys = [one["Key"] for one in page.get("Contents", ()) if not last or one["Key"] != f"{prefix}{last}"]
        if keys:
            _delete_page(client, uri, keys)
        count += len(keys)
    if last:
        client.delete_object(Bucket=bucket, Key=f"{prefix}{last}")
    return count


def _delete_page(client: Any, uri: str, keys: list[str]) -> None:
    bucket, _ = split(uri)
    answer = client.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
    )
    # Each object has an answer of its own, and the request is a 200 all the same.
    if errors := answer.get("Errors"):
        words = f"{errors[0].get('Key')}: {errors[0].get('Code')}"
        raise Refused(
            reasons.BUCKET_REFUSED, f"bucket {bucket} did not let go of {len(errors)} objects: {words}"
        )


def _error(uri: str, error: Exception) -> GatewayError:
    bucket, _ = split(uri)
    if isinstance(error, AddressRefusedError):
        return Refused(
            reasons.ENDPOINT_NOT_ALLOWED, f"the storage of bucket {bucket} is not gone to: {error}"
        )
    if not isinstance(error, ClientError):
        return Unreachable(
            reasons.STORAGE_UNREACHABLE, f"the storage of bucket {bucket} does not answer: {brief(error)}"
        )
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return Refused(
            reasons.BUCKET_NOT_FOUND, f"there is no bucket {bucket}: create it, or correct the URI {uri}"
        )
    if code in _REFUSED or status in (401, 403):
        return Refused(
            reasons.BUCKET_REFUSED,
            f"bucket {bucket} refuses these credentials ({code}): check the keys in the Secret and the rights they carry",
        )
    if code in ("NoSuchKey", "404"):
        return NotFound(reasons.NO_RESULT, f"{uri} is not there")
    return Unreachable(
        reasons.STORAGE_UNREACHABLE, f"the storage of bucket {bucket} answered {status} {code}"
    )
