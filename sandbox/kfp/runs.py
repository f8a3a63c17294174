"""The runs API."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from sandbox.kfp.answers import KfpError, bad_request, internal, invalid, malformed, not_found
from sandbox.kfp.auth import Access, cannot_access
from sandbox.kfp.bodies import read_body, snake_keys
from sandbox.kfp.clock import now, stamp
from sandbox.kfp.cluster import Cluster, ClusterError
from sandbox.kfp.experiments import Experiments
from sandbox.kfp.faults import Faults
from sandbox.kfp.listing import page_of
from sandbox.kfp.pipeline import Pipeline, check_components, check_parameters, read_pipeline
from sandbox.kfp.rendering import RUN_FIELDS, render_run
from sandbox.kfp.rows import ExperimentRow, Rows, RunRow
from sandbox.kfp.starting import Starter

_BODY = frozenset(
    {
        "run_id",
        "display_name",
        "description",
        "experiment_id",
        "storage_state",
        "pipeline_spec",
        "pipeline_version_id",
        "pipeline_version_reference",
        "runtime_config",
        "service_account",
        "created_at",
        "scheduled_at",
        "finished_at",
        "state",
        "error",
        "run_details",
        "recurring_run_id",
        "state_history",
        "plugins_input",
        "plugins_output",
    }
)
_RUNTIME = frozenset({"parameters", "pipeline_root"})
_NAME_LIMIT = 255
_CREATE = "Failed to create a new run"
_TERMINABLE = frozenset({None, "PENDING", "RUNNING", "PAUSED"})


class Runs:
    """Handlers of /runs.

    Parameters
    ----------
    namespace
        Where single-user runs are; None in multi-user mode, where a run is in its experiment's namespace.
    service_account
        Of runs that name none.
    commit_seconds
        Between the making of the Workflow and the row: a client that goes away meanwhile leaves an orphan.
    """

    def __init__(
        self,
        *,
        rows: Rows,
        access: Access,
        experiments: Experiments,
        cluster: Cluster,
        starter: Starter,
        faults: Faults,
        namespace: str | None,
        service_account: str,
        commit_seconds: float,
    ) -> None:
        self._rows = rows
        self._access = access
        self._experiments = experiments
        self._cluster = cluster
        self._starter = starter
        self._faults = faults
        self._namespace = namespace
        self._service_account = service_account
        self._commit_seconds = commit_seconds

    async def create(self, request: web.Request) -> web.Response:
        """Make the Workflow, then the row: whatever goes wrong in between leaves the Workflow running."""
        body = await read_body(request, _BODY)
        if body.get("pipeline_spec") and body.get("pipeline_version_reference"):
            raise malformed(
                'proto:\u00a0(line 1:1): error parsing "pipeline_version_reference", '
                "oneof kubeflow.pipelines.backend.api.v2beta1.Run.pipeline_source is already set"
            )
        body["runtime_config"] = snake_keys(body.get("runtime_config") or {}, _RUNTIME)
        if not body.get("display_name"):
            inner = "Failed to convert a API run detail to its internal representation: Invalid input error: "
            error = internal(f"{inner}Run name cannot be empty")
            raise error.wrapped("CreateJob(job.ToV2())Failed to create a run due to conversion error")
        try:
            experiment = await self._experiment(request, body.get("experiment_id") or "")
            row, pipeline = self._new_row(body, experiment)
        except KfpError as error:
            raise error if error.detail_code == 2 else error.wrapped(_CREATE) from error
        row = await self._commit(request, row, pipeline, experiment)
        return web.json_response(render_run(row))

    async def _experiment(self, request: web.Request, experiment_id: str) -> ExperimentRow:
        if not experiment_id and self._namespace is None:
            raise invalid("A run cannot have an empty namespace in multi-user mode")
        try:
            row = self._experiments.get(experiment_id) if experiment_id else self._experiments.default("")
        except KfpError as error:
            where = f"Failed to fetch namespace for experiment {experiment_id}"
            inner = error.wrapped(f"{where}: Failed to fetch namespace from experiment {experiment_id}")
            text = "Failed to create a run due to invalid experimentId and namespace combination"
            raise inner.wrapped(text) from error
        try:
            await self._access.check(request, "runs", "create", row.namespace)
        except KfpError as error:
            inner = cannot_access(error, row.namespace)
            text = f"Check if you have write permissions to namespace {row.namespace}"
            raise inner.wrapped(f"Failed to create a run due to authorization error. {text}") from error
        return row

    def _new_row(self, body: dict[str, Any], experiment: ExperimentRow) -> tuple[RunRow, Pipeline]:
        if body.get("pipeline_version_reference"):
            raise _no_version(body["pipeline_version_reference"])
        pipeline = read_pipeline(body.get("pipeline_spec"))
        check_components(pipeline)
        check_parameters(pipeline, body["runtime_config"].get("parameters") or {})
        at = stamp(now())
        row = RunRow(
            run_id=body.get("run_id") or str(uuid.uuid4()),
            display_name=body["display_name"],
            description=body.get("description") or "",
            experiment_id=experiment.experiment_id,
            namespace=self._namespace or experiment.namespace,
            service_account=body.get("service_account") or self._service_account,
            source=body["pipeline_spec"],
            runtime_config={key: value for key, value in body["runtime_config"].items() if value},
            workflow="",
            created_at=at,
            state_history=((at, "PENDING"),),
        )
        return row, pipeline

    async def _commit(
        self, request: web.Request, row: RunRow, pipeline: Pipeline, experiment: ExperimentRow
    ) -> RunRow:
        try:
            # Shielded: a client that leaves does not stop a Workflow whose request is on its way already.
            workflow = await asyncio.shield(self._starter.create(row, pipeline))
        except ClusterError as error:
            raise internal(f"Failed to create a workflow for (): {error.message}").wrapped(_CREATE) from error
        await asyncio.sleep(self._commit_seconds)
        await self._faults.strike(request, "between")
        failed = f"Failed to store run {row.display_name} to table"
        store = f"Failed to create a run: InternalServerError: {failed}: Error"
        if len(row.display_name) > _NAME_LIMIT:
            raise _database(f"{store} 1406 (22001): Data too long for column 'DisplayName' at row 1")
        if row.run_id in self._rows.runs:
            raise _database(f"{store} 1062 (23000): Duplicate entry '{row.run_id}' for key 'PRIMARY'")
        row = replace(row, workflow=workflow["metadata"]["name"])
        self._rows.put_run(row)
        self._experiments.note_run(experiment)
        return row

    async def read(self, request: web.Request) -> web.Response:
        try:
            row = await self._row(request, "get")
        except KfpError as error:
            raise error.wrapped("Failed to get a run") from error
        return web.json_response(render_run(row))

    async def list(self, request: web.Request) -> web.Response:
        page = page_of(await self._listed(request), request.query, RUN_FIELDS)
        return web.json_response(page.body("runs", render_run))

    async def _listed(self, request: web.Request) -> Sequence[RunRow]:
        experiment_id = request.query.get("experiment_id", "")
        namespace = request.query.get("namespace", "")
        try:
            if experiment_id:
                try:
                    namespace = self._experiments.get(experiment_id).namespace
                except KfpError as error:
                    text = (
                        f"Failed to list runs due to error fetching namespace for experiment {experiment_id}"
                    )
                    inner = error.wrapped(f"Failed to fetch namespace from experiment {experiment_id}")
                    raise inner.wrapped(f"{text}. Try filtering based on namespace") from error
            if self._namespace is None and not namespace:
                raise invalid("A run cannot have an empty namespace in multi-user mode")
            await self._access.check(request, "runs", "list", namespace)
        except KfpError as error:
            raise error.wrapped("Failed to list runs") from error
        rows = [row for row in self._rows.runs.values() if experiment_id in ("", row.experiment_id)]
        return rows if self._namespace else [row for row in rows if row.namespace == namespace]

    async def change(self, request: web.Request) -> web.Response:
        """terminate, retry, archive, unarchive."""
        verb = request.match_info["verb"]
        change = {"terminate": self._terminate, "retry": self._retry}.get(verb, self._store)
        try:
            await change(request, verb)
        except KfpError as error:
            article = "an" if verb == "unarchive" else "a"
            raise error.wrapped(f"Failed to {verb} {article} run") from error
        return web.json_response({})

    async def _terminate(self, request: web.Request, verb: str) -> None:
        run_id = request.match_info["id"]
        prefix = f"Failed to terminate run {run_id}"
        try:
            row = await self._row(request, verb)
        except KfpError as error:
            raise error.wrapped(f"{prefix} due to error fetching the run") from error
        if row.state not in _TERMINABLE:
            raise invalid(f"Failed to terminate a run {run_id}. Row not found").wrapped(prefix)
        # The row first: if the Workflow is gone, the run says CANCELING for ever.
        self._rows.put_run(replace(row, state="CANCELING"))
        try:
            patch = {"spec": {"activeDeadlineSeconds": 0}}
            await self._cluster.patch_workflow(row.namespace, row.workflow, patch)
        except ClusterError as error:
            failed = f"Failed to terminate workflow {row.workflow} due to patching error"
            text = (
                f"{prefix} due to error terminating its workflow: {failed} after multiple retries: {failed}: "
            )
            raise internal(f"{text}{error.message}") from error

    async def _retry(self, request: web.Request, verb: str) -> None:
        run_id = request.match_info["id"]
        row = await self._row(request, verb)
        if row.state != "FAILED":
            error = bad_request("Workflow must be Failed/Error to retry", "workflow cannot be retried")
            raise error.wrapped(f"Failed to retry run {run_id}")
        try:
            await self._starter.again(row)
        except ClusterError as refused:
            raise internal(f"Failed to retry run {run_id}: {refused.message}") from refused
        history = (*row.state_history, (stamp(now()), "RUNNING"))
        self._rows.put_run(replace(self._rows.runs[run_id], state="RUNNING", state_history=history))

    async def _store(self, request: web.Request, verb: str) -> None:
        row = await self._row(request, verb)
        state = "ARCHIVED" if verb == "archive" else "AVAILABLE"
        self._rows.put_run(replace(row, storage_state=state))

    async def delete(self, request: web.Request) -> web.Response:
        run_id = request.match_info["id"]
        try:
            row = await self._row(request, "delete")
        except KfpError as error:
            inner = error.wrapped(f"Failed to delete run {run_id} as it does not exist")
            raise inner.wrapped("Failed to delete a run") from error
        await self._cluster.delete_workflow(row.namespace, row.workflow)
        self._rows.delete("run", run_id)
        self._starter.forget(run_id)
        return web.json_response({})

    async def _row(self, request: web.Request, verb: str) -> RunRow:
        run_id = request.match_info["id"]
        row = self._rows.runs.get(run_id)
        if row is None:
            raise not_found("Run", run_id).wrapped(f"Failed to fetch run {run_id}")
        try:
            await self._access.check(request, "runs", verb, row.namespace, row.display_name)
        except KfpError as error:
            inner = cannot_access(error, row.namespace, run_id)
            raise inner.wrapped("Failed to authorize the request") from error
        return row


def _no_version(reference: dict[str, Any]) -> KfpError:
    """There are no stored pipelines here, so that every reference is to an unknown version."""
    version = reference.get("pipeline_version_id") or reference.get("pipeline_id") or ""
    text = (
        "Failed to create a run due to error fetching manifest: Failed to fetch a template due to error "
        "retrieving pipeline version: Failed to fetch a pipeline version and its manifest from pipeline "
        f"version {version}: Failed to get a pipeline version with id {version}: "
        f"ResourceNotFoundError: PipelineVersion {version} not found"
    )
    return internal(text)


def _database(message: str) -> KfpError:
    error = internal("")
    return KfpError(error.code, f"{_CREATE}: {message}", error.detail)
