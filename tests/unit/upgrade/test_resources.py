"""What the operator decides over resources as an earlier release left them: nothing is done, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.upgrade.stored import RELEASES, Json, lost, recording
from trainandserve.cache import Cache
from trainandserve.decide import decide
from trainandserve.decide.looks import next_run
from trainandserve.observation import (
    ABSENT,
    InferenceService,
    KfpRun,
    Observation,
    Policy,
    Preflight,
    Problem,
    Step,
    Unknown,
)
from trainandserve.plan import WriteRecord
from trainandserve.resource import TrainAndServe
from trainandserve.settings import Settings

LONG = timedelta(hours=2)
POLICY = Policy.of(Settings(proof_deadline=LONG, stall_after=LONG, run_backoff=LONG, lost_patience=LONG))
"""That of the recording."""

RESOURCES = [
    (release.name, one["metadata"]["name"])
    for release in sorted(RELEASES.iterdir())
    for one in recording(release.name)["trainandserves"]
]


def named(objects: list[Json], name: str) -> Json | None:
    return next((one for one in objects if one["metadata"]["name"] == name), None)


def as_left(release: str, name: str) -> tuple[Observation, datetime]:
    """The world of a resource as it was when it was recorded, a few seconds later."""
    found = recording(release)
    body = named(found["trainandserves"], name)
    assert body is not None
    resource = TrainAndServe.model_validate(body)
    service = named(found["inferenceservices"], name)
    run = resource.status.run
    seen = Observation(
        resource=resource,
        policy=POLICY,
        inference_service=InferenceService(service) if service else ABSENT,
        deployment=_deployment(resource, named(found["deployments"], f"{name}-predictor")),
        run=_run(found["runs"], run.id) if run and run.state == "Running" else None,
        workflow_phase="Running",
    )
    now = datetime.fromisoformat(found["recordedAt"]) + timedelta(seconds=3)
    told = resource.status.condition("ModelTrained")
    if (
        resource.status.last_version is None and told
    ):  # what others know of it could not be asked, for a reason
        seen = replace(seen, recovery=Unknown(told.reason, told.message))
    return (replace(seen, preflight=_preflight(resource)) if next_run(seen, now) else seen), now


def _deployment(resource: TrainAndServe, body: Json | None) -> Any:
    cache = Cache()
    if body is not None:
        own = {"namespace": resource.metadata.namespace, "uid": "1", "resourceVersion": "1"}
        metadata = {**body["metadata"], **own, "generation": body["status"]["observedGeneration"]}
        cache.deployments.put(resource.key, {**body, "metadata": metadata})
    return cache.deployment(resource.key) or ABSENT


def _run(runs: list[Json], run_id: str) -> KfpRun:
    one = next(one for one in runs if one["run_id"] == run_id)
    tasks = [task for task in one["tasks"] or () if task.get("display_name")]
    steps = tuple(Step(task["display_name"], task.get("state") or "PENDING") for task in tasks)
    return KfpRun(run_id, one["state"], steps)


def _preflight(resource: TrainAndServe) -> Preflight:
    """What was missing then is missing still; nothing but a place is missing where nothing was."""
    told = resource.status.condition("ModelTrained")
    missing = told and told.status == "Unknown" and told.reason.endswith("NotFound")
    return Preflight(
        (Problem(told.reason, told.message),) if told and missing else (), "sha256:0", slot=False
    )


@pytest.mark.parametrize(("release", "name"), RESOURCES)
def test_a_resource_is_left_as_it_is(release: str, name: str) -> None:
    seen, now = as_left(release, name)
    before, told = seen.resource.status, []
    for number in range(4):
        plan = decide(seen, now + timedelta(seconds=number))
        assert [one for one in plan.actions if not isinstance(one, WriteRecord)] == []
        assert list(lost(before.dump(), plan.status.dump())) == []
        seen = replace(seen, resource=seen.resource.changed(status=plan.status))
        told.append(plan.status)
    assert told[-2] == told[-1], "it does not come to rest"


@pytest.mark.parametrize("release", sorted(one.name for one in RELEASES.iterdir()))
def test_every_phase_was_recorded(release: str) -> None:
    phases = {one["status"]["phase"] for one in recording(release)["trainandserves"]}
    assert phases >= {"Pending", "Queued", "Training", "RollingOut", "Serving", "Failed", "Suspended"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 2}),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}),
        ({"a": [{"reason": "x", "message": "y"}]}, {"a": [{"reason": "z", "message": "y"}]}),
    ],
)
def test_what_is_lost_is_found(before: Json, after: Json) -> None:
    assert len(list(lost(before, after))) == 1
    assert list(lost(before, before | {"more": 1})) == []
