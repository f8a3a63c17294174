"""The parts of the stand-in that need nobody: lists, nodes, images, single processes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.kfp.answers import KfpError
from sandbox.kfp.execution import SubmittedRun
from sandbox.kfp.listing import page_of
from sandbox.kfp.nodes import WorkflowNodes, deadline_message, fnv32a
from sandbox.kfp.pipeline import Pipeline, read_pipeline
from sandbox.kfp.pods import PodRules
from sandbox.kfp.processes import StepProcess, StepResult, run_process
from tests.unit.sandbox_kfp.pipelines import two_tasks

FIELDS = {"name": "name", "created_at": "created_at"}


@dataclass(frozen=True)
class Thing:
    name: str
    created_at: str


THINGS = [Thing("b", "2026-01-02"), Thing("a", "2026-01-01"), Thing("ab", "2026-01-03")]


def names(**query: str) -> list[str]:
    return [row.name for row in page_of(THINGS, query, FIELDS).rows]


def predicate(operation: str, **value: Any) -> str:
    return json.dumps({"predicates": [{"operation": operation, "key": "name", **value}]})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["a", "b", "ab"]),
        ({"sort_by": "created_at desc"}, ["ab", "b", "a"]),
        ({"sort_by": "name"}, ["a", "ab", "b"]),
        ({"filter": predicate("EQUALS", string_value="a")}, ["a"]),
        ({"filter": predicate("EQUALS", stringValue="a")}, ["a"]),
        ({"filter": predicate("NOT_EQUALS", string_value="a")}, ["b", "ab"]),
        ({"filter": predicate("IS_SUBSTRING", string_value="b")}, ["b", "ab"]),
        ({"filter": predicate("IN", string_values={"values": ["a", "b"]})}, ["a", "b"]),
        ({"page_size": "2"}, ["a", "b"]),
    ],
)
def test_a_list_is_filtered_ordered_and_cut(query: dict[str, str], found: list[str]) -> None:
    assert names(**query) == found


def test_a_page_token_leads_to_the_rest() -> None:
    first = page_of(THINGS, {"page_size": "2"}, FIELDS)
    rest = page_of(THINGS, {"page_size": "2", "page_token": first.token}, FIELDS)

    assert ([row.name for row in rest.rows], rest.token, first.total) == (["ab"], "", 3)


@pytest.mark.parametrize("text", ["{", "[]", predicate("EQUALS"), predicate("LIKE", string_value="a")])
def test_a_filter_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(KfpError) as caught:
        names(filter=text)
    assert caught.value.code == 3


def test_node_ids_are_argos_hash_of_the_nodes_name() -> None:
    assert fnv32a("") == 0x811C9DC5
    assert fnv32a("a") == 0xE40C292C
    assert WorkflowNodes("wf").node_id("wf") == "wf"


def test_progress_counts_the_pods_known_so_far() -> None:
    nodes = WorkflowNodes("wf")
    nodes.start()
    seen = [nodes.progress]
    nodes.root_started()
    nodes.driver_started("train")
    seen.append(nodes.progress)
    nodes.executor_waits("train", 0)
    seen.append(nodes.progress)
    nodes.task_succeeded("train", 0)
    seen.append(nodes.progress)

    assert seen == ["0/1", "1/2", "2/3", "3/3"]


def test_a_deadlines_message_names_its_time_as_argo_does() -> None:
    said = deadline_message("2026-11-20T17:44:43Z")
    assert said == "retry exceeded workflow deadline 2026-11-20 17:44:43 +0000 UTC"


def test_a_secrets_name_may_be_a_parameter_of_the_pipeline() -> None:
    entry = {
        "secretNameParameter": {"componentInputParameter": "secret"},
        "keyToEnv": [{"secretKey": "k", "envVar": "V"}],
    }
    pipeline = read_pipeline(two_tasks(secretAsEnv=[entry]))

    (variable,) = pipeline.secret_variables("train", {"secret": "mine"})
    assert (variable.secret, variable.key, variable.name) == ("mine", "k", "V")


@pytest.mark.parametrize(
    ("known", "image", "blocked"),
    [
        ((), "registry.example/anything:1", False),
        (("registry.example/trainer",), "registry.example/trainer:1", False),
        (("registry.example/trainer",), "registry.example/typo:1", True),
    ],
)
async def test_only_known_images_can_be_pulled(known: tuple[str, ...], image: str, blocked: bool) -> None:
    documents = two_tasks(image=image)
    pipeline = Pipeline(documents["pipeline_spec"], documents["platform_spec"])
    run = SubmittedRun("id", "ns", pipeline, {}, "wf")

    assert (await PodRules(known).block(run, "train") is not None) is blocked


def step(folder: Path, code: str, timeout: float | None = None) -> StepProcess:
    return StepProcess((sys.executable, "-c", code), {"GIVEN": "yes"}, folder, folder / "log", timeout)


FAILING = "import os, sys; print('out', os.environ['GIVEN']); print('why', file=sys.stderr); print(file=sys.stderr); "


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("pass", StepResult(0, "", False)),
        (FAILING + "sys.exit(3)", StepResult(3, "why", False)),
        ("import os; os.kill(os.getpid(), 9)", StepResult(137, "", False)),
    ],
)
async def test_a_process_tells_its_exit_code_and_last_words(
    code: str, result: StepResult, tmp_path: Path
) -> None:
    assert await run_process(step(tmp_path, code)) == result


async def test_a_process_writes_both_streams_to_its_log(tmp_path: Path) -> None:
    await run_process(step(tmp_path, FAILING))

    assert (tmp_path / "log").read_text().split() == ["out", "yes", "why"]


async def test_a_process_over_its_time_is_ended(tmp_path: Path) -> None:
    result = await run_process(step(tmp_path, "import time; time.sleep(60)", timeout=0.3))

    assert result == StepResult(143, "", True)


async def test_a_command_that_is_not_there_fails_as_a_shell_says(tmp_path: Path) -> None:
    nothing = StepProcess(("/no/such/program",), {}, tmp_path, tmp_path / "log")

    result = await run_process(nothing)

    assert result.exit_code == 127
    assert "/no/such/program" in result.last_line
