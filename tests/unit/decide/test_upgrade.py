"""Resources as an operator before approvals, pins and records left them: a newer one changes nothing of what serves.

The file was written by that operator's own code. A field or a hash that an upgrade would take otherwise shows here as a run, a
rollout or another verdict.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.builders import NOW, POLICY, READY_TO_RUN, a_deployment
from trainandserve.decide import decide
from trainandserve.observation import ABSENT, InferenceService, Observation
from trainandserve.plan import Plan, WriteRecord
from trainandserve.resource import TrainAndServe

STORED = json.loads((Path(__file__).parent / "stored_before.json").read_text())


def upgraded(name: str) -> tuple[TrainAndServe, Plan]:
    body, service = STORED[name]["resource"], STORED[name]["inferenceService"]
    resource = TrainAndServe.model_validate(body)
    seen = Observation(
        resource=resource,
        policy=POLICY,
        inference_service=InferenceService(service) if service else ABSENT,
        deployment=a_deployment(1) if service else ABSENT,
        preflight=READY_TO_RUN,
    )
    return resource, decide(seen, NOW)


@pytest.mark.parametrize("name", STORED)
def test_an_upgrade_trains_judges_and_applies_nothing(name: str) -> None:
    _, plan = upgraded(name)
    assert [action for action in plan.actions if not isinstance(action, WriteRecord)] == []
    assert plan.notes == ()


@pytest.mark.parametrize("name", STORED)
def test_an_upgrade_keeps_every_word_of_the_status(name: str) -> None:
    """It may add: the outlook, and to the history when a version was proven."""
    before = STORED[name]["resource"]["status"]
    after = upgraded(name)[1].status.dump()
    assert {key: value for key, value in after.items() if key in before and key != "history"} == {
        key: value for key, value in before.items() if key != "history"
    }
    assert after.keys() - before.keys() <= {"plan"}
    for old, new in zip(before["history"], after["history"], strict=True):
        assert subset(old, new)
        assert {key for key, value in new.items() if value and key not in old} <= {"servedAt"}


def subset(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return all(new[key] == value for key, value in old.items())


@pytest.mark.parametrize("name", STORED)
def test_every_version_that_is_known_is_recorded_once(name: str) -> None:
    resource, plan = upgraded(name)
    written = [action.entry.run_id for action in plan.actions if isinstance(action, WriteRecord)]
    assert written == [entry.run_id for entry in resource.status.history]
