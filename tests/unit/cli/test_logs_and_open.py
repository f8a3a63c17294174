"""`logs` reads the step that matters; `open` says where things are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.builders import Situation, a_situation, run_id
from tests.unit.cli.standing import Shell, body

RUN = run_id(4)


def pod(
    step: str, name: str = "", *, created: int = 0, exit_code: int | None = None, **status: Any
) -> dict[str, Any]:
    """A pod of the run, as Argo makes it."""
    node = f"run.root.{step}.executor(0)" if not step.endswith("-driver") else f"run.root.{step}"
    if exit_code is not None:
        ended = {"exitCode": exit_code, "message": "it ran out of memory"}
        status["containerStatuses"] = [{"name": "main", "state": {"terminated": ended}}]
    metadata = {
        "name": name or step,
        "creationTimestamp": f"2026-11-20T12:00:{created:02}Z",
        "annotations": {"workflows.argoproj.io/node-name": node},
    }
    return {"metadata": metadata, "status": status}


def with_run(shell: Shell, situation: Situation, *pods: dict[str, Any], namespace: str = "vision") -> None:
    shell.cluster.bodies["mnist"] = body(situation)
    shell.cluster.others[f"/api/v1/namespaces/{namespace}/pods", f"pipeline/runid={RUN}"] = list(pods)
    for one in pods:
        name = one["metadata"]["name"]
        shell.cluster.texts[f"/api/v1/namespaces/{namespace}/pods/{name}/log"] = f"words of {name}\nmore"


DONE = pod("download", created=1, exit_code=0)
UNDER_WAY = a_situation().with_run("Running", 4, step="train", progress="1/4")
FAILED = a_situation().with_run("Failed", 4, failures=1)


@pytest.mark.parametrize(
    ("situation", "pods", "arguments", "read"),
    [
        (UNDER_WAY, [DONE, pod("train", created=2), pod("train-driver", created=3)], (), "train"),
        (FAILED, [DONE, pod("train", created=2, exit_code=1)], (), "train"),
        (FAILED, [DONE, pod("train", "first", created=2, exit_code=1), pod("train", "second", created=3, exit_code=1)], (), "second"),
        (UNDER_WAY, [DONE, pod("train", "first", created=2, exit_code=1), pod("train", "again", created=3)], (), "again"),
        (FAILED, [pod("evaluate", created=2, exit_code=1), pod("export", created=3, exit_code=0)], (), "evaluate"),
        (UNDER_WAY, [DONE, pod("train", created=2)], ("--step", "download"), "download"),
        (a_situation().with_run("Succeeded", 4), [DONE, pod("export", created=5, exit_code=0)], (), "export"),
    ],
    ids=["under way", "failed", "the newest try", "tried again", "failing, not newest", "asked for", "the last"],
)  # fmt: skip
def test_the_step_that_matters_is_read(
    shell: Shell, situation: Situation, pods: list[Any], arguments: tuple[str, ...], read: str
) -> None:
    with_run(shell, situation, *pods)
    answer = shell("logs", "mnist", *arguments)
    assert answer.code == 0
    assert answer.out == f"words of {read}\nmore\n"
    assert f"pod vision/{read}" in answer.err


def test_single_user_runs_are_found_where_kubeflow_pipelines_is(shell: Shell) -> None:
    with_run(shell, UNDER_WAY, pod("train"), namespace="kubeflow")
    assert "pod kubeflow/train" in shell("logs", "mnist").err
    assert shell("logs", "mnist", "--run-namespace", "other").code == 5


def test_how_much_is_passed_on(shell: Shell) -> None:
    with_run(shell, UNDER_WAY, pod("train"))
    shell("logs", "mnist", "-f", "--tail", "5")
    assert shell.cluster.queries == [{"container": "main", "follow": "true", "tailLines": "5"}]


def test_where_a_log_cannot_be_read_its_pod_says_what_is_known(shell: Shell) -> None:
    stuck = {
        "containerStatuses": [
            {"name": "main", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
        ]
    }
    with_run(shell, UNDER_WAY, pod("train", **stuck))
    shell.cluster.texts.clear()
    answer = shell("logs", "mnist")
    assert answer.code == 0 and answer.out == "main: ErrImagePull: no such image\n"
    assert "cannot be read" in answer.err


def test_of_a_pod_that_waits_for_a_node_it_is_said_why(shell: Shell) -> None:
    unschedulable = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "no GPU",
    }
    with_run(shell, UNDER_WAY, pod("train", conditions=[unschedulable]))
    shell.cluster.texts = dict.fromkeys(shell.cluster.texts, "")  # what the API server answers
    answer = shell("logs", "mnist")
    assert answer.code == 0 and answer.out == "the pod: Unschedulable: no GPU\n"
    assert "no node runs the pod" in answer.err

    with_run(shell, UNDER_WAY, pod("train"))
    shell.cluster.texts = dict.fromkeys(shell.cluster.texts, "")
    answer = shell("logs", "mnist")
    assert answer.code == 5 and answer.out == "" and "no node runs the pod" in answer.err


@pytest.mark.parametrize(
    ("situation", "pods", "said"),
    [
        (a_situation(), [], "has had no run yet"),
        (FAILED, [], "no pods of run"),
        (UNDER_WAY, [pod("train-driver")], "have not started yet"),
        (UNDER_WAY, [pod("train")], "there are: train"),
    ],
)
def test_without_a_pod_it_is_said_why(shell: Shell, situation: Situation, pods: list[Any], said: str) -> None:
    with_run(shell, situation, *pods)
    arguments = ("--step", "export") if "there are" in said else ()
    answer = shell("logs", "mnist", *arguments)
    assert answer.code == 5 and said in answer.err


# --- open ---------------------------------------------------------------------------------------------------------


def test_the_addresses_are_printed(shell: Shell) -> None:
    status = shell.cluster.bodies["mnist"]["status"]
    status["run"]["url"] = "http://kfp.example/#/runs/details/1"
    status["served"]["url"] = "http://mnist.vision.example"
    found = json.loads(shell("open", "mnist", "-o", "json").out)
    assert found["run"] == "http://kfp.example/#/runs/details/1"
    assert found["model"] == "http://mnist.vision.example"
    assert found["report"] == f"s3://models/vision/mnist/3-{run_id(3)[:8]}/report.html"
    assert (
        shell("open", "mnist", "report", "--version", "2").out
        == f"s3://models/vision/mnist/2-{run_id(2)[:8]}/report.html\n"
    )


def test_a_browser_is_given_pages_and_nothing_else(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", lambda url: opened.append(url) or 0)
    shell.cluster.bodies["mnist"]["status"]["run"]["url"] = "http://kfp.example/run"
    assert shell("open", "mnist", "run", "--browser").code == 0
    assert shell("open", "mnist", "report", "--browser").code == 2
    assert shell("open", "mnist", "--browser").code == 2
    assert opened == ["http://kfp.example/run"]


def test_what_is_not_there_yet_is_said(shell: Shell) -> None:
    answer = shell("open", "mnist", "run")
    assert answer.code == 5 and "TAS_KFP_UI_URL" in answer.err
    assert shell("open", "mnist", "report", "--version", "9").code == 5
