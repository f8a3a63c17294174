"""What plays the steps of a run, and what it tells the controller about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sandbox.kfp.pipeline import Pipeline

DEADLINE = "Pod was active on the node longer than the specified deadline"

TaskPhase = Literal["Started", "Succeeded", "Failed", "Skipped"]


@dataclass(frozen=True)
class TaskEvent:
    """One thing that happened to one task.

    Attributes
    ----------
    task
        Name of the task in the pipeline.
    phase
        Started: wants to run; reporting it returns once the step's pod runs, which may be never. Skipped: its
        outputs came from the cache. Failed: this attempt failed and another one follows; the last failure is
        raised as `StepFailed`.
    attempt
        0 for the first.
    exit_code, message
        Of a failed attempt; the message is the last line on stderr.
    """

    task: str
    phase: TaskPhase
    attempt: int = 0
    exit_code: int | None = None
    message: str = ""


Report = Callable[[TaskEvent], Awaitable[None]]


class StepFailed(Exception):
    """A task failed for good; the run ends as FAILED.

    A driver failure (`exit_code` None) means that the step's inputs could not be made, so no step ran.
    """

    def __init__(self, task: str, exit_code: int | None = 1, message: str = "", attempt: int = 0) -> None:
        super().__init__(f"{task}: exit code {exit_code}: {message}")
        self.task = task
        self.exit_code = exit_code
        self.message = message
        self.attempt = attempt


async def _no_secret(_name: str) -> Mapping[str, str] | None:
    return None


@dataclass(frozen=True)
class SubmittedRun:
    """What an execution is given of a run.

    Attributes
    ----------
    parameters
        The pipeline's parameters, defaults filled in.
    workflow
        Name of the Workflow. Two Workflows may carry one run id: a repeated POST makes another one.
    finished_tasks
        Tasks that a retry need not run again.
    read_secret
        Values of a Secret of the run's namespace, None if there is none.
    """

    run_id: str
    namespace: str
    pipeline: Pipeline
    parameters: Mapping[str, Any]
    workflow: str
    finished_tasks: frozenset[str] = frozenset()
    read_secret: Callable[[str], Awaitable[Mapping[str, str] | None]] = field(default=_no_secret, repr=False)


class Execution(Protocol):
    """Plays the steps. Cancelling `run` means: stop every process before returning."""

    async def run(self, submitted: SubmittedRun, report: Report) -> None:
        """Return when all tasks are done; raise StepFailed when one failed for good."""


Script = Callable[[SubmittedRun, Report], Awaitable[None]]


async def every_task_succeeds(submitted: SubmittedRun, report: Report) -> None:
    """The plainest script: tasks one after the other in the pipeline's order, nothing executed."""
    for task in submitted.pipeline.tasks:
        if task not in submitted.finished_tasks:
            await report(TaskEvent(task, "Started"))
            await report(TaskEvent(task, "Succeeded"))


class ScriptedExecution:
    """Runs a test's own async callable in place of the steps.

    Attributes
    ----------
    runs
        Every run that was executed, in order; a repeated POST shows as a second entry with the same id.
    """

    def __init__(self, script: Script = every_task_succeeds) -> None:
        self.script = script
        self.runs: list[SubmittedRun] = []

    async def run(self, submitted: SubmittedRun, report: Report) -> None:
        self.runs.append(submitted)
        await self.script(submitted, report)
