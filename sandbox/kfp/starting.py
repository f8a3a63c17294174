"""From a row to a Workflow that is executed, the first time and on a retry."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.kfp.cluster import Cluster, Manifest
from sandbox.kfp.controller import WorkflowController
from sandbox.kfp.execution import SubmittedRun
from sandbox.kfp.nodes import WorkflowNodes
from sandbox.kfp.pipeline import Pipeline, read_pipeline
from sandbox.kfp.rows import RunRow
from sandbox.kfp.workflow import COMPLETED, PERSISTED, PHASE, new_workflow


class Starter:
    """Makes Workflows and hands them to the controller."""

    def __init__(self, cluster: Cluster, controller: WorkflowController, instance: str) -> None:
        self._cluster = cluster
        self._controller = controller
        self._instance = instance

    async def create(self, row: RunRow, pipeline: Pipeline) -> Manifest:
        """Make a Workflow for a row that is not stored yet, and begin to execute it.

        Raises
        ------
        ClusterError
            The API server refuses, for example because the run id is no label value.
        """
        body = new_workflow(row, pipeline, self._instance)
        workflow = await self._cluster.create_workflow(row.namespace, body)
        self._controller.start(workflow, self._submitted(row, pipeline, workflow))
        return workflow

    async def again(self, row: RunRow) -> None:
        """Execute what failed of a run again, in the same Workflow, or in one of its name if that is gone."""
        pipeline = read_pipeline(row.source)
        await self._cluster.delete_pods(row.namespace, row.workflow)
        workflow = await self._cluster.workflow(row.namespace, row.workflow)
        if workflow is None:
            body = new_workflow(row, pipeline, self._instance, name=row.workflow)
            workflow = await self._cluster.create_workflow(row.namespace, body)
            self._controller.start(workflow, self._submitted(row, pipeline, workflow))
            return
        old = dict((workflow.get("status") or {}).get("nodes") or {})
        nodes = WorkflowNodes(row.workflow, {key: dict(node) for key, node in old.items()})
        nodes.reset(list(pipeline.tasks))
        gone = {key: None for key in old if key not in nodes.nodes}
        patch: Manifest = {
            "metadata": {"labels": {PERSISTED: None, COMPLETED: "false", PHASE: "Running"}},
            "spec": {"activeDeadlineSeconds": None},
            "status": {"phase": "Running", "message": None, "finishedAt": None, "nodes": nodes.nodes | gone},
        }
        workflow = await self._cluster.patch_workflow(row.namespace, row.workflow, patch)
        self._controller.start(workflow, self._submitted(row, pipeline, workflow))

    def forget(self, run_id: str) -> None:
        self._controller.forget(run_id)

    def _submitted(self, row: RunRow, pipeline: Pipeline, workflow: Manifest) -> SubmittedRun:
        name = workflow["metadata"]["name"]
        nodes = WorkflowNodes(name, dict((workflow.get("status") or {}).get("nodes") or {}))

        async def read_secret(secret: str) -> Mapping[str, str] | None:
            return await self._cluster.secret(row.namespace, secret)

        return SubmittedRun(
            run_id=row.run_id,
            namespace=row.namespace,
            pipeline=pipeline,
            parameters=pipeline.with_defaults(row.runtime_config.get("parameters") or {}),
            workflow=name,
            finished_tasks=nodes.finished_tasks(list(pipeline.tasks)),
            read_secret=read_secret,
        )
