"""A result counts only if it names this resource, version and run, and the bucket holds exactly what it lists."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.unit.builders import UID, run_id
from trainandserve import reasons
from trainandserve.decide.gate import candidate_of
from trainandserve.gateways.errors import Refused
from trainandserve.gateways.s3 import S3Object
from trainandserve.observation import Result
from trainandserve.resource import Status
from trainandserve.result import checked, read_result, result_digest

FILE: dict[str, Any] = {
    "schemaVersion": 1,
    "uid": UID,
    "version": 3,
    "runId": run_id(3),
    "metrics": {"accuracy": 0.981, "loss": None},
    "samples": 360,
    "incumbent": {"version": 2, "uri": "s3://models/x/model/", "metrics": {"accuracy": 0.97}},
    "sample": {"instances": [[0.0]], "predictions": [[0.1]]},
    "manifest": [
        {"key": "model/3/saved_model.pb", "size": 100, "etag": '"abc"', "sha256": "00"},
        {"key": "model/3/variables/variables.index", "size": 0, "etag": "def", "sha256": "00"},
    ],
    "data": {"uri": "s3://datasets/mnist/", "digest": "sha256:data", "objects": 4, "bytes": 123},
    "lineage": {"trainingHash": "0123", "retrainToken": "monday", "python": "3.11.7"},
}
LISTING = [
    S3Object("model/3/saved_model.pb", 100, "abc"),
    S3Object("model/3/variables/variables.index", 0, "def"),
    S3Object("result.json", 999, "r"),
    S3Object("report.html", 1, "h"),
]


def read(file: dict[str, Any] | bytes, listing: list[S3Object] | None = None) -> Result:
    data = file if isinstance(file, bytes) else json.dumps(file).encode()
    found = read_result(data, "s3://models/x/result.json")
    return checked(found, data, LISTING if listing is None else listing, uid=UID, version=3, run_id=run_id(3))


def changed(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(FILE), **fields}


def file(**fields: Any) -> dict[str, Any]:
    """The manifest with its first file changed."""
    return changed(manifest=[{**FILE["manifest"][0], **fields}, FILE["manifest"][1]])


def test_a_result_that_holds() -> None:
    data = json.dumps(FILE).encode()
    assert read(FILE) == Result(
        version=3,
        run_id=run_id(3),
        digest=result_digest(data),
        metrics={"accuracy": 0.981},
        samples=360,
        incumbent_version=2,
        incumbent_metrics={"accuracy": 0.97},
        training_hash="0123",
        retrain_token="monday",
        data_digest="sha256:data",
        sample={"instances": [[0.0]], "predictions": [[0.1]]},
    )


def test_what_may_be_absent_may_be_absent() -> None:
    few = {name: FILE[name] for name in ("schemaVersion", "uid", "version", "runId", "metrics", "manifest")}
    assert read(few).incumbent_version is None


def raw(old: str, new: str) -> bytes:
    text = json.dumps(FILE)
    assert old in text
    return text.replace(old, new).encode()


TAMPERED: dict[str, tuple[dict[str, Any] | bytes, str, str]] = {
    "of another resource": (changed(uid="another"), reasons.NO_RESULT, "another uid: another instead of"),
    "of another version": (changed(version=2), reasons.NO_RESULT, "another version: 2 instead of 3"),
    "of another run": (changed(runId="x"), reasons.NO_RESULT, "another run: x instead of"),
    "no JSON": (b"<html>", reasons.NO_RESULT, "is no result file"),
    "empty": (b"", reasons.NO_RESULT, "is no result file"),
    "cut": (json.dumps(FILE).encode()[:-9], reasons.NO_RESULT, "is no result file"),
    "a list": (b"[]", reasons.NO_RESULT, "is no result file"),
    "no text": (b"\xff\xfe\x00", reasons.NO_RESULT, "is no result file"),
    "of a newer trainer": (changed(schemaVersion=2), reasons.NO_RESULT, "schemaVersion"),
    "without a schema": (changed(schemaVersion=None), reasons.NO_RESULT, "schemaVersion"),
    "a metric that is NaN": (raw("0.981", "NaN"), reasons.NO_RESULT, "is no result file"),
    "a metric that is infinite": (raw("0.981", "Infinity"), reasons.NO_RESULT, "is no result file"),
    "a metric beyond all numbers": (raw("0.981", "1e999"), reasons.NO_RESULT, "metrics.accuracy"),
    "a metric that is text": (changed(metrics={"accuracy": "good"}), reasons.NO_RESULT, "metrics.accuracy"),
    "more metrics than a status holds": (changed(metrics={f"m{n}": 1.0 for n in range(65)}), reasons.NO_RESULT, "metrics"),
    "a sample with NaN": (raw("[[0.0]]", "[[NaN]]"), reasons.NO_RESULT, "is no result file"),
    "an incumbent with NaN": (raw("0.97}", "NaN}"), reasons.NO_RESULT, "is no result file"),
    "more samples than there are numbers": (changed(samples=10**30), reasons.NO_RESULT, "samples"),
    "a negative number of samples": (changed(samples=-1), reasons.NO_RESULT, "samples"),
    "a digest of any length": (changed(data={"digest": "x" * 300}), reasons.NO_RESULT, "data.digest"),
    "a hash of any length": (changed(lineage={"trainingHash": "x" * 300}), reasons.NO_RESULT, "lineage.trainingHash"),
    "no manifest": (changed(manifest=[]), reasons.NO_RESULT, "manifest"),
    "an oversized manifest": (changed(manifest=[FILE["manifest"][0]] * 10_001), reasons.NO_RESULT, "manifest"),
    "a negative size": (file(size=-1), reasons.NO_RESULT, "manifest.0.size"),
    "a missing file": (file(key="model/3/gone.pb"), reasons.MODEL_CHANGED, "model/3/gone.pb is missing"),
    "another size": (file(size=101), reasons.MODEL_CHANGED, "saved_model.pb has another size or ETag"),
    "another ETag": (file(etag="xyz"), reasons.MODEL_CHANGED, "saved_model.pb has another size or ETag"),
    "a key of another version": (file(key="model/2/saved_model.pb"), reasons.MODEL_CHANGED, "is not below model/3/"),
    "a key outside the model": (file(key="result.json"), reasons.MODEL_CHANGED, "result.json is not below model/3/"),
    "a key that climbs": (file(key="../2-x/model/3/saved_model.pb"), reasons.MODEL_CHANGED, "is not below model/3/"),
    "the same key twice": (
        changed(manifest=[{**FILE["manifest"][0], "etag": "xyz"}, *FILE["manifest"]]), reasons.MODEL_CHANGED, "listed twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_a_result_that_was_tampered_with_does_not_count(name: str) -> None:
    tampered, reason, words = TAMPERED[name]
    with pytest.raises(Refused) as error:
        read(tampered)
    assert error.value.reason == reason
    assert words in error.value.message
    assert len(error.value.message) < 1000


@pytest.mark.parametrize("extra", ["model/3/evil.so", "model/4/saved_model.pb", "model/x"])
def test_a_file_that_is_not_listed_does_not_count(extra: str) -> None:
    with pytest.raises(Refused, match=f"{extra} is not in the manifest"):
        read(FILE, [*LISTING, S3Object(extra, 1, "e")])


def test_what_is_beside_the_model_does_not_matter() -> None:
    assert read(FILE, [*LISTING, S3Object("logs/1.txt", 1, "e"), S3Object("modelled", 1, "e")])


def test_whatever_a_result_says_can_be_stored() -> None:
    largest = changed(
        metrics={f"m{n}" * 30: 1e308 for n in range(64)},
        incumbent={"version": 2, "error": "because " * 1000},
        samples=2**53,
    )
    candidate = candidate_of(read(largest), "s3://models/x/model/", "0123")
    stored = Status(candidate=candidate)
    assert Status.model_validate(stored.dump()) == stored
