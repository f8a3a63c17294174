"""The experiments API."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from aiohttp import web

from sandbox.kfp.answers import KfpError, exists, internal, invalid, not_found
from sandbox.kfp.auth import Access
from sandbox.kfp.bodies import read_body
from sandbox.kfp.clock import now, stamp
from sandbox.kfp.listing import page_of
from sandbox.kfp.rows import DEFAULT_EXPERIMENT, ExperimentRow, Rows

_FIELDS = {
    "experiment_id": "experiment_id",
    "id": "experiment_id",
    "name": "display_name",
    "display_name": "display_name",
    "created_at": "created_at",
    "namespace": "namespace",
    "storage_state": "storage_state",
}
_BODY = frozenset(
    {"experiment_id", "display_name", "description", "created_at", "namespace", "storage_state"}
)
_BODY |= {"last_run_created_at"}
_EMPTY_NAMESPACE = "An experiment cannot have an empty namespace in multi-user mode"


class Experiments:
    """Handlers of /experiments. In single-user mode a namespace is ignored, as the server does."""

    def __init__(self, rows: Rows, access: Access, multi_user: bool) -> None:
        self._rows = rows
        self._access = access
        self._multi_user = multi_user

    def get(self, experiment_id: str) -> ExperimentRow:
        row = self._rows.experiments.get(experiment_id)
        if row is None:
            raise not_found("Experiment", experiment_id)
        return row

    def default(self, namespace: str) -> ExperimentRow:
        """The experiment of runs that name none; made when it is first needed."""
        found = self._rows.experiment_named(DEFAULT_EXPERIMENT, namespace)
        text = "All runs created without specifying an experiment will be grouped here."
        return found or self._make(DEFAULT_EXPERIMENT, text, namespace)

    def note_run(self, row: ExperimentRow) -> None:
        self._rows.put_experiment(replace(row, last_run_created_at=stamp(now())))

    def _make(self, name: str, description: str, namespace: str) -> ExperimentRow:
        row = ExperimentRow(str(uuid.uuid4()), name, description, namespace, stamp(now()))
        self._rows.put_experiment(row)
        return row

    async def create(self, request: web.Request) -> web.Response:
        body = await read_body(request, _BODY)
        name = body.get("display_name") or ""
        if not name:
            inner = "Failed to convert API experiment to model experiment: Invalid input error: "
            error = internal(f"{inner}Experiment must have a non-empty name")
            raise error.wrapped("[ExperimentServer]: Failed to create a experiment due to conversion error")
        namespace = (body.get("namespace") or "") if self._multi_user else ""
        try:
            await self._check(request, "create", namespace, name)
            if self._rows.experiment_named(name, namespace):
                text = f"The name {name} already exists. Please specify a new name"
                raise exists(f"Failed to create a new experiment. {text}")
        except KfpError as error:
            raise error.wrapped("Failed to create a experiment") from error
        return web.json_response(render(self._make(name, body.get("description") or "", namespace)))

    async def read(self, request: web.Request) -> web.Response:
        try:
            row = self.get(request.match_info["id"])
            await self._check(request, "get", row.namespace, row.display_name)
        except KfpError as error:
            raise error.wrapped("Failed to fetch experiment") from error
        return web.json_response(render(row))

    async def list(self, request: web.Request) -> web.Response:
        namespace = request.query.get("namespace", "") if self._multi_user else ""
        try:
            await self._check(request, "list", namespace)
        except KfpError as error:
            raise error.wrapped("List experiments failed") from error
        rows = [row for row in self._rows.experiments.values() if row.namespace == namespace]
        return web.json_response(page_of(rows, request.query, _FIELDS).body("experiments", render))

    async def delete(self, request: web.Request) -> web.Response:
        experiment_id = request.match_info["id"]
        try:
            row = self.get(experiment_id)
            await self._check(request, "delete", row.namespace, row.display_name)
        except KfpError as error:
            inner = error.wrapped(f"Failed to delete experiment {experiment_id} due to error fetching it")
            raise inner.wrapped("Failed to delete experiment") from error
        self._rows.delete("experiment", experiment_id)
        return web.json_response({})

    async def store(self, request: web.Request) -> web.Response:
        """Archive or unarchive."""
        verb = request.match_info["verb"]
        try:
            row = self.get(request.match_info["id"])
            await self._check(request, verb, row.namespace, row.display_name)
        except KfpError as error:
            raise error.wrapped(f"Failed to {verb} experiment") from error
        self._rows.put_experiment(
            replace(row, storage_state="ARCHIVED" if verb == "archive" else "AVAILABLE")
        )
        return web.json_response({})

    async def _check(self, request: web.Request, verb: str, namespace: str, name: str = "") -> None:
        if self._multi_user and not namespace:
            raise invalid(_EMPTY_NAMESPACE).wrapped("Failed to authorize the request")
        try:
            await self._access.check(request, "experiments", verb, namespace, name)
        except KfpError as error:
            raise error.wrapped("Failed to authorize the request: Failed to authorize with API") from error


def render(row: ExperimentRow) -> dict[str, Any]:
    """An experiment as the API shows it; empty strings are left out."""
    body = {
        "experiment_id": row.experiment_id,
        "display_name": row.display_name,
        "description": row.description,
        "created_at": row.created_at,
        "namespace": row.namespace,
        "storage_state": row.storage_state,
        "last_run_created_at": row.last_run_created_at,
    }
    return {key: value for key, value in body.items() if value}
