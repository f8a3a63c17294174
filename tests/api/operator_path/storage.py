"""A bucket, as its owner sees it."""

from __future__ import annotations

import hashlib
from typing import Any

import boto3
from botocore.config import Config

from sandbox.s3 import S3Server

ACCESS_KEY, SECRET_KEY = "path-tests", "planted-secret-Zq8mV2xL"


class Storage:
    """One bucket."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.endpoint = server.url.removeprefix("http://")
        self.bucket = bucket
        self._client = client(server)
        self._client.create_bucket(Bucket=bucket)

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def key(self, uri: str) -> str:
        return uri.removeprefix(f"s3://{self.bucket}/")

    def put(self, prefix: str, key: str, content: bytes) -> dict[str, Any]:
        """Write an object; its entry in a manifest."""
        answer = self._client.put_object(Bucket=self.bucket, Key=prefix + key, Body=content)
        digest = hashlib.sha256(content).hexdigest()
        return {"key": key, "size": len(content), "etag": answer["ETag"].strip('"'), "sha256": digest}

    def get(self, key: str) -> bytes:
        content: bytes = self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self.bucket, Key=key)

    def objects(self, prefix: str) -> list[tuple[str, int, str]]:
        """Key below the prefix, size and ETag of each object."""
        found = self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [(one["Key"].removeprefix(prefix), one["Size"], one["ETag"].strip('"')) for one in found]

    def keys(self, prefix: str = "") -> list[str]:
        return [prefix + key for key, _, _ in self.objects(prefix)]

    def drop(self) -> None:
        """Remove the bucket and all that is in it."""
        for key in self.keys():
            self.delete(key)
        self._client.delete_bucket(Bucket=self.bucket)

    def create(self) -> None:
        self._client.create_bucket(Bucket=self.bucket)

    def close(self) -> None:
        self._client.close()


def client(server: S3Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
