"""The record step: an evaluation of a version that exists already, beside it; the version's own result stays as it is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import output, result
from trainer.errors import WrongInput
from trainer.progress import say
from trainer.steps import download, export
from trainer.storage import Place, place

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
    if _already_there(target, evaluation):
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
    for name, value in (
        ("resultDigest", evaluation.result_digest),
        ("trainingHash", evaluation.training_hash),
    ):
        told.update({name: value} if value else {})
    for name, folder in (("data", data_dir), ("evaluationData", evaluation_data)):
        told.update({name: output.record(folder, download.RECORD)} if folder else {})
    return told


def _already_there(target: Place, evaluation: Evaluation) -> bool:
    content = target.read(NAME)
    if content is None:
        return False
    try:
        found: Mapping[str, Any] = json.loads(content)
        if (found["uid"], found["version"], found["runId"]) == (
            evaluation.uid,
            evaluation.number,
            evaluation.run_id,
        ):
            return True
    except (ValueError, KeyError, TypeError):
        pass
    raise WrongInput(f"{target.uri} already holds another {NAME}; it is written once: use a new prefix")
