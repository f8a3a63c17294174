"""A bucket, as its owner sees it."""

from __future__ import annotations

import hashlib
from typing import Any


class Storage:
    """One bucket.

    Parameters
    ----------
    client
        boto3's, for S3.
    endpoint
        What a Secret says of where S3 is: ``host:port``; empty for Amazon's own.
    """

    def __init__(self, client: Any, endpoint: str, bucket: str) -> None:
        self._client = client
        self.endpoint = endpoint
        self.bucket = bucket

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def key(self, uri: str) -> str:
        return uri.removeprefix(f"s3://{self.bucket}/")

    def beside(self, uri: str, name: str) -> str:
        """Key of a file of a version, which lies beside its model, by the model's address."""
        return self.key(uri).removesuffix("model/") + name

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
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        found = [one for page in pages for one in page.get("Contents", [])]
        return [(one["Key"].removeprefix(prefix), one["Size"], one["ETag"].strip('"')) for one in found]

    def keys(self, prefix: str = "") -> list[str]:
        return [prefix + key for key, _, _ in self.objects(prefix)]

    def empty(self, prefix: str = "") -> None:
        """Remove every object below a prefix."""
        for key in self.keys(prefix):
            self.delete(key)

    def drop(self) -> None:
        """Remove the bucket and all that is in it."""
        self.empty()
        self._client.delete_bucket(Bucket=self.bucket)

    def create(self) -> None:
        self._client.create_bucket(Bucket=self.bucket)

    def close(self) -> None:
        self._client.close()
