"""A bucket in the object store of these tests."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from sandbox.s3 import S3Server
from tests.harness.storage import Storage

__all__ = ["ACCESS_KEY", "SECRET_KEY", "Storage", "client", "new_bucket"]

ACCESS_KEY, SECRET_KEY = "path-tests", "planted-secret-Zq8mV2xL"


def new_bucket(server: S3Server, bucket: str) -> Storage:
    """Make a bucket."""
    made = Storage(client(server), server.url.removeprefix("http://"), bucket)
    made.create()
    return made


def client(server: S3Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
