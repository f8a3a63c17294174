"""The file that tells of a version, and how it is read back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.builders import UID, a_resource
from tests.unit.operator_resource.statuses import full_status
from trainandserve.version_record import read_record, version_record

ENTRY = full_status().history[0]
RESULT: dict[str, Any] = {
    "schemaVersion": 1,
    "manifest": [{"key": "model/3/saved_model.pb", "size": 1, "etag": "e", "sha256": "00"}],
    "data": {
        "uri": "s3://datasets/mnist/",
        "digest": "sha256:01",
        "objects": 2,
        "bytes": 9,
        "files": ["not this"],
    },
    "evaluationData": {"uri": "s3://held/out/", "digest": "sha256:02"},
    "lineage": {
        "image": "registry.example/trainer:1@sha256:03",
        "entrypoint": "my.recipe",
        "parameters": {"epochs": 5},
    },
}


def record(**result: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        version_record(a_resource(), ENTRY, json.dumps(RESULT | result).encode())
    )
    return found


def test_a_record_holds_what_the_history_says_and_what_the_result_says_of_the_making() -> None:
    found = record()
    assert {name: found[name] for name in ENTRY.dump() if name != "recorded"} == ENTRY.changed(
        recorded=None
    ).dump()
    assert (found["uid"], found["namespace"], found["name"], found["version"]) == (UID, "vision", "mnist", 3)
    assert found["data"] == {"uri": "s3://datasets/mnist/", "digest": "sha256:01", "objects": 2, "bytes": 9}
    assert found["evaluationData"]["digest"] == "sha256:02"
    assert found["training"]["parameters"] == {"epochs": 5}
    assert found["training"]["imageDigest"] == "sha256:03"
    assert found["manifestDigest"].startswith("sha256:") and "recorded" not in found


def test_an_image_named_by_a_tag_has_no_digest_to_tell() -> None:
    assert "imageDigest" not in record(lineage={"image": "registry.example/trainer:1"})["training"]


def test_the_digest_of_the_manifest_does_not_depend_on_how_it_was_written_and_does_on_what_it_says() -> None:
    [file] = RESULT["manifest"]
    backwards = [dict(reversed(file.items()))]
    assert record(manifest=backwards)["manifestDigest"] == record()["manifestDigest"]
    assert record(manifest=[file | {"sha256": "01"}])["manifestDigest"] != record()["manifestDigest"]


def test_a_record_is_read_back_as_it_was() -> None:
    data = version_record(a_resource(), ENTRY, json.dumps(RESULT).encode())
    assert read_record(data, uid=UID, version=3, run_id=ENTRY.run_id) == ENTRY.changed(recorded=None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'{"schemaVersion": 1}',
        b'{"schemaVersion": 2, "uid": "u"}',
        b"\xff\xfe",
        json.dumps({"schemaVersion": 1, "uid": "another"} | ENTRY.dump()).encode(),
        json.dumps({"schemaVersion": 1, "uid": UID} | ENTRY.dump() | {"version": 4}).encode(),
        json.dumps({"schemaVersion": 1, "uid": UID} | ENTRY.dump() | {"runId": "another"}).encode(),
        json.dumps({"schemaVersion": 1, "uid": UID} | ENTRY.dump() | {"message": "x" * 9000}).encode(),
    ],
)
def test_what_is_no_record_of_this_version_is_none(data: bytes) -> None:
    assert read_record(data, uid=UID, version=3, run_id=ENTRY.run_id) is None
