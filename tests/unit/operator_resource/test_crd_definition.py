from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from trainandserve import crd, resource

FILE = Path(__file__).parents[3] / "crds" / "trainandserves.yaml"
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


def schemas(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, with its path; items and values are called ``*``."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from schemas(field, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from schemas(schema[part], f"{path}.*")


def spec_schemas() -> list[tuple[str, dict[str, Any]]]:
    root = crd.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return list(schemas(root["properties"]["spec"], "spec"))


def test_the_file_is_what_the_models_make_of_it() -> None:
    assert FILE.read_text() == crd.text(), "run: make crds"


def test_the_text_is_the_definition_with_a_line_that_says_where_it_comes_from() -> None:
    assert crd.text() == crd.text()
    assert crd.text().startswith("# Generated")
    assert "make crds" in crd.text().splitlines()[0]
    assert yaml.safe_load(crd.text()) == crd.definition()


def test_nothing_is_written_as_a_reference_to_another_place() -> None:
    assert "&id" not in crd.text()
    assert "$ref" not in crd.text()


@pytest.mark.parametrize("word", ["default", "title", "examples"])
def test_the_schema_sets_nothing_for_the_user(word: str) -> None:
    assert [path for path, schema in spec_schemas() if word in schema] == []


def test_everything_that_can_grow_has_a_bound() -> None:
    bounds = {"string": "maxLength", "array": "maxItems"}
    boundless = [
        path
        for path, schema in spec_schemas()
        if (bound := bounds.get(schema.get("type", ""))) and bound not in schema and "enum" not in schema
    ]
    maps = [
        path
        for path, schema in spec_schemas()
        if "additionalProperties" in schema and "maxProperties" not in schema
    ]
    assert boundless + maps == []


def test_every_number_has_a_bound_on_both_sides() -> None:
    numbers = [(path, s) for path, s in spec_schemas() if s.get("type") in ("integer", "number")]
    assert numbers
    assert [path for path, schema in numbers if not {"minimum", "maximum"} <= set(schema)] == []


def test_a_text_is_checked_by_a_rule_with_words_and_not_by_a_bare_pattern() -> None:
    assert [path for path, schema in spec_schemas() if "pattern" in schema] == []
    texts = [(path, s) for path, s in spec_schemas() if s.get("type") == "string" and "enum" not in s]
    free = {"spec.training.podAnnotations.*"}
    assert {path for path, schema in texts if "x-kubernetes-validations" not in schema} == free


def test_every_rule_says_what_to_write() -> None:
    messages = [
        rule["message"] for _, schema in spec_schemas() for rule in schema.get("x-kubernetes-validations", ())
    ]
    assert len(messages) > 40
    assert [message for message in messages if not {"write", "give", "name"} & set(message.split())] == []


def test_every_uri_is_held_to_the_same_rules() -> None:
    uris = {
        path: schema["x-kubernetes-validations"] for path, schema in spec_schemas() if path.endswith(".uri")
    }
    assert len(uris) == 3
    for path, rules in uris.items():
        assert rules[: len(uris["spec.data.uri"])] == uris["spec.data.uri"], path


def test_no_reference_can_name_a_namespace() -> None:
    assert [path for path, _ in spec_schemas() if "namespace" in path.lower()] == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_says_what_it_shows_and_is_read_by_the_models(file: Path) -> None:
    assert file.read_text().startswith("# ")
    for document in yaml.safe_load_all(file.read_text()):
        if document["kind"] == resource.KIND:
            assert document["apiVersion"] == resource.API_VERSION
            assert resource.Spec.model_validate(document["spec"]).as_set() == document["spec"]


def test_there_are_six_examples() -> None:
    assert [file.name for file in EXAMPLES] == [
        "digits.yaml",
        "flowers.yaml",
        "gated.yaml",
        "gpu.yaml",
        "mnist.yaml",
        "secret.yaml",
    ]
