"""`plan`: what comes next, and what a file would change, as the API server would take it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.builders import NOW, Situation, a_situation, seconds
from tests.unit.cli.standing import Shell, body
from trainandserve.cli.applying import LAST_APPLIED, application, three_way

BEFORE = {"spec": {"data": {"uri": "a", "secretName": "s"}, "suspend": True}}
AFTER = {"spec": {"data": {"uri": "b"}}}


def a_file(folder: Path, situation: Situation, **more: Any) -> Path:
    found = body(situation)
    document = {"apiVersion": found["apiVersion"], "kind": found["kind"], "spec": found["spec"]}
    document["metadata"] = {"name": "mnist", "namespace": "vision"}
    file = folder / "new.yaml"
    file.write_text(yaml.safe_dump(document | more))
    return file


def test_the_status_says_what_comes_next(shell: Shell) -> None:
    waiting = a_situation().with_run("Failed", 1, failures=1, finished_at=NOW + seconds(230)).after()
    shell.cluster.bodies["mnist"] = body(waiting)
    answer = shell("plan", "mnist")
    assert answer.code == 0
    assert "again, attempt 1 ended as Failed (in 20s)" in " ".join(answer.out.split())
    assert json.loads(shell("plan", "mnist", "-o", "json").out)["steps"][0]["action"] == "Train"


def test_a_resource_that_the_operator_has_not_seen_has_no_plan_yet(shell: Shell) -> None:
    del shell.cluster.bodies["mnist"]["status"]["plan"]
    assert shell("plan", "mnist").code == 5


def test_a_file_is_compared_with_the_live_object_and_nothing_is_written(shell: Shell, tmp_path: Path) -> None:
    file = a_file(tmp_path, a_situation(training={"parameters": {"epochs": 7}}))
    answer = shell("plan", "-f", str(file))
    assert answer.code == 0 and shell.cluster.writes == []
    words = " ".join(answer.out.split())
    assert "training.parameters.epochs absent → 7 trains a new version" in words
    assert "trains version 4 is trained" in words
    assert [
        step["action"]
        for step in json.loads(shell("plan", "-f", str(file), "-o", "json").out)["plan"]["steps"]
    ] == [
        "Train",
        "Judge",
        "RollOut",
    ]


def test_a_file_for_another_namespace_than_was_said_is_refused(shell: Shell, tmp_path: Path) -> None:
    answer = shell("plan", "-f", str(a_file(tmp_path, a_situation())), "-n", "other")
    assert answer.code == 2 and "vision" in answer.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "new.yaml"),
        ("kind: Secret", "it has 0"),
        ("kind: TrainAndServe\n---\nkind: TrainAndServe", "it has 2"),
        ("kind: TrainAndServe\napiVersion: other/v1", "write apiVersion"),
    ],
)
def test_a_file_without_one_resource_is_refused(shell: Shell, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(text)
    answer = shell("plan", "-f", str(file))
    assert answer.code == 2 and said in answer.err


def test_a_name_or_a_file_is_asked_for(shell: Shell) -> None:
    assert shell("plan").code == 2
    assert shell("plan", "mnist", "-f", "x").code == 2


# --- The same apply -----------------------------------------------------------------------------------------------


def test_what_kubectl_applied_is_merged_by_its_annotation() -> None:
    live = BEFORE | {"metadata": {"annotations": {LAST_APPLIED: json.dumps(BEFORE)}}}
    found = application(AFTER, live)
    assert found.manager is None
    assert found.body == {"spec": {"data": {"uri": "b", "secretName": None}, "suspend": None}}


def test_what_was_applied_on_the_server_s_side_is_applied_as_the_same_manager() -> None:
    entries = [
        {"manager": "kubectl-tas", "operation": "Update", "fieldsV1": {"f:spec": {}}},
        {"manager": "trainandserve", "operation": "Apply", "fieldsV1": {"f:status": {}}},
        {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {}}},
    ]
    found = application(AFTER, BEFORE | {"metadata": {"managedFields": entries}})
    assert (found.manager, found.body) == ("kustomize-controller", AFTER)


def test_what_was_created_and_never_applied_keeps_what_the_file_does_not_say() -> None:
    assert application(AFTER, BEFORE | {"metadata": {}}).manager is None
    assert application(AFTER, BEFORE).body == AFTER
    assert application(AFTER, None).manager == "kubectl"


def test_a_list_is_taken_whole() -> None:
    assert three_way({"a": [1, 2]}, {"a": [2]}) == {"a": [2]}
