"""The record step: an evaluation of a version that exists already, beside it; the version's own result stays as it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trainer import output, result, versions
from trainer.progress import say
from trainer.steps import download, export
from trainer.storage import place

NAME = "evaluation.json"


@dataclass(frozen=True)
class Evaluation:
    """Whose evaluation this is, as the file names it.

    Attributes
    ----------
    number, uid
        The version that was evaluated, and the resource it belongs to.
    run_id
        The run that evaluated it.
    evaluates
        The run that made it.
    result_digest
        SHA-256 of the version's own result file.
    training_hash
        What the resource asked for when this run was planned.
    """

    number: int
    uid: str
    run_id: str
    evaluates: str
    result_digest: str | None = None
    training_hash: str | None = None


def run(
    evaluation_file: Path,
    destination: str,
    evaluation: Evaluation,
    data_dir: Path | None = None,
    evaluation_data: Path | None = None,
) -> None:
    """Draw report.html at `destination`, and then write evaluation.json there.

    A prefix is written once. What the same run wrote there before stays as it is, although a second evaluation may have
    measured other times: whoever read it has read it.

    Raises
    ------
    WrongInput
        If there are no metrics, or another run's evaluation is there.
    """
    target = place(destination if destination.endswith("/") else destination + "/")
    if versions.already_there(target, NAME, partial(_same, evaluation)):
        say(f"{target.uri}{NAME} is there already")
        return
    told = _told(evaluation_file, evaluation, data_dir, evaluation_data)
    if drawn := export.report(evaluation_file, told):
        target.write(export.REPORT, drawn)
    target.write(NAME, result.fitting(told))
    say(f"recorded the evaluation of version {evaluation.number}")


def _told(
    evaluation_file: Path, evaluation: Evaluation, data_dir: Path | None, evaluation_data: Path | None
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "schemaVersion": result.SCHEMA_VERSION,
        "uid": evaluation.uid,
        "version": evaluation.number,
        "runId": evaluation.run_id,
        "evaluates": evaluation.evaluates,
        **export.measured(evaluation_file),
    }
    asked = {"resultDigest": evaluation.result_digest, "trainingHash": evaluation.training_hash}
    folders = {"data": data_dir, "evaluationData": evaluation_data}
    return {
        **told,
        **{name: value for name, value in asked.items() if value},
        **{name: output.record(folder, download.RECORD) for name, folder in folders.items() if folder},
    }


def _same(evaluation: Evaluation, found: Mapping[str, Any]) -> bool:
    wanted = {"uid": evaluation.uid, "version": evaluation.number, "runId": evaluation.run_id}
    return {name: found.get(name) for name in wanted} == wanted
