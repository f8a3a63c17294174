"""What is read of a version that is evaluated again, and what is found of it when a status was lost."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.builders import UID, a_situation, prefix, run_id
from tests.unit.operator_core.test_versions import Bucket
from trainandserve import actions, names
from trainandserve.observation import Preflight, Problem, Recovery, Result, Unknown
from trainandserve.observe import lost_status, results
from trainandserve.resource import Candidate, Evaluated, Run, TrainAndServe
from trainandserve.result import result_digest

preflight = importlib.import_module("trainandserve.observe.preflight")  # its name there is the function's
BOUNDS = {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.9, "maxRegression": 0.01}]}}
HELD_OUT = {"evaluation": {**BOUNDS["evaluation"], "data": {"uri": "s3://datasets/held-out/"}}}


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def world(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Any:
    async def access(world: object, resource: TrainAndServe, secret: str | None = None) -> object:
        return object()

    async def fine(*_: object) -> list[Problem]:
        return []

    async def not_taken(*_: object) -> bool:
        return False

    for module in (preflight, results, lost_status):
        monkeypatch.setattr(module, "storage_access", access)
    monkeypatch.setattr(preflight, "secret_access", access)
    monkeypatch.setattr(preflight, "_platform", fine)
    monkeypatch.setattr(preflight, "_is_taken", not_taken)
    monkeypatch.setattr(preflight, "_storage", fine)
    return SimpleNamespace(s3=bucket, slots=SimpleNamespace(take=lambda key: True))


def version(bucket: Bucket, resource: TrainAndServe) -> Candidate:
    """Version 3 as it was judged, and as it lies there."""
    data = bucket.put(3, incumbent={"version": 2, "metrics": {"accuracy": 0.9}})
    candidate = resource.status.candidate
    assert candidate is not None
    return candidate.changed(result_digest=result_digest(data))


def evaluated(bucket: Bucket, **told: Any) -> bytes:
    """What the second run for version 3 leaves: it evaluated it."""
    found = {
        "schemaVersion": 1,
        "uid": UID,
        "version": 3,
        "runId": run_id(3, 2),
        "evaluates": run_id(3),
        "metrics": {"accuracy": 0.8, "loss": None},
        "samples": 10,
        "incumbent": {"version": 1, "metrics": {"accuracy": 0.7}},
    }
    data = json.dumps(found | told).encode()
    place = names.evaluation_prefix(names.model_uri(prefix(3)), run_id(3, 2))
    bucket.objects_there[f"{place}evaluation.json"] = data
    return data


RESOURCE = a_situation(**BOUNDS).judged(3).resource


async def test_an_evaluation_is_read_with_its_own_run_and_digest(world: Any, bucket: Bucket) -> None:
    data = evaluated(bucket)
    found = await results.read_evaluation(world, RESOURCE, version(bucket, RESOURCE), run_id(3, 2))
    assert isinstance(found, Result)
    assert (found.run_id, found.digest, found.samples) == (run_id(3, 2), result_digest(data), 10)
    assert (dict(found.metrics), found.incumbent_version) == ({"accuracy": 0.8}, 1)
    assert found.incumbent_metrics == {"accuracy": 0.7}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"uid": "another"}, "another uid"),
        ({"version": 4}, "another version"),
        ({"runId": run_id(3)}, "another run"),
        ({"evaluates": run_id(2)}, "another run that made it"),
        ({"metrics": [1]}, "is no result file: metrics"),
    ],
)
async def test_an_evaluation_of_something_else_does_not_hold(
    told: dict[str, Any], words: str, world: Any, bucket: Bucket
) -> None:
    evaluated(bucket, **told)
    found = await results.read_evaluation(world, RESOURCE, version(bucket, RESOURCE), run_id(3, 2))
    assert isinstance(found, Problem) and not isinstance(found, Unknown)
    assert words in found.message


async def test_an_evaluation_of_a_version_that_was_changed_since_does_not_hold(
    world: Any, bucket: Bucket
) -> None:
    evaluated(bucket)
    judged = version(bucket, RESOURCE)
    for change in ({"digest": "another"}, {"file": b"longer than a model"}):
        given = judged.changed(result_digest=change.get("digest", judged.result_digest))
        bucket.objects_there[f"{prefix(3)}model/3/saved_model.pb"] = change.get("file", b"a model")  # type: ignore[assignment]
        found = await results.read_evaluation(world, RESOURCE, given, run_id(3, 2))
        assert isinstance(found, Problem) and found.reason == "ModelChanged"


async def looked(world: Any, resource: TrainAndServe, only: Candidate | None) -> Preflight:
    found: Preflight = await preflight.preflight(world, resource, run_id(3, 2), only)
    return found


async def test_an_evaluation_needs_the_data_that_it_is_on_and_no_other(world: Any, bucket: Bucket) -> None:
    resource = a_situation(**HELD_OUT).judged(3).resource
    judged = version(bucket, resource)
    bucket.objects_there["s3://datasets/held-out/x"] = b"1"
    found = await looked(world, resource, judged)
    assert (found.problems, found.data_digest, found.unusable) == ((), None, None)
    assert found.evaluation_digest is not None
    trained = await looked(world, resource, None)
    assert [one.reason for one in trained.problems] == ["DataNotFound"]
    without = await looked(world, RESOURCE, judged)
    assert [one.reason for one in without.problems] == ["DataNotFound"]


async def test_a_version_that_is_not_whole_is_not_evaluated_and_a_silent_bucket_says_nothing_of_it(
    world: Any, bucket: Bucket
) -> None:
    resource = a_situation(**HELD_OUT).judged(3).resource
    judged = version(bucket, resource)
    bucket.objects_there["s3://datasets/held-out/x"] = b"1"
    bucket.objects_there[f"{prefix(3)}model/3/more"] = b"1"
    found = await looked(world, resource, judged)
    assert found.unusable is not None and "is not in the manifest" in found.unusable.message
    bucket.silent = True
    silent = await looked(world, resource, judged)
    assert (silent.unusable, [one.reason for one in silent.problems]) == (None, ["StorageUnreachable"])


async def test_a_lost_status_finds_the_evaluation_that_the_record_names(world: Any, bucket: Bucket) -> None:
    judged = version(bucket, RESOURCE)
    by = Evaluated(run_id=run_id(3, 2), attempt=2, digest=result_digest(evaluated(bucket)))
    entry = RESOURCE.status.history[0].changed(evaluation=by, result_digest=judged.result_digest)
    newest = await results.read_checked(world, RESOURCE, prefix(3), 3, run_id(3))
    assert isinstance(newest, Result)
    known = Recovery(3, newest, prefix(3), records=(entry,))
    found = await lost_status._evaluation(world, RESOURCE, known)
    assert found.evaluation is not None and found.evaluation.metrics == {"accuracy": 0.8}
    evaluated(bucket, samples=11)
    assert await lost_status._evaluation(world, RESOURCE, known) == known
    other = replace(known, records=(entry.changed(result_digest="another"),))
    assert await lost_status._evaluation(world, RESOURCE, other) == other


def test_what_is_sent_names_the_version_its_result_and_the_one_that_serves() -> None:
    situation = a_situation(**BOUNDS).judged(3, False, reason="IncumbentChanged", incumbent=2).serving(1)
    run = Run.model_validate(
        {
            "version": 3,
            "kind": "Evaluate",
            "evaluates": run_id(3),
            "attempt": 2,
            "id": run_id(3, 2),
            "state": "Submitting",
            "incumbent": 1,
            "prefix": "s3://x/",
            "submittedAt": "2026-11-21T12:00:00Z",
        }
    )
    given = actions._parameters(situation.resource, run)
    wanted = {
        "evaluates": run_id(3),
        "model_uri": names.model_uri(prefix(3)),
        "result_digest": "digest-3",
        "incumbent_version": 1,
        "incumbent_uri": names.model_uri(prefix(1)),
        "destination": "s3://x/",
    }
    assert wanted.items() <= given.items()
    alone = actions._parameters(situation.resource, run.changed(incumbent=None))
    assert (alone["incumbent_version"], alone["incumbent_uri"]) == (0, "")
    assert actions._display_name(situation.resource, run) == "vision/mnist v3 #2 evaluation"
