from __future__ import annotations

import base64
import io
import itertools
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from sandbox.s3 import S3Server

KEYS = ("known", "and/secret+")
MIB = 1 << 20
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server.started(*KEYS) as started:
        yield started


@pytest.fixture
def bucket(server: S3Server) -> str:
    name = f"bucket-{next(_numbers)}"
    client(server).create_bucket(Bucket=name)
    return name


def client(server: S3Server, access_key: str = KEYS[0], secret_key: str = KEYS[1], **config: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **config),
    )


def code(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response: Any = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_what_is_put_can_be_listed_got_and_deleted(server: S3Server, bucket: str) -> None:
    s3 = client(server)
    keys = ["a/plain", "a/with space+plus%percent", "a/ünï/çode=&?"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="a/")["Contents"]
    assert sorted(each["Key"] for each in listed) == sorted(keys)
    assert [s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys] == keys
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys[:2]]})
    s3.delete_object(Bucket=bucket, Key=keys[2])
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_large_object_goes_up_in_parts_from_several_threads(server: S3Server, bucket: str) -> None:
    s3, content = client(server), bytes(range(256)) * (13 * MIB // 256)
    parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3)
    s3.upload_fileobj(io.BytesIO(content), bucket, "large", Config=parts)
    assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-3"')
    down = io.BytesIO()
    s3.download_fileobj(bucket, "large", down, Config=parts)
    assert down.getvalue() == content


@pytest.mark.parametrize("checksums", ["when_required", "when_supported"])
def test_streamed_bodies_pass_with_every_form_of_checksum(
    server: S3Server, bucket: str, checksums: Any
) -> None:
    s3 = client(server, request_checksum_calculation=checksums)
    s3.put_object(Bucket=bucket, Key="stream", Body=io.BytesIO(b"content"))
    assert s3.get_object(Bucket=bucket, Key="stream")["Body"].read() == b"content"


def test_an_unsigned_streamed_payload_with_a_trailer_passes_and_is_decoded(
    server: S3Server, bucket: str
) -> None:
    """The form that boto3 sends over https."""
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "content-encoding": "aws-chunked",
    }
    headers |= {
        "content-type": "binary/octet-stream",
        "x-amz-decoded-content-length": "7",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    checksum = base64.b64encode(zlib.crc32(b"content").to_bytes(4, "big"))
    body = b"7\r\ncontent\r\n0\r\nx-amz-checksum-crc32:" + checksum + b"\r\n\r\n"
    request = AWSRequest("PUT", f"{server.url}/{bucket}/chunked", headers=headers, data=body)
    SigV4Auth(Credentials(*KEYS), "s3", "us-east-1").add_auth(request)
    sent = urllib.request.Request(str(request.url), body, dict(request.headers.items()), method="PUT")
    with urllib.request.urlopen(sent, timeout=60) as answer:
        assert answer.status == 200
    assert client(server).get_object(Bucket=bucket, Key="chunked")["Body"].read() == b"content"


def test_an_object_is_got_only_if_it_is_the_one_meant(server: S3Server, bucket: str) -> None:
    s3 = client(server)
    etag = s3.put_object(Bucket=bucket, Key="data", Body=b"one")["ETag"]
    assert s3.get_object(Bucket=bucket, Key="data", IfMatch=etag)["Body"].read() == b"one"
    s3.put_object(Bucket=bucket, Key="data", Body=b"two")
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=bucket, Key="data", IfMatch=etag)
    assert code(refused) == (412, "PreconditionFailed")


def test_an_unknown_access_key_is_refused(server: S3Server, bucket: str) -> None:
    with pytest.raises(ClientError) as refused:
        client(server, access_key="unknown").list_objects_v2(Bucket=bucket)
    assert code(refused) == (403, "InvalidAccessKeyId")


def test_a_wrong_secret_key_is_refused(server: S3Server, bucket: str) -> None:
    with pytest.raises(ClientError) as refused:
        client(server, secret_key="guessed").list_objects_v2(Bucket=bucket)
    assert code(refused) == (403, "SignatureDoesNotMatch")


def test_a_refusal_arrives_however_much_was_to_be_uploaded(server: S3Server, bucket: str) -> None:
    with pytest.raises(ClientError) as refused:
        client(server, secret_key="guessed").put_object(Bucket=bucket, Key="large", Body=bytes(20 * MIB))
    assert code(refused) == (403, "SignatureDoesNotMatch")


def test_a_head_request_is_refused_without_a_body(server: S3Server, bucket: str) -> None:
    with pytest.raises(ClientError) as refused:
        client(server, access_key="unknown").head_object(Bucket=bucket, Key="any")
    assert code(refused) == (403, "403")


def test_an_anonymous_request_is_refused(server: S3Server, bucket: str) -> None:
    with pytest.raises(ClientError) as refused:
        client(server, signature_version=UNSIGNED).list_objects_v2(Bucket=bucket)
    assert code(refused) == (403, "AccessDenied")


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_works_as_signed_and_not_otherwise(
    server: S3Server, bucket: str, version: str
) -> None:
    s3 = client(server, signature_version=version)
    client(server).put_object(Bucket=bucket, Key="some key", Body=b"content")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "some key"})
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.read() == b"content"
    assert refusal(url.replace("some%20key", "other")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_expires(server: S3Server, bucket: str, version: str) -> None:
    s3 = client(server, signature_version=version)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "key"}, ExpiresIn=-1)
    assert refusal(url) == "AccessDenied"


def refusal(url: str) -> str:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=60)
    with refused.value as error:
        assert error.code == 403
        return error.read().decode().partition("<Code>")[2].partition("</Code>")[0]


def test_without_keys_it_says_what_to_set() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.s3"],
        env={},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "TAS_S3_ACCESS_KEY" in done.stderr
