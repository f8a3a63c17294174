"""Executes a run's steps on this machine: a process a step, inputs and outputs resolved by kfp.local's parts.

kfp.local itself runs a whole pipeline in one call, with one environment for all of it and without retries, so
the graph is walked here.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]
from kfp.local import executor_input_utils, executor_output_utils, placeholder_utils
from kfp.local import io as local_io
from kfp.local import utils as local_utils
from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils
from kfp.pipeline_spec import pipeline_spec_pb2

from sandbox.kfp.cache import ExecutionCache, Outputs, fingerprint, load_outputs, save_outputs
from sandbox.kfp.execution import DEADLINE, Report, StepFailed, SubmittedRun, TaskEvent
from sandbox.kfp.processes import StepProcess, run_process

log = logging.getLogger(__name__)


class LocalExecution:
    """Steps as subprocesses.

    Parameters
    ----------
    workdir
        Holds `artifacts/<namespace>/<workflow>/<task>/`, `logs/<run id>/<task>.log` and `cache/`.
    """

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir.resolve()
        self._cache = ExecutionCache(self._workdir / "cache")

    async def run(self, submitted: SubmittedRun, report: Report) -> None:
        await LocalRun(self._workdir, self._cache, submitted, report).run()


@dataclass(frozen=True)
class Retries:
    """A task's retry policy: `maxRetryCount` more attempts, waiting longer each time."""

    count: int
    first: float
    factor: float
    longest: float

    @classmethod
    def of(cls, task: dict[str, Any]) -> Retries:
        policy = task.get("retryPolicy") or {}
        return cls(
            int(policy.get("maxRetryCount", 0)),
            _seconds(policy.get("backoffDuration", "0s")),
            float(policy.get("backoffFactor", 2.0)),
            _seconds(policy.get("backoffMaxDuration", "3600s")),
        )

    def wait_after(self, attempt: int) -> float:
        return min(self.first * self.factor**attempt, self.longest)


def _seconds(text: str) -> float:
    return float(str(text).rstrip("s") or 0)


