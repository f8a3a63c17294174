"""What a change would do is what the operator's own decision makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.builders import NOW, Situation, a_resource, a_situation, run_id
from trainandserve.changes import training_fields
from trainandserve.cli.foresight import Foresight, foresight
from trainandserve.resource import Pin

FEW = {"parameters": {"epochs": 3}}
MORE = {"parameters": {"epochs": 10}}


def serving(accepted: bool = True) -> Situation:
    """Version 1 serves and was made from its inputs; version 2 was judged where it was turned down."""
    situation = a_situation(training=FEW).judged(1).serving(1).made_from_its_inputs()
    inputs = training_fields(situation.resource)
    if accepted:
        return situation.with_run("Succeeded", 1, inputs=inputs).after()
    return situation.judged(2, accepted=False, incumbent=1).after()


MANUAL = {"metrics": [{"name": "accuracy", "min": 0.9}], "approval": "Manual"}
HELD_OUT = {"metrics": [{"name": "accuracy", "min": 0.9}], "data": {"uri": "s3://datasets/held-out/"}}


def two_versions() -> Situation:
    """Version 2 serves, and version 1 did before."""
    return (
        a_situation(training=FEW).judged(1).judged(2, incumbent=1).serving(2).made_from_its_inputs().after()
    )


def running() -> Situation:
    situation = serving()
    return situation.with_run("Running", 2, inputs=training_fields(situation.resource)).after()


def if_changed(situation: Situation, **spec: Any) -> Foresight:
    return foresight(situation.resource, situation.spec(**spec).resource, NOW)


ROWS: list[tuple[str, Situation, dict[str, Any], list[str], str]] = [
    ("nothing", serving(), {}, ["nothing"], "nothing that runs"),
    ("a parameter", serving(), {"training": MORE}, ["trains"], "training.parameters.epochs 3 -> 10"),
    ("the data that versions are evaluated on", serving(), {"evaluation": HELD_OUT}, ["evaluates"], "version 1 on other data"),
    ("that and a parameter", serving(), {"evaluation": HELD_OUT, "training": MORE}, ["trains"], ""),
    ("resources of the run", serving(), {"training": FEW | {"caching": False}}, ["nothing"], ""),
    ("a parameter while a run is on", running(), {"training": MORE}, ["stops", "trains"], "the run of version 2 is stopped"),
    (
        "a looser bound",
        serving(accepted=False),
        {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.4}]}},
        ["judges", "serves"],
        "version 2 again: Rejected becomes Accepted: accuracy 0.5 meets min 0.4",
    ),
    (
        "a stricter bound on what serves",
        serving(),
        {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.99}]}},
        ["judges"],
        "version 1 again: Accepted becomes Rejected",
    ),
    ("replicas", serving(), {"serving": {"minReplicas": 2}}, ["rolls"], "version 1 stays"),
    ("what is served and what makes it", serving(), {"serving": {"minReplicas": 2}, "training": MORE}, ["rolls", "trains"], ""),
    ("a pin", two_versions(), {"serving": {"pinnedVersion": 1}}, ["serves"], "version 1 is rolled out"),
    ("a pin of what nobody knows", two_versions(), {"serving": {"pinnedVersion": 9}}, ["nothing"], ""),
    ("manual approval", serving(), {"evaluation": MANUAL, "training": MORE}, ["judges", "trains"], "version 1 again"),
    ("suspend", serving(), {"suspend": True}, ["holds"], "suspended"),
    ("suspend and a parameter", serving(), {"suspend": True, "training": MORE}, ["holds", "trains"], "suspended"),
    ("history", serving(), {"historyLimit": 3}, ["nothing"], ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("situation", "spec", "kinds", "words"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_what_an_edit_does(situation: Situation, spec: dict[str, Any], kinds: list[str], words: str) -> None:
    found = if_changed(situation, **spec)
    assert [one.kind for one in found.effects] == kinds
    assert words in found.effects[0].message
    assert bool(found.changes) == bool(spec)


def test_a_removed_field_of_serving_rolls_too() -> None:
    wide = serving().spec(serving={"minReplicas": 1, "maxReplicas": 3}).after()
    found = if_changed(wide, serving={"minReplicas": 1})
    assert [(one.field, one.before, one.after) for one in found.changes] == [
        ("serving.maxReplicas", "3", None)
    ]
    assert [one.kind for one in found.effects] == ["rolls"]


def test_to_let_a_held_resource_go_does_what_was_held_back() -> None:
    held = serving().spec(training=MORE, suspend=True).after()
    assert [one.kind for one in if_changed(held, suspend=None).effects] == ["resumes"]


def test_without_its_pin_the_newest_good_version_serves() -> None:
    held = two_versions().spec(training=FEW, serving={"pinnedVersion": 1})
    live = held.serving(1).status(pin=Pin(version=1, run_id=run_id(1), since=NOW)).after()
    found = if_changed(live, serving=None)
    assert [(one.kind, one.message) for one in found.effects] == [("serves", "version 2 is rolled out")]


def test_a_new_resource_trains_its_first_version() -> None:
    found = foresight(None, a_resource(), NOW)
    assert [one.kind for one in found.effects] == ["trains"]
    assert [step.action for step in found.outlook.steps] == ["Train", "Judge", "RollOut"]


def test_an_edit_that_is_taken_back_trains_nothing() -> None:
    edited = serving().spec(training=MORE)
    found = foresight(edited.resource, serving().resource, NOW)
    assert "trains" not in [one.kind for one in found.effects]
