"""Plays the controller of Argo: runs what a Workflow stands for and writes its status, nodes and pods."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from sandbox.kfp.clock import moment, now
from sandbox.kfp.cluster import Cluster, ClusterError, Manifest
from sandbox.kfp.execution import Execution, StepFailed, SubmittedRun
from sandbox.kfp.nodes import WorkflowNodes, deadline_message
from sandbox.kfp.pods import PodRules
from sandbox.kfp.steps import PodRefused, Steps
from sandbox.kfp.workflow import FINAL_PHASES, deadline_of, is_ours, phase_of, status_patch

log = logging.getLogger(__name__)

RESTARTED = "the stand-in was stopped while this run was on, and its steps with it"
COLLISION = "driver failed: the execution of this task exists already under the same run id"


@dataclass(frozen=True)
class Pace:
    """How slow things are, in seconds; the real system is far slower.

    Attributes
    ----------
    step
        Added to every task, where the real system starts its driver.
    stop
        Between the end of the last process of a terminated run and its Workflow's end.
    pod_poll
        How often a pod that cannot run is looked at again.
    """

    step: float = 0.0
    stop: float = 0.1
    pod_poll: float = 0.2


@dataclass
class Live:
    """A Workflow that is being executed."""

    workflow: Manifest
    submitted: SubmittedRun
    steps: Steps
    task: asyncio.Task[None] | None = None
    ending: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.submitted.namespace, self.submitted.workflow


class WorkflowController:
    """Executes Workflows.

    Two Workflows under one run id fail, as they do on the real system, where drivers collide in the metadata
    store: the one that was done before the other started keeps its result.
    """

    def __init__(
        self, cluster: Cluster, execution: Execution, rules: PodRules, pace: Pace, instance: str
    ) -> None:
        self._cluster = cluster
        self._execution = execution
        self._rules = rules
        self._pace = pace
        self._instance = instance
        self._live: dict[tuple[str, str], Live] = {}
        self._executed: set[str] = set()  # uids: what is still told of one as Running, once it ended, is old
        self._of_run: dict[str, set[str]] = defaultdict(set)
        self._endings: set[asyncio.Task[None]] = set()

    def start(self, workflow: Manifest, submitted: SubmittedRun) -> None:
        """Begin to execute a Workflow, or the rest of it after a retry."""
        nodes = WorkflowNodes(submitted.workflow, dict((workflow.get("status") or {}).get("nodes") or {}))
        steps = Steps(
            cluster=self._cluster,
            rules=self._rules,
            step_seconds=self._pace.step,
            poll_seconds=self._pace.pod_poll,
            workflow=workflow,
            submitted=submitted,
            nodes=nodes,
        )
        live = Live(workflow, submitted, steps)
        self._live[live.key] = live
        self._executed.add(workflow["metadata"]["uid"])
        self._of_run[submitted.run_id].add(submitted.workflow)
        live.task = asyncio.create_task(self._execute(live))

    def forget(self, run_id: str) -> None:
        """The run was deleted: its id is free again."""
        self._of_run.pop(run_id, None)

    async def observe(self, kind: str, workflow: Manifest) -> None:
        """React to a Workflow that was changed or deleted by anybody."""
        key = (workflow["metadata"]["namespace"], workflow["metadata"]["name"])
        live = self._live.get(key)
        if kind == "DELETED":
            self._executed.discard(workflow["metadata"]["uid"])
        if live is None:
            await self._observe_unknown(kind, workflow)
        elif live.workflow["metadata"]["uid"] == workflow["metadata"]["uid"] and not live.ending:
            if kind == "DELETED":
                self._end(live, self._abandon(live))
            elif deadline_of(workflow) is not None and phase_of(workflow) not in FINAL_PHASES:
                self._end_at(live, deadline_of(workflow) or 0)

    async def _observe_unknown(self, kind: str, workflow: Manifest) -> None:
        """A Workflow of ours that this controller never executed is left over from before a restart."""
        started = phase_of(workflow) == "Running"
        executed = workflow["metadata"]["uid"] in self._executed
        if kind == "DELETED" or not started or executed or not is_ours(workflow, self._instance):
            return
        name, namespace = workflow["metadata"]["name"], workflow["metadata"]["namespace"]
        nodes = WorkflowNodes(name, dict(workflow["status"].get("nodes") or {}))
        nodes.finish("Error", RESTARTED)
        with contextlib.suppress(ClusterError):
            await self._cluster.patch_workflow(namespace, name, status_patch(nodes, "Error", RESTARTED))
            await self._cluster.delete_pods(namespace, name)

    async def stop(self) -> None:
        """Stop every process; Workflows stay as they are, as after a failure of the machine."""
        for ending in list(self._endings):
            ending.cancel()
        for live in list(self._live.values()):
            live.ending = True
            await self._cancel(live)
        await asyncio.gather(*self._endings, return_exceptions=True)

    def _end_at(self, live: Live, seconds: int) -> None:
        """End a run at its deadline, counted from its start."""
        left = (moment(live.steps.started_at) - now()).total_seconds() + seconds
        if left <= 0:
            self._end(live, self._meet_deadline(live))
        else:
            asyncio.get_running_loop().call_later(left, self._end_if_live, live)

    def _end_if_live(self, live: Live) -> None:
        if self._live.get(live.key) is live and not live.ending:
            self._end(live, self._meet_deadline(live))

    def _end(self, live: Live, ending: Coroutine[Any, Any, None]) -> None:
        live.ending = True
        task = asyncio.create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _execute(self, live: Live) -> None:
        try:
            phase, message = await self._outcome(live)
            if not live.ending:
                await live.steps.finish(phase, message)
        except ClusterError as error:
            if error.status != 404:
                log.warning("Workflow %s cannot be written: %s", live.submitted.workflow, error)
                self._executed.discard(live.workflow["metadata"]["uid"])
                raise
        finally:
            if not live.ending:
                self._live.pop(live.key, None)

    async def _outcome(self, live: Live) -> tuple[str, str]:
        try:
            await live.steps.begin()
            await self._execution.run(live.submitted, live.steps.report)
        except PodRefused as refused:
            return "Error", refused.message
        except StepFailed as failed:
            await live.steps.failed(failed)
            return "Failed", ""
        except ClusterError:
            raise
        except Exception as error:
            log.exception("Workflow %s", live.submitted.workflow)
            return "Error", f"{type(error).__name__}: {error}"
        if len(self._of_run[live.submitted.run_id]) > 1:
            live.steps.collide(COLLISION)
            return "Failed", ""
        return "Succeeded", ""

    async def _meet_deadline(self, live: Live) -> None:
        await self._cancel(live)
        if not live.steps.finished:
            await asyncio.sleep(self._pace.stop)
            with contextlib.suppress(ClusterError):
                await live.steps.terminated(deadline_message(live.steps.started_at))
        self._live.pop(live.key, None)

    async def _abandon(self, live: Live) -> None:
        """The Workflow is gone: so are its pods, and nobody writes anything any more."""
        await self._cancel(live)
        self._live.pop(live.key, None)
        with contextlib.suppress(ClusterError):
            await self._cluster.delete_pods(live.submitted.namespace, live.submitted.workflow)

    async def _cancel(self, live: Live) -> None:
        if live.task is not None:
            live.task.cancel()
            await asyncio.gather(live.task, return_exceptions=True)
