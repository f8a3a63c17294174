"""The definition on the real API server: what it refuses, what it takes, how it shows it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import ControlPlane
from tests.api.bad_resources import BAD, UNUSUAL, Change, good_resource, minimal_resource
from tests.api.crd_calls import MERGE, TABLE, create, folder, get, refusal, write_status
from tests.unit.operator_resource.statuses import full_status
from trainandserve.resource import Spec

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
COLUMNS = ["NAME", "READY", "PHASE", "SERVED", "CANDIDATE", "METRIC", "RUN", "URL", "AGE"]


# --- What is refused and what is taken ----------------------------------------------------------------------------


@pytest.mark.parametrize("change", BAD, ids=lambda change: change.name)
def test_the_server_refuses_a_resource_with(plane: ControlPlane, change: Change) -> None:
    message = refusal(
        plane, "POST", f"{folder('default')}?fieldValidation=Strict&dryRun=All", change.applied()
    )
    assert change.message in message
    assert "should match" not in message


@pytest.mark.parametrize("change", UNUSUAL, ids=lambda change: change.name)
def test_the_server_and_the_models_take_a_resource_with(plane: ControlPlane, change: Change) -> None:
    stored = create(plane, "default", change.applied(), "&dryRun=All")["spec"]
    assert Spec.model_validate(stored).as_set().keys() == stored.keys()


def test_a_resource_with_every_field_is_stored_as_it_is_written(plane: ControlPlane, namespace: str) -> None:
    assert create(plane, namespace, good_resource())["spec"] == good_resource()["spec"]


def test_the_good_resource_has_every_field_that_there_is() -> None:
    schema = Spec.model_json_schema()
    assert set(good_resource()["spec"]) == set(schema["properties"])
    for part in ("training", "evaluation", "serving", "data", "storage"):
        definition = schema["$defs"][part.capitalize()]
        assert set(good_resource()["spec"][part]) == set(definition["properties"])


def test_at_least_sixty_mistakes_are_tried_and_no_two_are_called_the_same() -> None:
    names = [change.name for change in (*BAD, *UNUSUAL)]
    assert len(BAD) >= 60
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_server_takes_the_example(plane: ControlPlane, namespace: str, file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text()):
        group, _, version = document["apiVersion"].rpartition("/")
        api = f"/apis/{group}/{version}" if group else f"/api/{version}"
        path = f"{api}/namespaces/{namespace}/{document['kind'].lower()}s?fieldValidation=Strict"
        plane.rest.call("POST", path, document)


def test_a_mistake_in_an_edit_is_refused_like_one_in_a_new_resource(
    plane: ControlPlane, namespace: str
) -> None:
    create(plane, namespace, minimal_resource())
    edit = {"spec": {"training": {"timeout": "soon"}}}
    path = f"{folder(namespace)}/mnist?fieldValidation=Strict"
    assert "write a duration above zero" in refusal(plane, "PATCH", path, edit, MERGE)


def test_every_field_may_be_edited_and_taken_away(plane: ControlPlane, namespace: str) -> None:
    created = create(plane, namespace, good_resource())
    created["spec"] = minimal_resource()["spec"] | {"storage": {"uri": "s3://elsewhere/"}}
    stored = plane.rest.call("PUT", f"{folder(namespace)}/mnist?fieldValidation=Strict", created)
    assert stored["spec"] == created["spec"]


# --- What is shown ------------------------------------------------------------------------------------------------


def test_the_table_shows_what_serves_and_what_comes(plane: ControlPlane, namespace: str) -> None:
    create(plane, namespace, minimal_resource())
    write_status(plane, namespace, full_status().dump())
    table = get(plane, folder(namespace), TABLE)
    shown = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert [name.upper() for name in shown] == COLUMNS
    row = table["rows"][0]["cells"]
    assert row[:-1] == [
        "mnist",
        "True",
        "Training",
        3,
        4,
        "accuracy 0.981",
        "3/5",
        "http://mnist.vision.example",
    ]
    assert row[-1].endswith("s")


def test_the_table_of_a_resource_without_a_status_is_empty(plane: ControlPlane, namespace: str) -> None:
    create(plane, namespace, minimal_resource())
    row = get(plane, folder(namespace), TABLE)["rows"][0]["cells"]
    assert row[1:-1] == [None] * 7


def test_the_short_name_is_tas_and_the_status_a_subresource(plane: ControlPlane) -> None:
    resources = plane.rest.call("GET", "/apis/trainandserve.io/v1alpha1")["resources"]
    found = {resource["name"]: resource for resource in resources}
    assert found["trainandserves"]["shortNames"] == ["tas"]
    assert found["trainandserves"]["namespaced"] is True
    assert set(found) == {"trainandserves", "trainandserves/status"}


def test_the_published_definition_describes_every_field(plane: ControlPlane) -> None:
    published = plane.rest.call("GET", "/openapi/v3/apis/trainandserve.io/v1alpha1")
    schema = published["components"]["schemas"]["io.trainandserve.v1alpha1.TrainAndServe"]
    bare = [path for path, field in _fields(schema) if not field.get("description")]
    assert bare == []
    assert len(list(_fields(schema))) > 100


def _fields(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every field below, but not what Kubernetes itself says of ``metadata``."""
    found = []
    for name, field in schema.get("properties", {}).items():
        if (path, name) != ("", "metadata"):
            found += [(f"{path}.{name}", field), *_fields(field, f"{path}.{name}")]
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            found += _fields(schema[part], path)
    return found


def test_kubectl_explains_a_field(plane: ControlPlane) -> None:
    said = _kubectl(plane, "explain", "trainandserve.spec.training.timeout")
    assert "FIELD: timeout <string>" in said
    assert "Longest time for the train step" in " ".join(said.split())


def test_kubectl_finds_the_resource_by_its_short_name(plane: ControlPlane, namespace: str) -> None:
    create(plane, namespace, minimal_resource())
    write_status(plane, namespace, full_status().dump())
    header, row = _kubectl(plane, "get", "tas", "-n", namespace).splitlines()
    assert header.split() == COLUMNS
    assert row.split()[:5] == ["mnist", "True", "Training", "3", "4"]


def test_kubectl_waits_for_the_ready_condition(plane: ControlPlane, namespace: str) -> None:
    create(plane, namespace, minimal_resource())
    write_status(plane, namespace, full_status().dump())
    assert "condition met" in _kubectl(
        plane, "wait", "--for=condition=Ready", "tas/mnist", "-n", namespace, "--timeout=5s"
    )


def _kubectl(plane: ControlPlane, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["kubectl", f"--kubeconfig={plane.kubeconfig}", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("there is no kubectl on this machine")
    assert done.returncode == 0, done.stderr
    return done.stdout