class LocalRun:
    """One run's walk through its tasks: each once those it depends on are done, side by side if it can."""

    def __init__(self, workdir: Path, cache: ExecutionCache, submitted: SubmittedRun, report: Report) -> None:
        self._cache = cache
        self._submitted = submitted
        self._report = report
        self._folder = workdir / "artifacts" / submitted.namespace / submitted.workflow
        self._logs = workdir / "logs" / submitted.run_id
        self._pipeline = submitted.pipeline
        self._spec = json_format.ParseDict(self._pipeline.spec, pipeline_spec_pb2.PipelineSpec())
        self._store = local_io.IOStore()

    async def run(self) -> None:
        for name in self._spec.root.input_definitions.parameters:
            self._store.put_parent_input(name, self._submitted.parameters.get(name))
        waiting = dict(self._pipeline.tasks)
        done: set[str] = set()
        running: dict[asyncio.Task[Outputs], str] = {}
        failure: StepFailed | None = None
        try:
            while waiting or running:
                ready = [
                    name for name, task in waiting.items() if set(task.get("dependentTasks") or []) <= done
                ]
                for name in ready if failure is None else ():
                    running[asyncio.create_task(self._task(name, waiting.pop(name)))] = name
                if not running:
                    break
                finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    name = running.pop(task)
                    failure = self._settle(name, task, done) or failure
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        if failure is not None:
            raise failure

    def _settle(self, name: str, task: asyncio.Task[Outputs], done: set[str]) -> StepFailed | None:
        error = task.exception()
        if isinstance(error, StepFailed):
            return error
        for key, value in task.result().items():
            self._store.put_task_output(name, key, value)
        done.add(name)
        return None

    async def _task(self, name: str, task: dict[str, Any]) -> Outputs:
        kept = self._folder / f"{name}.outputs.json"
        if name in self._submitted.finished_tasks and kept.exists():
            return load_outputs(kept)
        arguments = self._arguments(name, task)
        key = fingerprint(self._pipeline.component(name), self._pipeline.container(name), arguments)
        cached = (task.get("cachingOptions") or {}).get("enableCache", False)
        found = self._cache.find(self._submitted.namespace, key) if cached else None
        if found is not None:
            await self._report(TaskEvent(name, "Skipped"))
            outputs = found
        else:
            outputs = await self._attempts(name, arguments, Retries.of(task))
            if cached:
                self._cache.keep(self._submitted.namespace, key, outputs)
        save_outputs(kept, outputs)
        return outputs

    def _arguments(self, name: str, task: dict[str, Any]) -> dict[str, Any]:
        """Resolve a task's inputs; what cannot be made fails as a driver would, before any step."""
        if task.get("iterator") or (task.get("triggerPolicy") or {}).get("condition"):
            raise StepFailed(name, None, "this stand-in runs neither loops nor conditions")
        if "executorLabel" not in self._pipeline.component(name):
            raise StepFailed(name, None, "this stand-in runs no pipelines within pipelines")
        inputs = self._spec.root.dag.tasks[name].inputs
        try:
            arguments: dict[str, Any] = OrchestratorUtils.make_task_arguments(inputs, self._store)
        except ValueError as error:
            raise StepFailed(name, None, str(error)) from error
        definitions = self._pipeline.component(name).get("inputDefinitions") or {}
        for key, definition in (definitions.get("parameters") or {}).items():
            value = arguments.get(key)
            if (
                definition.get("parameterType") == "NUMBER_INTEGER"
                and value is not None
                and value != int(value)
            ):
                raise StepFailed(name, None, f"input parameter {key} is an integer, but its value is {value}")
        return arguments

    async def _attempts(self, name: str, arguments: dict[str, Any], retries: Retries) -> Outputs:
        for attempt in range(retries.count + 1):
            await self._report(TaskEvent(name, "Started", attempt))
            try:
                outputs = await self._attempt(name, arguments, attempt)
            except StepFailed as failed:
                if attempt == retries.count:
                    raise
                await self._report(TaskEvent(name, "Failed", attempt, failed.exit_code, failed.message))
                await asyncio.sleep(retries.wait_after(attempt))
            else:
                await self._report(TaskEvent(name, "Succeeded", attempt))
                return outputs
        raise AssertionError("unreachable")

    async def _attempt(self, name: str, arguments: dict[str, Any], attempt: int) -> Outputs:
        component = self._spec.components[self._pipeline.tasks[name]["componentRef"]["name"]]
        root = self._folder / name
        scratch = self._folder / f"{name}.scratch"
        for folder in (root, scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        executor_input = executor_input_utils.construct_executor_input(
            component_spec=component, arguments=arguments, task_root=str(root), block_input_artifact=False
        )
        command = self._command(name, component, executor_input)
        environment = await self._environment(name)
        step = StepProcess(tuple(command), environment, scratch, self._log(name), self._timeout(name))
        try:
            result = await run_process(step)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if result.timed_out:
            raise StepFailed(name, result.exit_code, DEADLINE, attempt)
        if result.exit_code != 0:
            raise StepFailed(name, result.exit_code, result.last_line, attempt)
        return _outputs(name, component, executor_input)

    def _command(self, name: str, component: Any, executor_input: Any) -> list[str]:
        container = local_utils.struct_to_executor_spec(
            self._spec.deployment_spec["executors"][component.executor_label]
        ).container
        resolved = placeholder_utils.replace_placeholders(
            full_command=[*container.command, *container.args],
            executor_input_dict=executor_input_utils.executor_input_to_dict(
                executor_input=executor_input, component_spec=component
            ),
            pipeline_resource_name=self._submitted.workflow,
            task_resource_name=name,
            pipeline_root=str(self._folder),
            unique_pipeline_id=self._submitted.run_id,
        )
        return [str(part) for part in resolved]

    async def _environment(self, name: str) -> dict[str, str]:
        """The container's variables and those from Secrets, read when the step starts."""
        container = self._pipeline.container(name)
        environment = {entry["name"]: entry.get("value", "") for entry in container.get("env") or []}
        for variable in self._pipeline.secret_variables(name, self._submitted.parameters):
            values = await self._submitted.read_secret(variable.secret)
            if values is not None and variable.key in values:
                environment[variable.name] = values[variable.key]
        return environment

    def _log(self, name: str) -> Path:
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / f"{name}.log"
        log.info("run %s, step %s: %s", self._submitted.run_id, name, path)
        return path

    def _timeout(self, name: str) -> float | None:
        seconds = self._pipeline.kubernetes(name).get("activeDeadlineSeconds")
        return float(seconds) if seconds else None


def _outputs(name: str, component: Any, executor_input: Any) -> Outputs:
    """A step's outputs; artifacts that its command did not declare are where its executor input says."""
    try:
        outputs: Outputs = executor_output_utils.get_outputs_for_task(
            executor_input=executor_input, component_spec=component
        )
    except ValueError as error:
        raise StepFailed(name, 1, str(error)) from error
    for key, artifacts in executor_input.outputs.artifacts.items():
        if key not in outputs and artifacts.artifacts:
            outputs[key] = executor_output_utils.runtime_artifact_to_dsl_artifact(artifacts.artifacts[0])
    return outputs
