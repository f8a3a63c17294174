"""The Workflow objects: what KFP's API server creates, and what Argo's controller writes into them."""

from __future__ import annotations

from typing import Any

from sandbox.kfp.clock import now, stamp
from sandbox.kfp.nodes import WorkflowNodes
from sandbox.kfp.pipeline import Pipeline
from sandbox.kfp.rows import RunRow

Manifest = dict[str, Any]

RUN_ID = "pipeline/runid"
PERSISTED = "pipeline/persistedFinalState"
PHASE = "workflows.argoproj.io/phase"
COMPLETED = "workflows.argoproj.io/completed"
RUN_NAME = "pipelines.kubeflow.org/run_name"
INSTANCE = "kfp-stand-in/instance"
FINAL_PHASES = frozenset({"Succeeded", "Failed", "Error"})

_STATES = {
    "": None,
    "Pending": "PENDING",
    "Running": "RUNNING",
    "Succeeded": "SUCCEEDED",
    "Failed": "FAILED",
    "Error": "FAILED",
}
_NODE_STATES = {
    "Pending": "PENDING",
    "Running": "RUNNING",
    "Succeeded": "SUCCEEDED",
    "Skipped": "SKIPPED",
    "Failed": "FAILED",
    "Error": "FAILED",
}


def new_workflow(row: RunRow, pipeline: Pipeline, instance: str, name: str | None = None) -> Manifest:
    """The Workflow of a run, without a status; `name` where a retry makes it again under its old name."""
    named = {"name": name} if name else {"generateName": f"{pipeline.name}-"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            **named,
            "labels": {RUN_ID: row.run_id},
            "annotations": {RUN_NAME: row.display_name, INSTANCE: instance},
        },
        "spec": {
            "entrypoint": "entrypoint",
            "serviceAccountName": row.service_account,
            "podMetadata": {"labels": {RUN_ID: row.run_id}},
            "templates": [
                {"name": "system-dag-driver"},
                {"name": "system-container-driver"},
                {"name": "system-container-impl"},
                {"name": "entrypoint"},
            ],
            "ttlStrategy": {"secondsAfterCompletion": 3600},
        },
    }


def status_patch(
    nodes: WorkflowNodes, phase: str, message: str = "", started_at: str | None = None
) -> Manifest:
    """A merge patch with what Argo writes after a change of nodes or phase."""
    completed = phase in FINAL_PHASES
    status: Manifest = {
        "phase": phase,
        "progress": nodes.progress,
        "message": message or None,
        "nodes": nodes.nodes,
        "conditions": [{"type": "PodRunning", "status": "False"}],
        "finishedAt": None,
    }
    if started_at:
        status["startedAt"] = started_at
    if completed:
        status["finishedAt"] = stamp(now())
        status["conditions"].append({"type": "Completed", "status": "True"})
    return {"metadata": {"labels": {PHASE: phase, COMPLETED: str(completed).lower()}}, "status": status}


def phase_of(workflow: Manifest) -> str:
    return str((workflow.get("status") or {}).get("phase") or "")


def deadline_of(workflow: Manifest) -> int | None:
    """`spec.activeDeadlineSeconds`; 0 is how KFP terminates."""
    value = (workflow.get("spec") or {}).get("activeDeadlineSeconds")
    return None if value is None else int(value)


def is_ours(workflow: Manifest, instance: str) -> bool:
    return (workflow["metadata"].get("annotations") or {}).get(INSTANCE) == instance


def state_of(workflow: Manifest) -> str | None:
    """The run's state that a Workflow stands for; None: Argo has not touched it."""
    state = _STATES.get(phase_of(workflow))
    return "CANCELING" if state == "RUNNING" and deadline_of(workflow) == 0 else state


def task_details(workflow: Manifest, run_id: str) -> list[Manifest]:
    """`run_details.task_details`: the Workflow's nodes as they are, with none of their messages."""
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    created = workflow["metadata"]["creationTimestamp"]
    return [_task_detail(node, run_id, created) for _, node in sorted(nodes.items())]


def _task_detail(node: Manifest, run_id: str, created: str) -> Manifest:
    state = _NODE_STATES.get(node["phase"], "RUNTIME_STATE_UNSPECIFIED")
    started = node.get("startedAt") or created
    detail = {
        "run_id": run_id,
        "task_id": node["id"],
        "display_name": node["displayName"],
        "create_time": created,
        "start_time": started,
        "end_time": node.get("finishedAt") or "0001-01-01T00:00:00Z",
        "state": state,
        "state_history": [{"update_time": node.get("finishedAt") or started, "state": state}],
    }
    children = [{"pod_name": child} for child in node.get("children") or []]
    return detail | ({"child_tasks": children} if children else {})
