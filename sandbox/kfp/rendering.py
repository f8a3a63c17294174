"""A run as the API shows it."""

from __future__ import annotations

from typing import Any

from sandbox.kfp.rows import RunRow

RUN_FIELDS = {
    "run_id": "run_id",
    "id": "run_id",
    "name": "display_name",
    "display_name": "display_name",
    "description": "description",
    "created_at": "created_at",
    "scheduled_at": "created_at",
    "finished_at": "finished_at",
    "storage_state": "storage_state",
    "state": "state",
    "status": "state",
    "experiment_id": "experiment_id",
    # Single-user rows have no namespace and nothing here recurs: these keys are known and match nothing.
    "namespace": "unmatched",
    "recurring_run_id": "unmatched",
}

# The shipped configuration has a plug-in that never works; its failure is on every run and means nothing.
_PLUGINS = {
    "mlflow": {
        "entries": {"experiment_name": {"value": "KFP-Default"}},
        "state": "PLUGIN_FAILED",
        "state_message": "failed to build MLflow request context",
    }
}


def render_run(row: RunRow) -> dict[str, Any]:
    """The JSON of a run: empty texts are left out, and so is a state that nobody has reported."""
    body: dict[str, Any] = {
        "experiment_id": row.experiment_id,
        "run_id": row.run_id,
        "display_name": row.display_name,
        "storage_state": row.storage_state,
        "description": row.description,
        "pipeline_spec": row.source,
        "runtime_config": row.runtime_config,
        "service_account": row.service_account,
        "created_at": row.created_at,
        "scheduled_at": row.created_at,
        "finished_at": row.finished_at,
        "state": row.state,
        "run_details": {"task_details": row.tasks} if row.tasks else None,
        "state_history": [_moment(at, state) for at, state in row.state_history],
        "plugins_output": _PLUGINS,
    }
    return {key: value for key, value in body.items() if value}


def _moment(at: str, state: str | None) -> dict[str, str]:
    return {"update_time": at} | ({"state": state} if state else {})
