from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from tests.unit.operator_resource.specifications import specifications, thorough
from tests.unit.operator_resource.statuses import full_status
from trainandserve.hashes import gate_hash, serving_hash, training_hash
from trainandserve.resource import Model, Spec, Status, TrainAndServe

UID = "7b0e8a52-3f5f-4d0c-9a53-0d4f6a3c2b11"
MINIMAL = {"data": {"uri": "s3://datasets/mnist/"}, "storage": {"uri": "s3://models/"}}


def whole(spec: dict[str, Any]) -> TrainAndServe:
    return TrainAndServe.model_validate({"metadata": {"name": "mnist", "uid": UID}, "spec": spec})


def hashes(spec: dict[str, Any]) -> tuple[str, str, str]:
    resource = whole(spec)
    return training_hash(resource), gate_hash(resource), serving_hash(resource)


def backwards(value: Any) -> Any:
    """The same JSON with the keys of every map in the other order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


def with_nulls(value: dict[str, Any], model: type[Model]) -> dict[str, Any]:
    """The same with null for every field of the model that is not set."""
    optional = (field for field in model.model_fields.values() if not field.is_required())
    absent = {str(field.alias): None for field in optional}
    return {**absent, **value}


@thorough
@given(specifications)
def test_what_the_user_set_is_what_the_models_say_was_set(spec: dict[str, Any]) -> None:
    assert Spec.model_validate(spec).as_set() == spec


@thorough
@given(specifications)
def test_a_specification_dumps_as_it_was_set_and_is_read_back_the_same(spec: dict[str, Any]) -> None:
    read = Spec.model_validate(spec)
    assert read.dump() == read.as_set()
    assert Spec.model_validate(json.loads(json.dumps(read.dump()))) == read


@thorough
@given(specifications)
def test_the_order_of_keys_changes_no_hash(spec: dict[str, Any]) -> None:
    assert hashes(backwards(spec)) == hashes(spec)


@thorough
@given(specifications)
def test_null_means_absent(spec: dict[str, Any]) -> None:
    nulls = with_nulls(spec, Spec) | {"data": spec["data"] | {"secretName": spec["data"].get("secretName")}}
    assert Spec.model_validate(nulls).as_set() == spec
    assert hashes(nulls) == hashes(spec)


@thorough
@given(specifications)
def test_no_field_is_a_default_of_the_models(spec: dict[str, Any]) -> None:
    assert Spec.model_validate(spec).changed(suspend=None).dump() == {
        name: value for name, value in spec.items() if name != "suspend"
    }


def test_a_null_parameter_is_a_parameter() -> None:
    spec = Spec.model_validate({**MINIMAL, "training": {"parameters": {"seed": None}}})
    assert spec.as_set()["training"] == {"parameters": {"seed": None}}


@pytest.mark.parametrize("timeout", [5, 0, "", "soon", 1.5, True, ["5m"]])
def test_only_a_text_is_a_duration(timeout: Any) -> None:
    with pytest.raises(ValidationError, match="write hours, minutes and seconds"):
        Spec.model_validate({**MINIMAL, "training": {"timeout": timeout}})


def test_the_same_duration_in_other_words_is_the_same() -> None:
    first, second = ({**MINIMAL, "training": {"timeout": text}} for text in ("90m", "1h30m"))
    assert Spec.model_validate(first) == Spec.model_validate(second)


def test_a_field_of_a_later_version_is_passed_over() -> None:
    spec = Spec.model_validate({**MINIMAL, "triggers": {"schedule": {}}})
    assert spec.as_set() == MINIMAL


def test_a_status_with_every_field_is_read_back_the_same() -> None:
    status = full_status()
    assert Status.model_validate(json.loads(json.dumps(status.dump()))) == status


def test_the_full_status_leaves_no_field_out() -> None:
    left_out: list[str] = []

    def look(value: Any, path: str) -> None:
        if isinstance(value, Model):
            for name in type(value).model_fields:
                found = getattr(value, name)
                if found in (None, [], {}, ""):
                    left_out.append(f"{path}.{name}")
                look(found, f"{path}.{name}")
        for item in value if isinstance(value, list) else ():
            look(item, path)

    look(full_status(), "status")
    assert left_out == []


def test_a_metric_without_a_number_is_dumped_as_null() -> None:
    candidate = {"version": 1, "runId": "a", "uri": "s3://models/a/", "metrics": {"loss": None}}
    assert Status.model_validate({"candidate": candidate}).dump()["candidate"]["metrics"] == {"loss": None}


def test_an_empty_status_says_nothing_but_empty_lists() -> None:
    assert Status().dump() == {"conditions": [], "abandoned": [], "history": []}
