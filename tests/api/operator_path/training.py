"""Plays the steps of the pipeline in milliseconds: what a run leaves in the bucket is what the trainer would leave."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sandbox.kfp import Report, StepFailed, SubmittedRun, TaskEvent
from tests.api.operator_path.storage import Storage
from trainer import result
from trainer.digest import StoredObject, data_digest
from trainer.steps import record

STEPS = ("download", "download-evaluation", "train", "evaluate", "export")


@dataclass
class Lesson:
    """How the runs of one resource go, from now on.

    Attributes
    ----------
    model
        What the fake model server is told (fake.json); see `sandbox.kserve.fakes`.
    predictions
        What the result file says of the sample; if None, what the fake model server answers.
    fails
        A step and the last words of its process.
    failures
        How many more runs fail in that step.
    holds
        A step that waits, once it has started, until `go`.
    """

    metrics: dict[str, float | None] = field(default_factory=lambda: {"accuracy": 0.9})
    model: dict[str, Any] | None = None
    predictions: list[Any] | None = None
    fails: tuple[str, str] | None = None
    failures: int = 1_000_000
    holds: str | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    leaves_result: bool = True


class Training:
    """The script of a `ScriptedExecution`: every resource's lesson, by its name."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.lessons: dict[str, Lesson] = defaultdict(Lesson)

    async def __call__(self, submitted: SubmittedRun, report: Report) -> None:
        lesson = self.lessons[name_of(submitted)]
        for task in STEPS:
            if task in submitted.finished_tasks or task not in submitted.pipeline.tasks:
                continue
            await report(TaskEvent(task, "Started"))
            await self._step(task, submitted, lesson)
            await report(TaskEvent(task, "Succeeded"))

    async def _step(self, task: str, submitted: SubmittedRun, lesson: Lesson) -> None:
        if lesson.holds == task:
            lesson.held.set()
            await lesson.go.wait()
        if lesson.fails and lesson.fails[0] == task and lesson.failures > 0:
            lesson.failures -= 1
            raise StepFailed(task, 1, lesson.fails[1])
        if task == "download":
            await self._check_data(submitted)
        if task == "export":
            await asyncio.to_thread(self._export, submitted, lesson)
        if task == "evaluate" and "evaluates" in submitted.parameters:
            await asyncio.to_thread(self._evaluate_again, submitted)

    async def _check_data(self, submitted: SubmittedRun) -> None:
        found = await asyncio.to_thread(self._data_digest, name_of(submitted))
        if found != submitted.parameters["data_digest"]:
            raise StepFailed("download", 2, "DataChanged: the data is not what the run was planned on")

    def _data_digest(self, name: str) -> str:
        return data_digest(StoredObject(*one) for one in self._storage.objects(f"data/{name}/"))

    def _export(self, submitted: SubmittedRun, lesson: Lesson) -> None:
        given = submitted.parameters
        prefix = self._storage.key(given["destination"])
        version = int(given["version"])
        files = {f"model/{version}/saved_model.pb": b"a model"}
        if lesson.model is not None:
            files[f"model/{version}/fake.json"] = json.dumps(lesson.model).encode()
        manifest = [self._storage.put(prefix, key, content) for key, content in sorted(files.items())]
        if not lesson.leaves_result:
            return
        told = {
            "schemaVersion": result.SCHEMA_VERSION,
            "uid": given["uid"],
            "version": version,
            "runId": given["run_id"],
            "metrics": lesson.metrics,
            "samples": 10,
            "sample": {"instances": [[1.0]], "predictions": _predictions(lesson, version)},
            "manifest": manifest,
            "data": {"uri": "data", "digest": given["data_digest"], "objects": 1, "bytes": 1},
            "lineage": _lineage(given),
        }
        if given["incumbent_version"]:
            told["incumbent"] = self._incumbent(int(given["incumbent_version"]), given["incumbent_uri"])
        self._storage.put(prefix, result.NAME, result.fitting(told))

    def _evaluate_again(self, submitted: SubmittedRun) -> None:
        """Beside the version: what it was found to be when it was trained, and what the one that serves was."""
        given = submitted.parameters
        made = self._storage.get(self._storage.beside(given["model_uri"], result.NAME))
        told = {
            "schemaVersion": result.SCHEMA_VERSION,
            "uid": given["uid"],
            "version": int(given["version"]),
            "runId": given["run_id"],
            "evaluates": given["evaluates"],
            "metrics": json.loads(made)["metrics"],
            "samples": 10,
            "trainingHash": given["training_hash"],
        }
        if given["incumbent_version"]:
            told["incumbent"] = self._incumbent(int(given["incumbent_version"]), given["incumbent_uri"])
        self._storage.put(self._storage.key(given["destination"]), record.NAME, result.fitting(told))

    def _incumbent(self, version: int, uri: str) -> dict[str, Any]:
        """The version that serves, on the same data: here, what it was when it was trained."""
        content = self._storage.get(self._storage.beside(uri, result.NAME))
        return {"version": version, "uri": uri, "metrics": json.loads(content)["metrics"]}


def _predictions(lesson: Lesson, version: int) -> list[Any]:
    if lesson.predictions is not None:
        return lesson.predictions
    found: list[Any] = (lesson.model or {}).get("predictions") or [{"version": version}]
    return found


def _lineage(given: Any) -> dict[str, Any]:
    asked = {"trainingHash": given["training_hash"], "retrainToken": given["retrain_token"]}
    return {"entrypoint": "trainer.recipes.image_classifier"} | {k: v for k, v in asked.items() if v}


def name_of(submitted: SubmittedRun) -> str:
    """Name of the resource that a run belongs to: its folder in the bucket."""
    found = re.search(
        r"/([^/]+)/\d+-[0-9a-f]{8}/(evaluations/[0-9a-f]{8}/)?$", submitted.parameters["destination"]
    )
    assert found is not None
    return found[1]
