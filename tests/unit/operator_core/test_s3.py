"""The order in which a version's objects are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from trainandserve.gateways import s3
from trainandserve.gateways.errors import Refused
from trainandserve.gateways.s3 import S3, Access
from trainandserve.storage_access import StorageAccess

ACCESS = Access(StorageAccess())
FOLDER = "s3://models/a/b/1-00000000/"


class Bucket:
    """As much of a bucket as deleting needs; pages of two keys, as they were when the list began."""

    def __init__(self, *keys: str) -> None:
        self.keys = sorted(keys)
        self.deleted: list[str] = []
        self.kept: set[str] = set()

    def delete_object(self, Bucket: str, Key: str) -> None:
        self.deleted += [Key] if Key in self.keys else []
        self.keys = [key for key in self.keys if key != Key]

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        for one in Delete["Objects"]:
            if one["Key"] not in self.kept:
                self.delete_object(Bucket, one["Key"])
        refused = [one["Key"] for one in Delete["Objects"] if one["Key"] in self.kept]
        return {"Errors": [{"Key": key, "Code": "AccessDenied"} for key in refused]} if refused else {}

    def get_paginator(self, name: str) -> Bucket:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        found = [key for key in self.keys if key.startswith(Prefix)]
        for start in range(0, len(found), 2):
            yield {"Contents": [{"Key": key} for key in found[start : start + 2]]}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    names = ("model/1/saved_model.pb", "model/1/variables/a", "report.html", "result.json", "version.json")
    made = Bucket(*(f"a/b/1-00000000/{name}" for name in names), "a/b/2-00000000/result.json")
    monkeypatch.setattr(s3, "_client", lambda access: made)
    return made


async def test_the_result_goes_first_and_the_record_last_and_other_folders_stay(bucket: Bucket) -> None:
    await S3().delete(FOLDER, ACCESS, first="result.json", last="version.json")
    deleted = [key.removeprefix("a/b/1-00000000/") for key in bucket.deleted]
    assert (deleted[0], deleted[-1], len(deleted)) == ("result.json", "version.json", 5)
    assert bucket.keys == ["a/b/2-00000000/result.json"]
    await S3().delete(FOLDER, ACCESS, first="result.json", last="version.json")


async def test_an_object_that_the_bucket_keeps_is_no_success_and_the_record_stays(bucket: Bucket) -> None:
    bucket.kept = {"a/b/1-00000000/report.html"}
    with pytest.raises(Refused, match="did not let go of 1 objects"):
        await S3().delete(FOLDER, ACCESS, first="result.json", last="version.json")
    assert "a/b/1-00000000/version.json" in bucket.keys
    assert "a/b/1-00000000/result.json" not in bucket.keys


async def test_only_a_folder_is_deleted_whole(bucket: Bucket) -> None:
    with pytest.raises(ValueError, match="only a folder"):
        await S3().delete(FOLDER.rstrip("/"), ACCESS)
    assert not bucket.deleted
