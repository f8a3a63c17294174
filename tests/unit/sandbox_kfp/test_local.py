"""Real pipelines through LocalExecution: artifacts, retries, cache, failures, secrets, termination."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.kfp import KfpServer, LocalExecution, Pace
from tests.unit.sandbox_kfp import example
from tests.unit.sandbox_kfp.memory import MemoryCluster
from tests.unit.sandbox_kfp.pipelines import Client, compiled, run_body, until

SECRET = "not-for-logs-4711"


@dataclass
class Bench:
    cluster: MemoryCluster
    client: Client
    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    def lines(self, start: str = "") -> list[str]:
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [line for line in lines if line.startswith(start)]

    def body(self, n: int = 5, pipeline: Any = example.example, **parameters: Any) -> dict[str, Any]:
        given = {"journal": str(self.journal)} | parameters
        if pipeline is example.example:
            given |= {"n": n, "destination": str(self.folder / "result.json")}
        spec = compiled(pipeline, self.folder)
        return run_body(pipeline_spec=spec, runtime_config={"parameters": given})

    async def run(self, **options: Any) -> dict[str, Any]:
        return await self.client.ends(await self.client.submit(**self.body(**options)))

    def nodes(self) -> list[dict[str, Any]]:
        """Nodes of the latest Workflow."""
        return list(list(self.cluster.stored.values())[-1]["status"]["nodes"].values())


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    cluster = MemoryCluster()
    cluster.secrets["credentials"] = {"password": SECRET}
    execution = LocalExecution(tmp_path / "work")
    async with (
        KfpServer(
            None, execution=execution, report_seconds=0.01, pace=Pace(stop=0), cluster=cluster
        ) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Bench(cluster, Client(server.url, session), tmp_path)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def test_steps_hand_on_artifacts_parameters_and_metrics(bench: Bench) -> None:
    run = await bench.run(n=5)

    assert run["state"] == "SUCCEEDED"
    result = json.loads((bench.folder / "result.json").read_text())
    assert result == {"metrics": {"total": 10}, "model": "model"}


async def test_a_step_gets_its_variables_and_its_secret_and_no_file_holds_the_secret(bench: Bench) -> None:
    await bench.run()

    assert bench.lines("train")[0].split()[2:] == ["test", SECRET]
    bench.journal.unlink()
    files = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert not [path for path in files if SECRET in path.read_text(errors="replace")]
    assert SECRET not in json.dumps([bench.cluster.stored[key] for key in bench.cluster.stored])
    assert SECRET not in json.dumps(bench.cluster.pods)


async def test_the_standins_own_credentials_do_not_reach_a_step(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.setenv("PASSWORD", "of the stand-in")
    spec = bench.body(secret="credentials")
    executors = spec["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"][
        "executors"
    ]
    executors.clear()
    await bench.client.ends(await bench.client.submit(**spec))

    assert bench.lines("train")[0].split()[2:] == ["test", "None"]


async def test_a_flaky_step_is_tried_again_as_its_policy_says(bench: Bench) -> None:
    run = await bench.run(behaviour="flaky")

    assert run["state"] == "SUCCEEDED"
    assert len(bench.lines("train")) == 3
    phases = [pod["status"]["phase"] for pod in bench.cluster.step_pods("train")]
    assert phases == ["Failed", "Failed", "Succeeded"]
    shown = {
        node["displayName"]: node["phase"] for node in bench.nodes() if "train(0).executor(" in node["name"]
    }
    assert shown == {"executor(0)": "Failed", "executor(1)": "Failed", "executor(2)": "Succeeded"}


async def test_a_step_that_fails_for_good_says_why_in_its_pod_and_keeps_its_log(bench: Bench) -> None:
    run = await bench.run(behaviour="fail")

    assert run["state"] == "FAILED"
    assert not (bench.folder / "result.json").exists()
    ended = bench.cluster.step_pods("train")[-1]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 2
    assert ended["message"] == "DataError: row 7 has 3 columns, 4 were expected"
    assert "main: Error (exit code 2)" in [node.get("message") for node in bench.nodes()]
    log = (bench.folder / "work" / "logs" / run["run_id"] / "train.log").read_text()
    assert log.count("working") == 3
    assert log.count("DataError") == 3


async def test_a_cached_step_is_skipped_and_its_artifacts_are_the_older_ones(bench: Bench) -> None:
    await bench.run(n=4)
    (bench.folder / "result.json").unlink()
    run = await bench.run(n=4)

    assert run["state"] == "SUCCEEDED"
    assert len(bench.lines("prepare")) == 1
    assert len(bench.lines("train")) == 2
    assert json.loads((bench.folder / "result.json").read_text())["metrics"] == {"total": 6}
    skipped = [node["name"] for node in bench.nodes() if node["phase"] == "Skipped"]
    assert [name.split(".")[-2:] for name in skipped] == [["prepare(0)", "executor"]]
    details = run["run_details"]["task_details"]
    assert [task["display_name"] for task in details if task["state"] == "SKIPPED"] == ["executor"]


async def test_other_inputs_are_not_answered_by_the_cache(bench: Bench) -> None:
    await bench.run(n=4)
    await bench.run(n=5)

    assert len(bench.lines("prepare")) == 2


async def test_terminating_ends_the_processes_of_a_step(bench: Bench) -> None:
    run_id = await bench.client.submit(**bench.body(behaviour="hang"))
    await until(lambda: bench.lines("train"))
    pid = int(bench.lines("train")[0].split()[1])
    assert alive(pid)

    await bench.client.call("POST", f"/runs/{run_id}:terminate")
    run = await bench.client.ends(run_id)

    assert run["state"] == "FAILED"
    assert not alive(pid)


async def test_a_retry_starts_with_the_step_that_failed(bench: Bench) -> None:
    body = bench.body(behaviour="flaky")
    body["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]["train"].pop("retryPolicy")
    run_id = await bench.client.submit(**body)
    await bench.client.ends(run_id, "FAILED")
    for _ in range(2):
        await bench.client.call("POST", f"/runs/{run_id}:retry")
        run = await bench.client.ends(run_id)

    assert run["state"] == "SUCCEEDED"
    assert bench.lines("prepare") == ["prepare"]
    assert len(bench.lines("train")) == 3


async def test_two_runs_go_on_side_by_side(bench: Bench) -> None:
    first, second = await asyncio.gather(
        bench.client.submit(**bench.body(n=1, behaviour="hang")),
        bench.client.submit(**bench.body(n=2, behaviour="hang")),
    )
    await until(lambda: len(bench.lines("train")) == 2)
    for run_id in (first, second):
        await bench.client.call("POST", f"/runs/{run_id}:terminate")
        assert (await bench.client.ends(run_id))["state"] == "FAILED"


async def test_steps_that_do_not_depend_on_each_other_both_run(bench: Bench) -> None:
    run = await bench.run(pipeline=example.two_at_once)

    assert run["state"] == "SUCCEEDED"
    assert len(bench.lines("prepare")) == 2


async def test_a_step_beyond_its_limit_is_ended(bench: Bench) -> None:
    started = time.monotonic()
    run = await bench.run(pipeline=example.limited, destination="")

    assert run["state"] == "FAILED"
    assert time.monotonic() - started < 30
    assert any("longer than the specified deadline" in (node.get("message") or "") for node in bench.nodes())
    assert not alive(int(bench.lines("train")[0].split()[1]))


async def test_a_fraction_for_an_integer_fails_before_any_step(bench: Bench) -> None:
    run = await bench.run(n=1.5)  # type: ignore[arg-type]

    assert run["state"] == "FAILED"
    assert not bench.lines()


async def test_stopping_the_server_ends_its_steps(tmp_path: Path) -> None:
    cluster = MemoryCluster()
    cluster.secrets["credentials"] = {"password": SECRET}
    async with aiohttp.ClientSession() as session:
        server = KfpServer(None, execution=LocalExecution(tmp_path / "work"), cluster=cluster)
        await server.start()
        bench = Bench(cluster, Client(server.url, session), tmp_path)
        await bench.client.submit(**bench.body(behaviour="hang"))
        await until(lambda: bench.lines("train"))
        await server.stop()

    assert not alive(int(bench.lines("train")[0].split()[1]))
