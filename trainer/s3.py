"""S3, by one client and its connections, settings from the environment. What goes in parts, and what comes, goes over
one shared transfer manager; small files go up by one request each, as many at once.

AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL and AWS_DEFAULT_REGION are
boto3's own; S3_VERIFY_SSL, S3_USE_VIRTUAL_BUCKET and awsAnonymousCredential are named as KServe names them.
"""

import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import boto3
from boto3.exceptions import Boto3Error
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError
from s3transfer.manager import TransferConfig, TransferManager
from s3transfer.utils import S3_RETRYABLE_DOWNLOAD_ERRORS as _CUT_OFF

from trainer.digest import StoredObject
from trainer.errors import Unavailable, WrongInput, one_sentence
from trainer.ranged import Ranged
from trainer.storage import PARALLEL, safe_target

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_PART_SIZE = 16 * 2**20
_PARTS_FROM = 2 * _PART_SIZE
_READ_WHOLE = 2**20  # bytes of a file that goes up from memory; PARALLEL of them are there at once
_WAITING_PIECES = 128  # of 256 KiB: what came in and is not on the disk yet
_TRIES = 5  # of a part whose bytes broke off; a request that is refused is the client's to repeat
_WRONG_CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken")
_DENIED = ("AccessDenied", "403", "Forbidden", "AllAccessDisabled")
_CHANGED = ("PreconditionFailed", "412")
_PASSING = ("SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "500", "503")


def _client() -> "S3Client":
    anonymous = os.environ.get("awsAnonymousCredential", "").lower() == "true"  # noqa: SIM112  (KServe's name)
    virtual = os.environ.get("S3_USE_VIRTUAL_BUCKET") == "1"
    config = Config(
        s3={"addressing_style": "virtual" if virtual else "path"},
        signature_version=UNSIGNED if anonymous else None,
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=2 * PARALLEL,
        # The client's own one is put together anew for every request, twice, which costs more than signing it.
        user_agent=f"trainandserve-trainer Boto3/{boto3.__version__}",
        # Other stores than AWS refuse the newer checksum headers; IfMatch, sizes and sha256 guard the bytes
        # here.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    verify = False if os.environ.get("S3_VERIFY_SSL") == "0" else None
    region = os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    s3: S3Client = boto3.session.Session().client("s3", region_name=region, verify=verify, config=config)
    return s3


def _is_stored(path: Path, stored: StoredObject) -> bool:
    """Tell whether these are the bytes that are stored, from their ETag; an unknown kind of ETag is another's."""
    size = path.stat().st_size
    if size != stored.size:
        return False
    with path.open("rb") as stream:
        if size < _PARTS_FROM:
            return hashlib.file_digest(stream, _md5).hexdigest() == stored.etag
        # Of an upload in parts it is the md5 of the parts' md5s, and their number (S3's "Checking object integrity").
        parts = [_md5(some).digest() for some in iter(lambda: stream.read(_PART_SIZE), b"")]
    return f"{_md5(b''.join(parts)).hexdigest()}-{len(parts)}" == stored.etag


def _md5(content: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(content, usedforsecurity=False)


class S3Place:
    """A prefix of a bucket, or the one object of that key."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not self.bucket or "?" in uri or "#" in uri or "@" in self.bucket or ".." in key.split("/"):
            raise WrongInput(f"{one_sentence(WrongInput(uri))}: not an address like s3://bucket/prefix/")
        self._key = key
        self._etags: dict[str, str] = {}
        self._lock = threading.Lock()
        try:
            self._s3 = _client()
        except (BotoCoreError, ValueError) as error:
            raise WrongInput(
                f"the S3 settings in the environment are wrong: {one_sentence(error)}"
            ) from error
        self._remember_etags()

    @property
    def _prefix(self) -> str:
        return self._key if not self._key or self._key.endswith("/") else self._key + "/"

    def _remember_etags(self) -> None:
        # The transfer manager drops what an upload answers and lists nothing: both ends are hooked at the
        # client. `context` is one dictionary per request, so parallel uploads cannot mix up their keys.
        def note_key(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
            context["trainer-key"] = params["Key"]

        def note_etag(parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
            if "ETag" in parsed:
                with self._lock:
                    self._etags[context["trainer-key"]] = parsed["ETag"].strip('"')

        def ask_for_listed(params: dict[str, Any], **_: Any) -> None:
            if etag := self._etags.get(params["Key"]):
                params["IfMatch"] = f'"{etag}"'

        events = self._s3.meta.events
        for operation in ("PutObject", "CompleteMultipartUpload"):
            events.register(f"before-parameter-build.s3.{operation}", note_key)
            events.register(f"after-call.s3.{operation}", note_etag)
        events.register("before-parameter-build.s3.GetObject", ask_for_listed)

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise WrongInput(
                f"bucket {self.bucket}: no credentials to {doing};"
                " set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        except ClientError as error:
            raise self._meaning(error, doing) from error
        except S3DownloadFailedError as error:
            raise WrongInput(f"DataChanged: {self.uri} changed while it was being read; run again") from error
        except (BotoCoreError, Boto3Error, RetriesExceededError, ConnectionError, TimeoutError) as error:
            endpoint = os.environ.get("AWS_ENDPOINT_URL", "AWS's own endpoint")
            raise Unavailable(f"bucket {self.bucket} at {endpoint}: {one_sentence(error)}") from error

    def _meaning(self, error: ClientError, doing: str) -> WrongInput | Unavailable:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "NoSuchBucket":
            return WrongInput(
                f"bucket {self.bucket} does not exist; check the address {self.uri} and the S3 endpoint"
            )
        if code in _WRONG_CREDENTIALS:
            return WrongInput(
                f"bucket {self.bucket}: the S3 credentials were refused ({code}); check the Secret"
            )
        if code in _DENIED:
            return WrongInput(
                f"bucket {self.bucket}: no right to {doing}; check what these credentials may do there"
            )
        if code in _CHANGED:
            return WrongInput(f"DataChanged: {self.uri} changed while it was being read; run again")
        if code in _PASSING:
            return Unavailable(
                f"bucket {self.bucket}: the store answered {code} to the wish to {doing}; try again"
            )
        return WrongInput(f"bucket {self.bucket}: {one_sentence(error)}; check the address {self.uri}")

    def objects(self) -> list[StoredObject]:
        with self._told(f"list {self.uri}"):
            if self._key and not self._key.endswith("/"):
                # An exact key sorts before every longer one, so one entry tells whether the address is an
                # object.
                first = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=self._key, MaxKeys=1).get(
                    "Contents", []
                )
                if first and first[0]["Key"] == self._key:
                    return self._noted(first, self._key.rpartition("/")[0])
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._prefix
            )
            contents = [entry for page in pages for entry in page.get("Contents", [])]
        return self._noted(contents, self._prefix)

    def _noted(self, contents: Iterable[Any], folder: str) -> list[StoredObject]:
        folder = folder.removesuffix("/")
        skip = len(folder) + 1 if folder else 0
        stored = []
        for entry in contents:
            if entry["Key"].endswith("/"):
                continue  # a "directory marker", as consoles make them
            etag = entry["ETag"].strip('"')
            self._etags[entry["Key"]] = etag
            stored.append(StoredObject(entry["Key"][skip:], entry["Size"], etag))
        return sorted(stored, key=lambda each: each.key)

    def _absolute(self, key: str) -> str:
        one_object = (
            not self._key.endswith("/") and self._key.rpartition("/")[2] == key and self._key in self._etags
        )
        return self._key if one_object else self._prefix + key

    def _transfers(self) -> TransferManager:
        config = TransferConfig(
            multipart_threshold=_PARTS_FROM,
            multipart_chunksize=_PART_SIZE,
            max_request_concurrency=PARALLEL,
            num_download_attempts=_TRIES,
            max_io_queue_size=_WAITING_PIECES,
        )
        return TransferManager(self._s3, config)

    def download(self, objects: Iterable[StoredObject], directory: Path) -> None:
        with self._told(f"read {self.uri}"), self._transfers() as transfers:
            waiting = []
            for stored in objects:
                target = safe_target(directory, stored.key)
                target.parent.mkdir(parents=True, exist_ok=True)
                waiting.append(transfers.download(self.bucket, self._absolute(stored.key), str(target)))
            for each in waiting:
                each.result()

    @contextmanager
    def open(self, stored: StoredObject) -> Iterator[BinaryIO]:
        key = self._absolute(stored.key)

        def fetch(first: int, last: int) -> bytes:  # asks for the listed ETag, as every GET here
            with self._told(f"read {self.uri}"):
                return self._part(key, f"bytes={first}-{last}")

        with Ranged(stored.size, fetch) as stream:
            yield cast(BinaryIO, stream)

    def _part(self, key: str, asked: str) -> bytes:
        for _ in range(_TRIES - 1):
            with suppress(*_CUT_OFF):
                return self._s3.get_object(Bucket=self.bucket, Key=key, Range=asked)["Body"].read()
        return self._s3.get_object(Bucket=self.bucket, Key=key, Range=asked)["Body"].read()

    def upload(self, files: Mapping[str, Path], present: Iterable[StoredObject] = ()) -> list[StoredObject]:
        there = {each.key: each for each in present}
        kept = {
            key: there[key] for key, path in files.items() if key in there and _is_stored(path, there[key])
        }
        missing = {key: path for key, path in files.items() if key not in kept}
        with self._told(f"write below {self.uri}"):
            self._send(missing)
        return [
            kept.get(key) or StoredObject(key, path.stat().st_size, self._etags[self._prefix + key])
            for key, path in sorted(files.items())
        ]

    def _send(self, files: Mapping[str, Path]) -> None:
        in_parts = {key: path for key, path in files.items() if path.stat().st_size >= _PARTS_FROM}
        whole = {key: path for key, path in files.items() if key not in in_parts}
        with ExitStack() as stack:
            waiting = []
            if in_parts:
                transfers = stack.enter_context(self._transfers())
                waiting = [
                    transfers.upload(str(path), self.bucket, self._prefix + key)
                    for key, path in in_parts.items()
                ]
            if len(files) == len(whole) == 1:
                put: Iterable[None] = map(self._put, whole, whole.values())  # one alone needs no threads
            else:
                # The manager hands every file on through three threads: of a small one that is most of the work.
                pool = stack.enter_context(ThreadPoolExecutor(PARALLEL))
                put = pool.map(self._put, whole, whole.values())  # the first that fails cancels the others
            for _ in put:
                pass
            for each in waiting:
                each.result()

    def _put(self, key: str, path: Path) -> None:
        with path.open("rb") as stream:
            # The client asks first whether the store would take a stream, of bytes it makes one: that is a way there
            # and back more for each. A bytearray goes with its request.
            small = path.stat().st_size <= _READ_WHOLE
            body: Any = bytearray(stream.read()) if small else stream  # the stubs do not know of bytearray
            self._s3.put_object(Bucket=self.bucket, Key=self._prefix + key, Body=body)

    def read(self, key: str) -> bytes | None:
        with self._told(f"read {self._prefix}{key}"):
            try:
                return self._s3.get_object(Bucket=self.bucket, Key=self._prefix + key)["Body"].read()
            except self._s3.exceptions.NoSuchKey:
                return None

    def write(self, key: str, content: bytes) -> None:
        with self._told(f"write {self._prefix}{key}"):
            self._s3.put_object(Bucket=self.bucket, Key=self._prefix + key, Body=content)

    def remove(self, keys: Iterable[str]) -> None:
        with self._told(f"delete below {self.uri}"):
            for key in keys:
                self._s3.delete_object(Bucket=self.bucket, Key=self._prefix + key)
