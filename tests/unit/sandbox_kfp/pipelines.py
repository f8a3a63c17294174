"""Pipelines and a small client for tests of the KFP stand-in."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from kfp import compiler

IMAGE = "registry.example/trainer:1"
API = "/apis/v2beta1"
FINAL = ("SUCCEEDED", "FAILED")


def two_tasks(image: str = IMAGE, **kubernetes: Any) -> dict[str, Any]:
    """The pair of documents of a pipeline with tasks `prep` and then `train`; `kubernetes` is train's platform spec."""
    inputs = {
        "n": {"parameterType": "NUMBER_INTEGER"},
        "lr": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.1, "isOptional": True},
    }
    spec = {
        "pipelineInfo": {"name": "two-tasks"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "components": {name: {"executorLabel": f"exec-{name}"} for name in ("comp-prep", "comp-train")},
        "deploymentSpec": {
            "executors": {
                "exec-comp-prep": {"container": {"image": IMAGE, "command": ["true"]}},
                "exec-comp-train": {"container": {"image": image, "command": ["true"]}},
            }
        },
        "root": {
            "inputDefinitions": {"parameters": inputs},
            "dag": {
                "tasks": {
                    "prep": {"taskInfo": {"name": "prep"}, "componentRef": {"name": "comp-prep"}},
                    "train": {
                        "taskInfo": {"name": "train"},
                        "componentRef": {"name": "comp-train"},
                        "dependentTasks": ["prep"],
                    },
                }
            },
        },
    }
    executors = {"deploymentSpec": {"executors": {"exec-comp-train": kubernetes}}}
    return {
        "pipeline_spec": spec,
        "platform_spec": {"platforms": {"kubernetes": executors}} if kubernetes else {},
    }


def compiled(pipeline: Any, folder: Path) -> dict[str, Any]:
    """What the operator submits of a pipeline: both documents that the compiler writes."""
    path = folder / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    documents = list(yaml.safe_load_all(path.read_text()))
    return {"pipeline_spec": documents[0], "platform_spec": documents[1] if len(documents) > 1 else {}}


def without(document: dict[str, Any], *path: str) -> dict[str, Any]:
    """A copy that lacks one entry."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


def changed(document: dict[str, Any], value: Any, *path: str) -> dict[str, Any]:
    """A copy with another entry."""
    copied = copy.deepcopy(document)
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copied


def run_body(**fields: Any) -> dict[str, Any]:
    body = {"display_name": "a run", "pipeline_spec": two_tasks(), "runtime_config": {"parameters": {"n": 3}}}
    return body | fields


class Client:
    """Calls of the REST API; answers as status and JSON."""

    def __init__(self, url: str, session: aiohttp.ClientSession, token: str = "") -> None:
        self.url = url
        self.session = session
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(
        self, method: str, path: str, body: Any = None, **query: Any
    ) -> tuple[int, dict[str, Any]]:
        content = {"data": body} if isinstance(body, str) else {"json": body}
        async with self.session.request(
            method, self.url + API + path, params=query, headers=self.headers, **content
        ) as response:
            return response.status, await response.json()

    async def submit(self, **fields: Any) -> str:
        status, body = await self.call("POST", "/runs", run_body(**fields))
        assert status == 200, body
        return str(body["run_id"])

    async def run(self, run_id: str) -> dict[str, Any]:
        status, body = await self.call("GET", f"/runs/{run_id}")
        assert status == 200, body
        return body

    async def state(self, run_id: str) -> str | None:
        return (await self.run(run_id)).get("state")

    async def ends(self, run_id: str, *states: str, seconds: float = 30) -> dict[str, Any]:
        """The run once it is in one of the states (a final one if none is named)."""
        found: dict[str, Any] = {}

        async def reached() -> bool:
            found.update(await self.run(run_id))
            return found.get("state") in (states or FINAL)

        await until(reached, seconds)
        return found


async def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Poll a condition (plain or async) until it is true; its value."""
    end = time.monotonic() + 3 * seconds  # for what never comes; a busy machine is no failure
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {condition}"
        await asyncio.sleep(0.02)


def states(run: dict[str, Any]) -> Sequence[str | None]:
    return [entry.get("state") for entry in run["state_history"]]
