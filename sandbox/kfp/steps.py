"""One Workflow's steps: turns what an execution reports into nodes, pods and waiting."""

from __future__ import annotations

import asyncio
import contextlib

from sandbox.kfp.clock import now, stamp
from sandbox.kfp.cluster import Cluster, ClusterError, Manifest
from sandbox.kfp.execution import DEADLINE, StepFailed, SubmittedRun, TaskEvent
from sandbox.kfp.nodes import WorkflowNodes
from sandbox.kfp.pods import PodRules, blocked_status, ended_status, running_status, step_pod
from sandbox.kfp.workflow import status_patch


class PodRefused(Exception):
    """The API server does not take the pod of a step; the reason shows in the Workflow's nodes only."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def failure_message(exit_code: int | None, message: str) -> str:
    """How Argo words a step that failed: what the step itself said is in its pod only."""
    return DEADLINE if message == DEADLINE else f"main: Error (exit code {exit_code})"


class Steps:
    """The steps of one Workflow.

    Attributes
    ----------
    started_at
        When execution began, RFC 3339.
    finished
        The final phase is written.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        rules: PodRules,
        step_seconds: float,
        poll_seconds: float,
        workflow: Manifest,
        submitted: SubmittedRun,
        nodes: WorkflowNodes,
    ) -> None:
        self._cluster = cluster
        self._rules = rules
        self._step_seconds = step_seconds
        self._poll_seconds = poll_seconds
        self._workflow = workflow
        self._submitted = submitted
        self._nodes = nodes
        self._running: dict[str, TaskEvent] = {}
        self._last = ""
        self.started_at = stamp(now())
        self.finished = False

    async def begin(self) -> None:
        """The Workflow starts; with a service account that is not there, its first pod is refused."""
        self._nodes.start()
        await self._write("Running", started_at=self.started_at)
        account = self._workflow["spec"].get("serviceAccountName", "default")
        namespace = self._submitted.namespace
        if not await self._cluster.has_service_account(namespace, account):
            pod = self._nodes.pod_name(f"{self._nodes.root_driver}(0)", "system-dag-driver")
            message = (
                f'pods "{pod}" is forbidden: error looking up service account {namespace}/{account}: '
                f'serviceaccount "{account}" not found'
            )
            self._nodes.close(self._nodes.root_driver, "Error", message)
            raise PodRefused(message)
        self._nodes.root_started()
        await self._write("Running")

    async def report(self, event: TaskEvent) -> None:
        """Take an event of the execution; Started returns once the step's pod runs."""
        if event.phase == "Started":
            await self._start(event)
        elif event.phase == "Skipped":
            self._nodes.driver_started(event.task)
            await asyncio.sleep(self._step_seconds)
            self._nodes.task_skipped(event.task)
            await self._write("Running")
        elif event.phase == "Succeeded":
            await self._pod(event, ended_status(self._image(event.task), 0, ""))
            self._nodes.task_succeeded(event.task, event.attempt)
            self._running.pop(event.task, None)
            await self._write("Running")
        else:
            await self._pod(event, ended_status(self._image(event.task), event.exit_code or 1, event.message))
            self._nodes.attempt_failed(
                event.task, event.attempt, failure_message(event.exit_code, event.message)
            )
            await self._write("Running")

    async def failed(self, failure: StepFailed) -> None:
        """A task failed for good."""
        if failure.exit_code is None or failure.task not in self._running:
            self._nodes.driver_started(failure.task)
            self._nodes.driver_failed(failure.task, failure.message or failure_message(1, ""))
            return
        event = TaskEvent(failure.task, "Failed", failure.attempt, failure.exit_code, failure.message)
        await self._pod(event, ended_status(self._image(event.task), event.exit_code or 1, event.message))
        message = failure_message(failure.exit_code, failure.message)
        self._nodes.task_failed(failure.task, failure.attempt, message)
        self._running.pop(failure.task, None)

    def collide(self, message: str) -> None:
        """The last task's driver finds the execution of another Workflow of the same run."""
        if self._last:
            node = self._nodes.nodes[self._nodes.node_id(f"{self._nodes.driver(self._last)}(0)")]
            node.update(phase="Failed", message=message)

    async def terminated(self, message: str) -> None:
        """The deadline ended it: running pods are killed."""
        for event in list(self._running.values()):
            await self._pod(event, ended_status(self._image(event.task), 143, "", reason="DeadlineExceeded"))
        self._nodes.finish("Failed", "Step exceeded its deadline")
        await self._final("Failed", message)

    async def finish(self, phase: str, message: str = "") -> None:
        self._nodes.finish(phase)
        await self._final(phase, message)

    async def _final(self, phase: str, message: str) -> None:
        await self._write(phase, message)
        self.finished = True

    async def _start(self, event: TaskEvent) -> None:
        self._last = event.task
        if event.attempt == 0:
            self._nodes.driver_started(event.task)
            if self._step_seconds:
                await self._write("Running")
                await asyncio.sleep(self._step_seconds)
        self._nodes.executor_waits(event.task, event.attempt)
        try:
            pod = step_pod(self._submitted, self._nodes, event.task, event.attempt, self._workflow)
            await self._cluster.create_pod(self._submitted.namespace, pod)
        except ClusterError as error:
            await self._refused(event, error)
        self._running[event.task] = event
        await self._until_it_can_run(event)
        self._nodes.executor_runs(event.task, event.attempt)
        await self._pod(event, running_status(self._image(event.task)))
        await self._write("Running")

    async def _refused(self, event: TaskEvent, error: ClusterError) -> None:
        if error.status == 409:  # the pod of before a retry
            return
        self._nodes.close(self._nodes.executor(event.task), "Error", error.message)
        self._nodes.nodes[self._nodes.node_id(f"{self._nodes.executor(event.task)}({event.attempt})")].update(
            phase="Error", message=error.message
        )
        raise PodRefused(error.message)

    async def _until_it_can_run(self, event: TaskEvent) -> None:
        written = None
        while (block := await self._rules.block(self._submitted, event.task)) is not None:
            if written is not None:
                block = block.later
            if block != written:
                await self._pod(event, blocked_status(self._image(event.task), block))
                self._nodes.executor_waits(event.task, event.attempt, block.node_message)
                await self._write("Running")
                written = block
            await asyncio.sleep(self._poll_seconds)

    async def _pod(self, event: TaskEvent, status: Manifest) -> None:
        name = f"{self._nodes.executor(event.task)}({event.attempt})"
        pod = self._nodes.pod_name(name, "system-container-impl")
        with contextlib.suppress(ClusterError):
            await self._cluster.patch_pod_status(self._submitted.namespace, pod, status)

    def _image(self, task: str) -> str:
        return str(self._submitted.pipeline.container(task).get("image", ""))

    async def _write(self, phase: str, message: str = "", started_at: str | None = None) -> None:
        patch = status_patch(self._nodes, phase, message, started_at)
        await self._cluster.patch_workflow(self._submitted.namespace, self._submitted.workflow, patch)
