"""Field by field, a change means what the hashes say as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.builders import a_resource, a_situation
from trainandserve.changes import RETRAIN_FIELD, between, fields, meaning, said, training_fields
from trainandserve.hashes import gate_hash, serving_hash, training_hash

EDITS: list[dict[str, Any]] = [
    {"data": {"uri": "s3://datasets/other/"}},
    {"data": {"uri": "s3://datasets/mnist/", "secretName": "other"}},
    {"storage": {"uri": "s3://models/", "secretName": "other"}},
    {"storage": {"uri": "s3://elsewhere/"}},
    {"storage": {"uri": "s3://models/", "deletionPolicy": "Delete"}},
    {"training": {"image": "b"}},
    {"training": {"entrypoint": "my.recipe"}},
    {"training": {"packages": ["a==1"]}},
    {"training": {"parameters": {"epochs": 3, "layers": [1, 2], "deep": {"a": 1}}}},
    {"training": {"resources": {"limits": {"cpu": "4"}}, "timeout": "1h", "caching": False, "runRetries": 1}},
    {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.95}]}},
    {
        "evaluation": {
            "metrics": [{"name": "accuracy", "min": 0.9}],
            "data": {"uri": "s3://datasets/held-out/"},
        }
    },
    {
        "evaluation": {
            "metrics": [{"name": "accuracy", "min": 0.9, "minSamples": 10}],
            "approval": "Manual",
            "onIncumbentError": "Hold",
        }
    },
    {"evaluation": None},
    {"serving": {"pinnedVersion": 2}},
    {"serving": {"rollout": {"strategy": "Canary", "analysis": [{"query": "error-rate", "max": 0.1}]}}},
    {"serving": {"minReplicas": 2, "resources": {"limits": {"cpu": "4"}}}},
    {"serving": {"deletionPolicy": "Orphan"}},
    {"suspend": True},
    {"historyLimit": 3},
]


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_a_field_means_the_hash_that_moves_with_it(edit: dict[str, Any]) -> None:
    before = a_resource()
    after = a_situation().spec(**edit).resource
    after = after.changed(status=before.status)
    moved = {
        name
        for name, of in (("training", training_hash), ("gate", gate_hash), ("serving", serving_hash))
        if of(before) != of(after)
    }
    changes = between(fields(before), fields(after))
    assert changes
    # What a version is evaluated on is in the hash of the training, and means less.
    found = {"training" if one.hash == "evaluation" else one.hash for one in changes}
    assert found - {"none"} == moved


def test_the_retrain_annotation_is_an_input_of_the_training() -> None:
    changes = between(
        training_fields(a_resource()),
        training_fields(a_resource(annotations={"trainandserve.io/retrain": "1"})),
    )
    assert [(one.field, one.before, one.after) for one in changes] == [(RETRAIN_FIELD, None, "1")]
    assert meaning(RETRAIN_FIELD) == "training"


def test_values_are_shown_whole_or_cut_but_never_taken_for_another() -> None:
    long, longer = "x" * 100, "x" * 101
    one, other = (
        training_fields(a_resource(training={"parameters": {"text": text}})) for text in (long, longer)
    )
    field = "training.parameters.text"
    assert len(one[field]) <= 80 and one[field] != other[field]


def test_many_changes_are_said_in_few_words() -> None:
    before = training_fields(a_resource(training={"parameters": {"a": 1, "b": 1, "c": 1, "d": 1}}))
    after = training_fields(a_resource(training={"parameters": {"a": 2, "b": 2, "c": 2}}))
    words = said(between(before, after))
    assert words.startswith("training.parameters.a 1 -> 2, training.parameters.b 1 -> 2")
    assert words.endswith("and 1 more")
