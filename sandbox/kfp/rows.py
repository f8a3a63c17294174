"""The database of the stand-in: runs and experiments as documents, in memory or in a sqlite file."""

from __future__ import annotations

import json
import sqlite3
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sandbox.kfp.clock import UNSET, now, stamp

FINAL_STATES = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
DEFAULT_EXPERIMENT = "Default"


@dataclass(frozen=True)
class ExperimentRow:
    experiment_id: str
    display_name: str
    description: str
    namespace: str
    created_at: str
    storage_state: str = "AVAILABLE"
    last_run_created_at: str = UNSET


@dataclass(frozen=True)
class RunRow:
    """One run.

    Attributes
    ----------
    source
        `pipeline_spec` as it was sent; echoed in every answer.
    state
        None while the server says nothing (RUNTIME_STATE_UNSPECIFIED leaves the key out of the JSON).
    state_history
        Pairs of time and state, written when the Workflow's state is reported: a termination shows in `state`
        at once, and here only with the next report.
    tasks
        `run_details.task_details`, None before the first report.
    """

    run_id: str
    display_name: str
    description: str
    experiment_id: str
    namespace: str
    service_account: str
    source: dict[str, Any]
    runtime_config: dict[str, Any]
    workflow: str
    created_at: str
    state: str | None = "PENDING"
    state_history: tuple[tuple[str, str | None], ...] = ()
    finished_at: str = UNSET
    storage_state: str = "AVAILABLE"
    tasks: list[dict[str, Any]] | None = field(default=None)

    @property
    def unmatched(self) -> None:
        """What a list can be filtered by without ever finding anything."""
        return None

    def reported(self, state: str | None, tasks: list[dict[str, Any]]) -> RunRow:
        """The row after a report of its Workflow, whatever the row said before: the last report wins."""
        at = stamp(now())
        history = self.state_history
        if not history or history[-1][1] != state:
            history = (*history, (at, state))
        finished = at if state in FINAL_STATES else UNSET
        return replace(self, state=state, state_history=history, finished_at=finished, tasks=tasks)


class Rows:
    """Runs and experiments by id; every change is on disk when the call returns, if there is a file.

    Attributes
    ----------
    instance
        Identity of this database: Workflows carry it, so that one stand-in leaves another one's alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._database = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS documents (kind TEXT, id TEXT, document TEXT, PRIMARY KEY (kind, id))"
        )
        self.runs = {row.run_id: row for row in map(_run, self._read("run"))}
        self.experiments = {
            row.experiment_id: row for row in (ExperimentRow(**d) for d in self._read("experiment"))
        }
        self.instance = self._instance()

    def _read(self, kind: str) -> list[dict[str, Any]]:
        found = self._database.execute(
            "SELECT document FROM documents WHERE kind = ? ORDER BY rowid", (kind,)
        )
        return [json.loads(document) for (document,) in found]

    def _write(self, kind: str, key: str, document: dict[str, Any]) -> None:
        self._database.execute(
            "INSERT INTO documents VALUES (?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document",
            (kind, key, json.dumps(document)),
        )

    def _instance(self) -> str:
        for document in self._read("instance"):
            return str(document["id"])
        instance = str(uuid.uuid4())
        self._write("instance", "", {"id": instance})
        return instance

    def put_run(self, row: RunRow) -> None:
        self.runs[row.run_id] = row
        self._write("run", row.run_id, asdict(row))

    def put_experiment(self, row: ExperimentRow) -> None:
        self.experiments[row.experiment_id] = row
        self._write("experiment", row.experiment_id, asdict(row))

    def delete(self, kind: str, key: str) -> None:
        table: dict[str, Any] = self.runs if kind == "run" else self.experiments
        table.pop(key, None)
        self._database.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, key))

    def experiment_named(self, name: str, namespace: str) -> ExperimentRow | None:
        rows = self.experiments.values()
        return next((row for row in rows if (row.display_name, row.namespace) == (name, namespace)), None)

    def close(self) -> None:
        self._database.close()


def _run(document: dict[str, Any]) -> RunRow:
    history = tuple((at, state) for at, state in document.pop("state_history"))
    return RunRow(state_history=history, **document)
