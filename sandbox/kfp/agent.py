"""Plays the persistence agent: brings what Workflows say into the rows, a little later."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta

from sandbox.kfp.clock import moment, now
from sandbox.kfp.cluster import Cluster, ClusterError, Manifest
from sandbox.kfp.rows import FINAL_STATES, Rows
from sandbox.kfp.workflow import PERSISTED, RUN_ID, is_ours, state_of, task_details

log = logging.getLogger(__name__)

_NO_ROW_SECONDS = 0.1


class PersistenceAgent:
    """Reports Workflows into rows.

    Any Workflow with a run's id is reported into its row, whichever Workflow the row was made for: a second
    one rewrites the run's state. A final state is reported once per Workflow; its label says so.

    Attributes
    ----------
    paused
        Set by tests: the agent is down, rows stay as they are, and catch up afterwards.
    """

    def __init__(self, cluster: Cluster, rows: Rows, delay: float, orphan_seconds: float) -> None:
        self._cluster = cluster
        self._rows = rows
        self._delay = delay
        self._orphan_age = timedelta(seconds=orphan_seconds)
        self._latest: dict[tuple[str, str], Manifest] = {}
        self._pending: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._up = asyncio.Event()
        self._up.set()

    @property
    def paused(self) -> bool:
        return not self._up.is_set()

    @paused.setter
    def paused(self, down: bool) -> None:
        if down:
            self._up.clear()
        else:
            self._up.set()

    def observe(self, kind: str, workflow: Manifest) -> None:
        """Note a change; the report follows after the delay with the latest there is."""
        key = (workflow["metadata"]["namespace"], workflow["metadata"]["name"])
        if kind == "DELETED":
            self._latest.pop(key, None)
            return
        self._latest[key] = workflow
        if key not in self._pending:
            self._pending[key] = asyncio.create_task(self._report_later(key))

    async def _report_later(self, key: tuple[str, str]) -> None:
        """Report once; while there is no row for it, which may only not be stored yet, again and again."""
        delay = self._delay
        try:
            while True:
                await asyncio.sleep(delay)
                await self._up.wait()
                workflow = self._latest.get(key)
                if workflow is None or self._has_row(workflow):
                    break
                delay = _NO_ROW_SECONDS
        finally:
            self._pending.pop(key, None)
        if workflow is not None:
            await self._report(workflow)

    def _has_row(self, workflow: Manifest) -> bool:
        return (workflow["metadata"].get("labels") or {}).get(RUN_ID) in self._rows.runs

    async def _report(self, workflow: Manifest) -> None:
        metadata = workflow["metadata"]
        labels = metadata.get("labels") or {}
        row = self._rows.runs.get(labels.get(RUN_ID, ""))
        if row is None or PERSISTED in labels:
            return
        state = state_of(workflow)
        if row.state == "CANCELING" and metadata["name"] == row.workflow and state not in FINAL_STATES:
            state = "CANCELING"  # an older version of the Workflow, read before it was told to end
        if state in FINAL_STATES:
            # The label first: once the row is final, a retry may take the label away again.
            patch = {"metadata": {"labels": {PERSISTED: "true"}}}
            with contextlib.suppress(ClusterError):
                await self._cluster.patch_workflow(metadata["namespace"], metadata["name"], patch)
        row = self._rows.runs.get(row.run_id)
        if row is not None:
            self._rows.put_run(row.reported(state, task_details(workflow, row.run_id)))

    async def sweep(self) -> None:
        """Delete Workflows of ours that never got a row, once they are old enough."""
        for key, workflow in list(self._latest.items()):
            metadata = workflow["metadata"]
            old = now() - moment(metadata["creationTimestamp"]) > self._orphan_age
            if old and not self._has_row(workflow) and is_ours(workflow, self._rows.instance):
                log.info("Workflow %s has no run: deleted", metadata["name"])
                with contextlib.suppress(ClusterError):
                    await self._cluster.delete_workflow(*key)

    async def stop(self) -> None:
        for task in list(self._pending.values()):
            task.cancel()
        await asyncio.gather(*self._pending.values(), return_exceptions=True)
