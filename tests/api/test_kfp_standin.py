"""The KFP stand-in held to what a real server was seen to do, on a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.controlplane.rest import RestError
from sandbox.kfp import (
    Fault,
    KfpServer,
    Pace,
    PodRules,
    Report,
    ScriptedExecution,
    StepFailed,
    SubmittedRun,
    TaskEvent,
)
from tests.unit.sandbox_kfp.pipelines import Client, changed, run_body, states, two_tasks, until, without

pytestmark = pytest.mark.slow  # what the sandbox is made of; the tests of the operator use it too

Started = Callable[..., AbstractAsyncContextManager[tuple[KfpServer, Client]]]
UNKNOWN = "99999999-9999-9999-9999-999999999999"


@dataclass
class World:
    """What of a namespace tests look at."""

    plane: Any
    namespace: str

    def list(self, path: str) -> list[dict[str, Any]]:
        return list(self.plane.rest.call("GET", f"{path}")["items"])

    def workflows(self, run_id: str | None = None) -> list[dict[str, Any]]:
        found = self.list(f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/workflows")
        return [w for w in found if run_id in (None, w["metadata"]["labels"]["pipeline/runid"])]

    def pods(self) -> list[dict[str, Any]]:
        return self.list(f"/api/v1/namespaces/{self.namespace}/pods")

    def delete_workflow(self, name: str) -> None:
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/workflows/{name}"
        self.plane.rest.call("DELETE", path)

    def create(self, plural: str, body: dict[str, Any]) -> None:
        self.plane.rest.call("POST", f"/api/v1/namespaces/{self.namespace}/{plural}", body)


@pytest.fixture
def world(plane: Any, namespace: str) -> World:
    return World(plane, namespace)


@pytest.fixture
def started(plane: Any, namespace: str) -> Started:
    @asynccontextmanager
    async def start(script: Any = None, **options: Any) -> AsyncIterator[tuple[KfpServer, Client]]:
        execution = ScriptedExecution(script) if script else ScriptedExecution()
        options = {
            "report_seconds": 0.02,
            "pace": Pace(stop=0.02, pod_poll=0.02),
            "execution": execution,
        } | options
        async with (
            KfpServer(plane.kubeconfig, namespace, **options) as server,
            aiohttp.ClientSession() as session,
        ):
            yield server, Client(server.url, session)

    return start


async def endless(submitted: SubmittedRun, report: Report) -> None:
    """Runs its first task until it is stopped."""
    await report(TaskEvent(next(iter(submitted.pipeline.tasks)), "Started"))
    await asyncio.Event().wait()


async def fails_in_train(submitted: SubmittedRun, report: Report) -> None:
    if "prep" not in submitted.finished_tasks:
        await report(TaskEvent("prep", "Started"))
        await report(TaskEvent("prep", "Succeeded"))
    await report(TaskEvent("train", "Started"))
    raise StepFailed("train", 1, "ValueError: no data at all")


@dataclass(frozen=True)
class Row:
    """A request to POST /runs, the answer, and how many Workflows are there afterwards."""

    name: str
    status: int
    code: int | None
    says: str
    workflows: int
    fields: dict[str, Any] = field(default_factory=dict)
    body: Any = None

    def __str__(self) -> str:
        return self.name


def spec_with(value: Any, *path: str) -> dict[str, Any]:
    return {"pipeline_spec": changed(two_tasks(), value, "pipeline_spec", *path)}


def parameters(**given: Any) -> dict[str, Any]:
    return {"runtime_config": {"parameters": given}}


NO_NUMBER = "input parameter n requires type double or integer"
REFUSALS = [
    Row("malformed JSON", 400, 3, "invalid character 'n'", 0, body="{nope"),
    Row("an unknown field of the body", 400, 3, 'unknown field "bogus"', 0, {"bogus": 1}),
    Row("two sources", 400, 3, "oneof", 0, {"pipeline_version_reference": {"pipeline_id": UNKNOWN}}),
    Row("an empty name", 500, 13, "Run name cannot be empty", 0, {"display_name": ""}),
    Row("no pipeline", 500, 13, "empty pipeline spec manifest", 0, {"pipeline_spec": None}),
    Row(
        "another schema version",
        500,
        13,
        "KFP only supports schema version 2.1.0",
        0,
        spec_with("9.9.9", "schemaVersion"),
    ),
    Row("an unknown field of the pipeline", 500, 13, "unknown template format", 0, spec_with(1, "bogus")),
    Row(
        "a pipeline without root",
        500,
        13,
        "unknown template format",
        0,
        {"pipeline_spec": without(two_tasks(), "pipeline_spec", "root")},
    ),
    Row(
        "a task of no component",
        500,
        13,
        'cannot find component ref name="nope"',
        0,
        spec_with({"name": "nope"}, "root", "dag", "tasks", "prep", "componentRef"),
    ),
    Row(
        "an unknown pipeline version",
        500,
        13,
        f"PipelineVersion {UNKNOWN} not found",
        0,
        {
            "pipeline_spec": None,
            "pipeline_version_reference": {"pipeline_id": UNKNOWN, "pipeline_version_id": UNKNOWN},
        },
    ),
    Row("a missing parameter", 400, 3, "parameter n is not optional", 0, parameters(lr=1)),
    Row("a text for a number", 400, 3, NO_NUMBER, 0, parameters(n="abc")),
    Row("digits for a number", 400, 3, NO_NUMBER, 0, parameters(n="7")),
    Row("an unknown parameter", 400, 3, "not required by pipeline: zzz", 0, parameters(n=3, zzz=1)),
    Row("an unknown experiment", 404, 5, f"Experiment {UNKNOWN} not found", 0, {"experiment_id": UNKNOWN}),
    Row("a run id too long for a label", 500, 13, "must be no more than 63", 0, {"run_id": "x" * 70}),
    Row("a run id that is no label value", 500, 13, "a valid label must", 0, {"run_id": "bad id/é"}),
    Row("a name over 255 letters", 500, 13, "Data too long for column", 1, {"display_name": "d" * 256}),
    Row("a name of 128 letters", 200, None, "", 1, {"display_name": "d" * 128}),
    Row("a run id that is no UUID", 200, None, "", 1, {"run_id": "not-a-uuid"}),
    Row("a fraction for an integer", 200, None, "", 1, parameters(n=1.5)),
]


@pytest.mark.parametrize("row", REFUSALS, ids=str)
async def test_a_run_is_answered_as_the_real_server_answers(row: Row, started: Started, world: World) -> None:
    async with started() as (_, client):
        status, body = await client.call("POST", "/runs", row.body or run_body(**row.fields))

        assert (status, body.get("code")) == (row.status, row.code), body
        assert row.says in body.get("message", ""), body
        assert len(world.workflows()) == row.workflows


OTHERS = [
    ("GET", f"/runs/{UNKNOWN}", 404, 5, f"Run {UNKNOWN} not found"),
    ("DELETE", f"/runs/{UNKNOWN}", 404, 5, "as it does not exist"),
    ("POST", f"/runs/{UNKNOWN}:terminate", 404, 5, "due to error fetching the run"),
    ("GET", f"/experiments/{UNKNOWN}", 404, 5, f"Experiment {UNKNOWN} not found"),
    ("DELETE", f"/experiments/{UNKNOWN}", 404, 5, f"Experiment {UNKNOWN} not found"),
    ("GET", "/runs?page_size=-1", 400, 3, "The page size should be greater than 0. Got -1"),
    ("GET", "/runs?page_token=zzz", 400, 3, "Invalid page token"),
    ("GET", f"/runs?experiment_id={UNKNOWN}", 404, 5, f"Experiment {UNKNOWN} not found"),
]


@pytest.mark.parametrize(("method", "path", "status", "code", "says"), OTHERS)
async def test_what_is_not_there_is_refused_in_the_servers_words(
    method: str, path: str, status: int, code: int, says: str, started: Started
) -> None:
    async with started() as (_, client):
        answered, body = await client.call(method, path)

        assert (answered, body["code"]) == (status, code)
        assert says in body["message"]
        assert body["details"][0]["code"] == code


async def test_a_run_succeeds_and_its_workflow_looks_like_one_of_kfp(started: Started, world: World) -> None:
    async with started() as (_, client):
        run_id = await client.submit(run_id="11111111-2222-3333-4444-555555555555", description="d")
        run = await client.ends(run_id)
        await until(lambda: "pipeline/persistedFinalState" in world.workflows()[0]["metadata"]["labels"])
        workflow = world.workflows()[0]

    assert run_id == "11111111-2222-3333-4444-555555555555"
    assert run["state"] == "SUCCEEDED"
    assert states(run)[0], states(run)[-1] == ("PENDING", "SUCCEEDED")
    assert run["service_account"] == "pipeline-runner"
    assert run["pipeline_spec"] == two_tasks()
    assert "error" not in run
    metadata, status = workflow["metadata"], workflow["status"]
    assert metadata["name"].startswith("two-tasks-")
    assert metadata["annotations"]["pipelines.kubeflow.org/run_name"] == "a run"
    assert metadata["labels"] == {
        "pipeline/runid": run_id,
        "pipeline/persistedFinalState": "true",
        "workflows.argoproj.io/phase": "Succeeded",
        "workflows.argoproj.io/completed": "true",
    }
    assert (status["phase"], status["progress"]) == ("Succeeded", "5/5")
    shown = sorted((node["displayName"], node["type"]) for node in status["nodes"].values())
    name = metadata["name"]
    assert shown == sorted(
        [
            (name, "Retry"),
            (f"{name}(0)", "DAG"),
            ("root", "Retry"),
            ("root(0)", "DAG"),
            ("root-driver", "Retry"),
            ("root-driver(0)", "Pod"),
            ("executor", "Retry"),
            ("executor", "Retry"),
            ("prep", "Retry"),
            ("prep(0)", "DAG"),
            ("prep-driver", "Retry"),
            ("prep-driver(0)", "Pod"),
            ("train", "Retry"),
            ("train(0)", "DAG"),
            ("train-driver", "Retry"),
            ("train-driver(0)", "Pod"),
            ("executor(0)", "Pod"),
            ("executor(0)", "Pod"),
        ]
    )
    tasks = {task["display_name"]: task for task in run["run_details"]["task_details"]}
    assert tasks["train(0)"]["state"] == "SUCCEEDED"


async def test_times_that_are_not_known_yet_are_the_epoch(started: Started) -> None:
    async with started(endless) as (_, client):
        run_id = await client.submit()
        run: dict[str, Any] = {}

        async def details() -> dict[str, Any]:
            run.update(await client.run(run_id))
            tasks = run.get("run_details", {}).get("task_details", [])
            return {task["display_name"]: task for task in tasks if task["display_name"] == "root"}

        root = (await until(details))["root"]

    assert run["finished_at"] == "1970-01-01T00:00:00Z"
    assert root["end_time"] == "0001-01-01T00:00:00Z"


async def test_a_failing_step_shows_in_nodes_and_pods_and_nowhere_in_the_run(
    started: Started, world: World
) -> None:
    async with started(fails_in_train) as (_, client):
        run = await client.ends(await client.submit())
        workflow = world.workflows()[0]
        pods = {
            pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"]: pod for pod in world.pods()
        }

    assert run["state"] == "FAILED"
    assert "no data" not in json.dumps(run)
    messages = [n.get("message") for n in workflow["status"]["nodes"].values() if n["phase"] == "Failed"]
    assert "main: Error (exit code 1)" in messages
    assert workflow["status"]["progress"] == "4/5"
    train = next(pod for name, pod in pods.items() if ".train(0)." in name)
    assert train["metadata"]["labels"]["pipeline/runid"] == run["run_id"]
    assert train["status"]["phase"] == "Failed"
    ended = train["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (1, "ValueError: no data at all")


async def test_a_second_post_of_an_id_is_500_and_its_workflow_rewrites_the_finished_run(
    started: Started, world: World
) -> None:
    async with started() as (_server, client):
        run_id = await client.submit(run_id="twice")
        assert (await client.ends(run_id))["state"] == "SUCCEEDED"

        status, body = await client.call("POST", "/runs", run_body(run_id="twice"))
        run = await client.ends(run_id, "FAILED")

        assert (status, body["code"]) == (500, 13)
        assert "Duplicate entry 'twice' for key 'PRIMARY'" in body["message"]
        assert len(world.workflows("twice")) == 2
        assert states(run)[-1] == "FAILED"
        assert "SUCCEEDED" in states(run)
        status, _ = await client.call("DELETE", "/runs/twice")
        assert status == 200
        assert len(world.workflows("twice")) == 1


def phase(workflow: dict[str, Any]) -> str | None:
    """Its phase; None before anybody has written its status."""
    found: str | None = (workflow.get("status") or {}).get("phase")
    return found


async def test_of_three_posts_of_one_id_at_once_all_workflows_fail(started: Started, world: World) -> None:
    async def slow(submitted: SubmittedRun, report: Report) -> None:
        await report(TaskEvent("prep", "Started"))
        await until(lambda: len(world.workflows("race")) == 3)
        await report(TaskEvent("prep", "Succeeded"))

    async with started(slow) as (_, client):
        answers = await asyncio.gather(
            *(client.call("POST", "/runs", run_body(run_id="race")) for _ in range(3))
        )

        assert sorted(status for status, _ in answers) == [200, 500, 500]
        await until(lambda: [phase(w) for w in world.workflows("race")] == ["Failed"] * 3)
        assert (await client.ends("race"))["state"] == "FAILED"


async def test_an_id_is_free_again_after_its_run_was_deleted(started: Started, world: World) -> None:
    async with started(endless) as (_server, client):
        await client.ends(await client.submit(run_id="again"), "RUNNING")
        assert (await client.call("DELETE", "/runs/again")) == (200, {})
        assert (await client.call("GET", "/runs/again"))[0] == 404
        await until(lambda: not world.workflows() and not world.pods())

        await client.ends(await client.submit(run_id="again"), "RUNNING")
        assert len(world.workflows("again")) == 1


async def test_a_terminated_run_is_canceling_and_then_failed(started: Started, world: World) -> None:
    async with started(endless) as (_, client):
        run_id = await client.submit()
        await client.ends(run_id, "RUNNING")

        assert await client.call("POST", f"/runs/{run_id}:terminate") == (200, {})
        assert await client.state(run_id) in ("CANCELING", "FAILED")
        run = await client.ends(run_id)
        workflow = world.workflows()[0]
        status, body = await client.call("POST", f"/runs/{run_id}:terminate")

    assert run["state"] == "FAILED"
    assert workflow["spec"]["activeDeadlineSeconds"] == 0
    assert workflow["status"]["message"].startswith("retry exceeded workflow deadline 20")
    assert (status, body["code"]) == (400, 3)
    assert "Row not found" in body["message"]


async def test_while_a_run_is_being_stopped_it_says_canceling(started: Started) -> None:
    async with started(endless, pace=Pace(stop=0.5)) as (_, client):
        run_id = await client.submit()
        await client.ends(run_id, "RUNNING")
        await client.call("POST", f"/runs/{run_id}:terminate")

        assert await client.state(run_id) == "CANCELING"
        run = await client.ends(run_id)

    assert states(run)[-2:] == ["CANCELING", "FAILED"]


async def test_a_deadline_set_by_anybody_ends_the_workflow_as_failed(started: Started, world: World) -> None:
    async with started(endless) as (_, client):
        run_id = await client.submit()
        await client.ends(run_id, "RUNNING")
        name = world.workflows()[0]["metadata"]["name"]
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{world.namespace}/workflows/{name}"
        world.plane.rest.call(
            "PATCH", path, {"spec": {"activeDeadlineSeconds": 0}}, content_type="application/merge-patch+json"
        )

        assert (await client.ends(run_id))["state"] == "FAILED"


async def test_a_run_whose_workflow_was_deleted_runs_for_ever_and_then_cancels_for_ever(
    started: Started, world: World
) -> None:
    stopped = asyncio.Event()

    async def watched(submitted: SubmittedRun, report: Report) -> None:
        try:
            await endless(submitted, report)
        finally:
            stopped.set()

    async with started(watched) as (_, client):
        run_id = await client.submit()
        await client.ends(run_id, "RUNNING")
        await until(world.pods)
        world.delete_workflow(world.workflows()[0]["metadata"]["name"])
        await asyncio.wait_for(stopped.wait(), 60)
        await until(lambda: not world.pods())

        assert await client.state(run_id) == "RUNNING"
        status, body = await client.call("POST", f"/runs/{run_id}:terminate")
        assert (status, body["code"]) == (500, 13)
        assert "due to patching error" in body["message"]
        assert "not found" in body["message"]
        assert await client.state(run_id) == "CANCELING"
        assert (await client.call("POST", f"/runs/{run_id}:retry"))[0] == 409
        assert (await client.call("DELETE", f"/runs/{run_id}"))[0] == 200
        assert (await client.call("GET", f"/runs/{run_id}"))[0] == 404


async def test_a_retry_runs_only_what_failed_in_the_same_workflow(started: Started, world: World) -> None:
    attempts: list[frozenset[str]] = []

    async def second_time_lucky(submitted: SubmittedRun, report: Report) -> None:
        attempts.append(submitted.finished_tasks)
        if len(attempts) == 1:
            await fails_in_train(submitted, report)
        await report(TaskEvent("train", "Started"))
        await report(TaskEvent("train", "Succeeded"))

    async with started(second_time_lucky) as (_, client):
        run_id = await client.submit()
        await client.ends(run_id, "FAILED")
        name = world.workflows()[0]["metadata"]["name"]

        assert (await client.call("POST", f"/runs/{run_id}:retry")) == (200, {})
        run = await client.ends(run_id, "SUCCEEDED")
        workflows = world.workflows()
        status, body = await client.call("POST", f"/runs/{run_id}:retry")

    assert attempts == [frozenset(), frozenset({"prep"})]
    assert [workflow["metadata"]["name"] for workflow in workflows] == [name]
    assert workflows[0]["status"]["progress"] == "5/5"
    assert states(run)[-3:] == ["FAILED", "RUNNING", "SUCCEEDED"]
    assert (status, body["code"]) == (409, 10)
    assert "Workflow must be Failed/Error to retry" in body["message"]


async def test_a_retry_makes_a_deleted_workflow_again_under_its_name(started: Started, world: World) -> None:
    async with started(fails_in_train) as (_, client):
        run_id = await client.submit()
        await client.ends(run_id)
        name = world.workflows()[0]["metadata"]["name"]
        world.delete_workflow(name)

        assert (await client.call("POST", f"/runs/{run_id}:retry"))[0] == 200
        assert [workflow["metadata"]["name"] for workflow in world.workflows()] == [name]


async def test_an_unknown_service_account_fails_within_a_second_for_a_reason_in_the_nodes_only(
    started: Started, world: World
) -> None:
    async with started() as (_, client):
        run = await client.ends(await client.submit(service_account="nope"))
        nodes = world.workflows()[0]["status"]["nodes"].values()

    assert run["state"] == "FAILED"
    assert any('serviceaccount "nope" not found' in (node.get("message") or "") for node in nodes)
    assert "serviceaccount" not in json.dumps(run)


BLOCKS = [
    ("ImagePullBackOff", {"image": "registry.example/typo:1"}, {}),
    (
        "CreateContainerConfigError",
        {},
        {"secretAsEnv": [{"secretName": "none", "keyToEnv": [{"secretKey": "a", "envVar": "A"}]}]},
    ),
    ("Unschedulable", {}, {"nodeSelector": {"labels": {"gpu": "yes"}}}),
]


@pytest.mark.parametrize(("reason", "spec", "platform"), BLOCKS)
async def test_a_pod_that_cannot_run_leaves_the_run_running(
    reason: str, spec: dict[str, str], platform: dict[str, Any], started: Started, world: World
) -> None:
    rules = PodRules(("registry.example/trainer",), {"zone": "a"})
    async with started(rules=rules) as (_, client):
        run_id = await client.submit(pipeline_spec=two_tasks(**spec, **platform))

        def node() -> dict[str, Any] | None:
            nodes = (world.workflows()[0].get("status") or {}).get("nodes", {}).values()
            waiting = [n for n in nodes if reason in (n.get("message") or "")]
            return waiting[0] if waiting else None

        found = await until(node)
        pod = next(p for p in world.pods() if p["status"]["phase"] == "Pending")
        await client.ends(run_id, "RUNNING")
        await client.call("POST", f"/runs/{run_id}:terminate")
        assert (await client.ends(run_id))["state"] == "FAILED"

    assert found["phase"] == "Pending"
    if reason == "Unschedulable":
        condition = next(c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    else:
        assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason


async def test_a_step_starts_once_its_secret_is_there(started: Started, world: World) -> None:
    wanted = {"secretAsEnv": [{"secretName": "late", "keyToEnv": [{"secretKey": "a", "envVar": "A"}]}]}
    async with started() as (_, client):
        run_id = await client.submit(pipeline_spec=two_tasks(**wanted))
        await until(lambda: any("late" in json.dumps(pod["status"]) for pod in world.pods()))
        world.create("secrets", {"metadata": {"name": "late"}, "stringData": {"a": "x"}})

        assert (await client.ends(run_id))["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("when", "row", "workflows"), [("before", 404, 0), ("between", 404, 1), ("after", 200, 1)]
)
async def test_a_lost_answer_to_a_post_tells_nothing_about_what_happened(
    when: Any, row: int, workflows: int, started: Started, world: World
) -> None:
    async with started(endless) as (server, client):
        server.faults.add(Fault("POST", "/runs$", when=when, answer="reset"))
        with pytest.raises(aiohttp.ClientError):
            await client.call("POST", "/runs", run_body(run_id="lost"))

        assert (await client.call("GET", "/runs/lost"))[0] == row
        assert len(world.workflows("lost")) == workflows
        assert server.requests[0] == ("POST", "/apis/v2beta1/runs", 0)


async def test_a_client_that_leaves_before_the_row_is_stored_leaves_an_orphan(
    started: Started, world: World
) -> None:
    async with started(commit_seconds=0.5, orphan_seconds=0) as (_, client):
        post = asyncio.create_task(client.call("POST", "/runs", run_body(run_id="orphan")))
        await until(lambda: world.workflows("orphan"))
        post.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await post
        await until(lambda: not world.workflows("orphan"))

        assert (await client.call("GET", "/runs/orphan"))[0] == 404


async def test_a_gateway_may_answer_in_place_of_the_server(started: Started) -> None:
    async with started() as (server, client):
        server.faults.add(Fault("GET", "/runs/", answer=503, times=1))
        async with client.session.get(f"{server.url}/apis/v2beta1/runs/x") as response:
            assert (response.status, response.content_type) == (503, "text/html")
        server.faults.down = True
        with pytest.raises(aiohttp.ClientError):
            await client.call("GET", "/healthz")
        server.faults.down = False
        assert (await client.call("GET", "/healthz"))[1]["multi_user"] is False


async def test_rows_freeze_while_the_persistence_agent_is_down(started: Started, world: World) -> None:
    async with started() as (server, client):
        server.agent.paused = True
        run_id = await client.submit()
        await until(lambda: (world.workflows()[0].get("status") or {}).get("phase") == "Succeeded")
        assert await client.state(run_id) == "PENDING"
        server.agent.paused = False

        assert states(await client.ends(run_id)) == ["PENDING", "SUCCEEDED"]


async def test_a_restarted_standin_knows_its_runs_and_fails_those_it_left(
    started: Started, world: World, tmp_path: Any
) -> None:
    file = tmp_path / "kfp.sqlite"
    async with started(endless, database=file) as (_, client):
        run_id = await client.submit()
        await client.ends(run_id, "RUNNING")
    assert world.workflows()[0]["status"]["phase"] == "Running"

    async with started(database=file) as (_, client):
        assert (await client.ends(run_id))["state"] == "FAILED"
    assert world.workflows()[0]["status"]["phase"] == "Error"


async def test_runs_are_listed_by_filter_and_by_page(started: Started) -> None:
    def named(key: str, value: str, operation: str = "EQUALS") -> str:
        return json.dumps({"predicates": [{"operation": operation, "key": key, "string_value": value}]})

    async with started() as (_, client):
        for number in range(3):
            await client.submit(display_name=f"run-{number}", run_id=f"id-{number}")

        async def names(**query: Any) -> list[str]:
            return [
                run["display_name"] for run in (await client.call("GET", "/runs", **query))[1].get("runs", [])
            ]

        assert await names(filter=named("name", "run-1")) == ["run-1"]
        assert await names(filter=named("display_name", "run-2")) == ["run-2"]
        assert await names(filter=named("run_id", "id-0")) == ["run-0"]
        assert await names(filter=named("name", "run-", "IS_SUBSTRING")) == ["run-0", "run-1", "run-2"]
        assert (await client.call("GET", "/runs", filter=named("namespace", "kubeflow"))) == (200, {})
        status, body = await client.call("GET", "/runs", filter=named("bogus", "x"))
        assert (status, body["code"]) == (400, 3)
        _, first = await client.call("GET", "/runs", page_size=2)
        assert (len(first["runs"]), first["total_size"]) == (2, 3)
        assert await names(page_size=2, page_token=first["next_page_token"]) == ["run-2"]


async def test_an_archived_run_says_so_until_it_is_unarchived(started: Started) -> None:
    async with started() as (_, client):
        run_id = await client.submit()
        for verb, state in (("archive", "ARCHIVED"), ("unarchive", "AVAILABLE")):
            assert await client.call("POST", f"/runs/{run_id}:{verb}") == (200, {})
            assert (await client.run(run_id))["storage_state"] == state


async def test_experiments_have_one_name_each_and_runs_without_one_get_the_default(started: Started) -> None:
    async with started() as (_, client):
        status, made = await client.call("POST", "/experiments", {"display_name": "exp", "description": "d"})
        again, body = await client.call("POST", "/experiments", {"display_name": "exp"})
        nameless, _ = await client.call("POST", "/experiments", {"description": "x"})
        run = await client.run(await client.submit())
        other = await client.run(await client.submit(experiment_id=made["experiment_id"]))
        _, listed = await client.call("GET", "/experiments")

    assert (status, again, body["code"], nameless) == (200, 409, 6, 500)
    names = {e["experiment_id"]: e["display_name"] for e in listed["experiments"]}
    assert names[run["experiment_id"]] == "Default"
    assert names[other["experiment_id"]] == "exp"


ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "runner"},
    "rules": [
        {"apiGroups": ["pipelines.kubeflow.org"], "resources": ["runs", "experiments"], "verbs": ["*"]}
    ],
}


def token_of(world: World, account: str, audience: str) -> str:
    """A service account and a token of it."""
    with contextlib.suppress(RestError):
        world.create("serviceaccounts", {"metadata": {"name": account}})
    path = f"/api/v1/namespaces/{world.namespace}/serviceaccounts/{account}/token"
    body = {"spec": {"audiences": [audience], "expirationSeconds": 600}}
    return str(world.plane.rest.call("POST", path, body)["status"]["token"])


async def test_in_multi_user_mode_tokens_and_rights_decide(started: Started, world: World) -> None:
    allowed = token_of(world, "allowed", "pipelines.kubeflow.org")
    stranger = token_of(world, "stranger", "pipelines.kubeflow.org")
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{world.namespace}"
    world.plane.rest.call("POST", f"{base}/roles", ROLE)
    binding = {
        "metadata": {"name": "runner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "runner"},
        "subjects": [{"kind": "ServiceAccount", "name": "allowed", "namespace": world.namespace}],
    }
    world.plane.rest.call("POST", f"{base}/rolebindings", binding)
    world.create("serviceaccounts", {"metadata": {"name": "default-editor"}})
    experiment = {"display_name": "exp", "namespace": world.namespace}

    async with started(multi_user=True) as (_, client):

        async def call(token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
            client.headers = {"Authorization": f"Bearer {token}"} if token else {}
            status, answer = await client.call(method, path, body)
            return status, answer.get("code", answer)

        assert (await client.call("GET", "/healthz"))[1]["multi_user"] is True
        assert await call("", "POST", "/experiments", experiment) == (401, 16)
        other = token_of(world, "allowed", "another-audience")
        assert await call(other, "POST", "/experiments", experiment) == (401, 16)
        assert await call(stranger, "POST", "/experiments", experiment) == (403, 7)
        assert await call(allowed, "POST", "/experiments", {"display_name": "exp"}) == (400, 3)
        status, made = await call(allowed, "POST", "/experiments", experiment)
        assert (status, made["namespace"]) == (200, world.namespace)

        assert await call(allowed, "POST", "/runs", run_body()) == (400, 3)
        body = run_body(experiment_id=made["experiment_id"], run_id="mine")
        assert await call(stranger, "POST", "/runs", body) == (403, 7)
        assert (await call(allowed, "POST", "/runs", body))[0] == 200
        run = await client.ends("mine")
        assert (run["state"], run["service_account"]) == ("SUCCEEDED", "default-editor")
        assert await call(stranger, "GET", "/runs/mine") == (403, 7)
        assert await call("", "GET", "/runs/mine") == (401, 16)
        assert len(world.workflows("mine")) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_the_program_ends_its_steps_however_it_ends(
    number: signal.Signals, plane: Any, world: World, tmp_path: Path
) -> None:
    pids = tmp_path / "pid"
    command = ["sh", "-c", f"echo $$ > {pids}; exec sleep 600"]
    path = ("pipeline_spec", "deploymentSpec", "executors", "exec-comp-prep", "container", "command")
    arguments = ["--kubeconfig", plane.kubeconfig, "--namespace", world.namespace, "--workdir", tmp_path]
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox.kfp", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert program.stdout is not None
        url = (await asyncio.wait_for(program.stdout.readline(), 60)).decode().split()[2].rstrip(",")
        async with aiohttp.ClientSession() as session:
            await Client(url, session).submit(pipeline_spec=changed(two_tasks(), command, *path))
            await until(lambda: pids.exists() and pids.read_text().strip())
    finally:
        program.send_signal(number)
        code = await asyncio.wait_for(program.wait(), 60)

    step = Path("/proc") / pids.read_text().strip()
    await until(lambda: not step.exists() or ") Z " in (step / "stat").read_text())
    assert code == (-9 if number == signal.SIGKILL else 0)
