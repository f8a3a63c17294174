"""What is read, written and deleted of versions in the bucket, on one in memory."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.builders import UID, a_resource, a_situation, prefix, run_id
from trainandserve import actions, names
from trainandserve.gateways.errors import GatewayError, NotFound, Unreachable
from trainandserve.gateways.s3 import S3Object
from trainandserve.observation import Folder, Problem, Stored, Unknown
from trainandserve.observe import lost_status, versions
from trainandserve.plan import DeleteVersion, WriteRecord
from trainandserve.resource import HistoryEntry, TrainAndServe
from trainandserve.result import result_digest
from trainandserve.version_record import read_record

RESOURCE = a_resource(storage={"uri": "s3://models/", "secretName": "s", "keepVersions": 2})
FOLDER = "s3://models/vision/mnist/"


class Bucket:
    """As much of the door to S3 as versions need."""

    def __init__(self) -> None:
        self.objects_there: dict[str, bytes] = {}
        self.silent = False

    def _check(self) -> None:
        if self.silent:
            raise Unreachable("StorageUnreachable", "no answer")

    async def folders(self, uri: str, access: object) -> list[str]:
        self._check()
        return sorted(
            {key.removeprefix(uri).split("/")[0] for key in self.objects_there if key.startswith(uri)}
        )

    async def objects(self, uri: str, access: object) -> list[S3Object]:
        found = {
            key.removeprefix(uri): value for key, value in self.objects_there.items() if key.startswith(uri)
        }
        return [S3Object(key, len(value), f"etag-{len(value)}") for key, value in found.items()]

    async def read(self, uri: str, access: object) -> bytes:
        self._check()
        if uri not in self.objects_there:
            raise NotFound("NoResult", f"{uri} is not there")
        return self.objects_there[uri]

    async def exists(self, uri: str, access: object) -> bool:
        return uri in self.objects_there

    async def write(self, uri: str, data: bytes, access: object) -> None:
        self._check()
        self.objects_there[uri] = data

    async def delete(self, uri: str, access: object, *, first: str = "", last: str = "") -> int:
        gone = [key for key in self.objects_there if key.startswith(uri)]
        self.objects_there = {key: value for key, value in self.objects_there.items() if key not in gone}
        return len(gone)

    def put(self, version: int, attempt: int = 1, uid: str = UID, **told: Any) -> bytes:
        """A version as a run of ours leaves it; the bytes of its result."""
        place = prefix(version, attempt)
        key = f"model/{version}/saved_model.pb"
        self.objects_there[place + key] = b"a model"
        result = {
            "schemaVersion": 1,
            "uid": uid,
            "version": version,
            "runId": run_id(version, attempt),
            "metrics": {"accuracy": 0.9},
            "manifest": [{"key": key, "size": 7, "etag": "etag-7", "sha256": "00"}],
            "lineage": {"trainingHash": "h"},
        }
        data = json.dumps(result | told).encode()
        self.objects_there[f"{place}result.json"] = data
        return data


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def world(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Any:
    async def access(world: object, resource: TrainAndServe) -> object:
        return object()

    for module in (actions, lost_status, versions):
        monkeypatch.setattr(module, "storage_access", access)
    monkeypatch.setattr("trainandserve.observe.results.storage_access", access)
    return SimpleNamespace(s3=bucket)


async def test_a_version_is_found_by_the_folder_of_whichever_attempt_made_it(
    world: Any, bucket: Bucket
) -> None:
    bucket.put(2, attempt=3)
    bucket.objects_there[f"{prefix(2)}report.html"] = b"an attempt that failed"
    found = await versions.find_version(world, RESOURCE, 2)
    assert isinstance(found, Stored)
    assert (found.prefix, found.result.run_id) == (prefix(2, 3), run_id(2, 3))


async def test_a_version_that_is_not_there_not_ours_or_not_whole_is_a_problem(
    world: Any, bucket: Bucket
) -> None:
    missing = await versions.find_version(world, RESOURCE, 7)
    assert isinstance(missing, Problem) and "no version 7" in missing.message
    bucket.objects_there[f"{FOLDER}1-0badc0de/result.json"] = b"{}"
    assert isinstance(await versions.find_version(world, RESOURCE, 1), Problem)
    bucket.put(2, uid="another")
    other = await versions.find_version(world, RESOURCE, 2)
    assert isinstance(other, Problem) and "another uid" in other.message
    bucket.put(3)
    del bucket.objects_there[f"{prefix(3)}model/3/saved_model.pb"]
    cut = await versions.find_version(world, RESOURCE, 3)
    assert isinstance(cut, Problem) and not isinstance(cut, Unknown) and "is missing" in cut.message


async def test_a_version_whose_result_is_not_the_one_that_was_judged_is_a_problem(
    world: Any, bucket: Bucket
) -> None:
    bucket.put(1)
    judged = a_situation().judged(1).resource  # its digest is another one
    found = await versions.find_version(world, judged, 1)
    assert isinstance(found, Problem) and "not the one that was judged" in found.message


async def test_a_silent_bucket_says_nothing(world: Any, bucket: Bucket) -> None:
    bucket.silent = True
    assert isinstance(await versions.find_version(world, RESOURCE, 1), Unknown)
    assert isinstance(await versions.own_folders(world, RESOURCE), Unknown)


async def test_own_folders_are_told_from_others_and_looked_into_from_the_newest_on(
    world: Any, bucket: Bucket
) -> None:
    for version in (1, 2, 4):
        bucket.put(version)
    bucket.objects_there[f"{prefix(3)}report.html"] = b"a run that failed"
    bucket.objects_there[f"{FOLDER}9-0badc0de/result.json"] = b"{}"
    bucket.objects_there[f"{FOLDER}notes/a.txt"] = b"a person's"
    found = await versions.own_folders(world, RESOURCE)
    assert found == (
        Folder(4, run_id(4), prefix(4), complete=True),
        Folder(3, run_id(3), prefix(3)),
        Folder(2, run_id(2), prefix(2), complete=True),
        Folder(1, run_id(1), prefix(1)),  # not looked into: as many as are kept were found
    )


def entry(version: int, data: bytes, **fields: Any) -> HistoryEntry:
    history = a_situation().judged(version).resource.status.history[0]
    return history.changed(result_digest=result_digest(data), **fields)


async def test_a_record_is_written_beside_the_model_and_leaves_the_version_whole(
    world: Any, bucket: Bucket
) -> None:
    known = entry(2, bucket.put(2))
    await actions.perform(world, RESOURCE, WriteRecord(known, "d"))
    data = bucket.objects_there[f"{prefix(2)}version.json"]
    assert read_record(data, uid=UID, version=2, run_id=run_id(2)) == known.changed(recorded=None)
    assert isinstance(await versions.find_version(world, RESOURCE, 2), Stored)


async def test_no_record_is_written_of_what_is_gone_or_another_one(world: Any, bucket: Bucket) -> None:
    await actions.perform(world, RESOURCE, WriteRecord(entry(1, b"gone"), "d"))
    bucket.put(2)
    await actions.perform(world, RESOURCE, WriteRecord(entry(2, b"another"), "d"))
    assert not [key for key in bucket.objects_there if key.endswith("version.json")]


async def test_a_record_that_cannot_be_written_names_itself_and_the_cause(world: Any, bucket: Bucket) -> None:
    bucket.silent = True
    with pytest.raises(
        GatewayError, match="the record of version 2 could not be written yet: no answer"
    ) as caught:
        await actions.perform(world, RESOURCE, WriteRecord(entry(2, b""), "d"))
    assert caught.value.reason == "StorageUnreachable"


async def test_a_folder_is_deleted_if_what_lies_in_it_is_ours(world: Any, bucket: Bucket) -> None:
    bucket.put(1)
    bucket.put(2, uid="another")
    bucket.objects_there[f"{prefix(3)}model/3/saved_model.pb"] = b"half deleted"
    bucket.objects_there[f"{prefix(3)}version.json"] = json.dumps(
        {"uid": "another", "runId": run_id(3)}
    ).encode()
    bucket.objects_there[f"{prefix(4)}report.html"] = b"an attempt that left no result"
    for version in (1, 2, 3, 4):
        await actions.perform(world, RESOURCE, DeleteVersion(version, run_id(version), prefix(version)))
    left = {key.removeprefix(FOLDER).split("-")[0] for key in bucket.objects_there}
    assert left == {"2", "3"}


async def test_the_records_of_the_newest_versions_are_read_back_and_no_others(
    world: Any, bucket: Bucket
) -> None:
    entries = {version: entry(version, bucket.put(version)) for version in (1, 2, 3)}
    for known in entries.values():
        await actions.perform(world, RESOURCE, WriteRecord(known, "d"))
    bucket.objects_there[f"{prefix(2)}version.json"] = b"not a record"
    known_folders = await versions.folders(world, RESOURCE)
    found = await lost_status._records(world, RESOURCE, known_folders)
    assert [one.version for one in found] == [3, 1]
    assert names.run_id(UID, 3, 1) == found[0].run_id
