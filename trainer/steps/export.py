"""The export step: the model to its place, and last of all the result that makes it a version."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trainer import output, result, versions
from trainer.digest import StoredObject
from trainer.errors import WrongInput, one_sentence, redacted
from trainer.progress import say
from trainer.report import page
from trainer.steps import download, train
from trainer.storage import PARALLEL, place, sha256

REPORT = "report.html"


@dataclass(frozen=True)
class Version:
    """Whose version of what this is, as the result names it."""

    number: int
    uid: str
    run_id: str
    image: str | None = None
    retrain_token: str | None = None
    training_hash: str | None = None


def run(
    model_dir: Path,
    evaluation_file: Path,
    data_dir: Path,
    destination: str,
    version: Version,
    evaluation_data: Path | None = None,
) -> None:
    """Upload the model to `destination`model/<version>/, draw report.html beside it, and then write result.json.

    A prefix is written once: the same again is fine, another result there is not. What an export that stopped half
    way left there is overwritten, and removed where this model has no such file.

    Raises
    ------
    WrongInput
        If there is no model, if the place cannot be written to, or if it holds another result.
    """
    target = place(destination if destination.endswith("/") else destination + "/")
    files = _model_files(model_dir, version.number)
    told = _told(version, model_dir, evaluation_file, data_dir, evaluation_data)
    planned = {**told, "manifest": _manifest(files, _not_stored(files))}
    if versions.already_there(target, result.NAME, partial(_same, planned)):
        say(f"{target.uri}{result.NAME} is there already and says the same")
        return
    say(f"uploading {len(files)} files to {target.uri}model/{version.number}/")
    present = target.objects()
    stored = target.upload(files, present)
    target.remove(each.key for each in present if each.key.startswith("model/") and each.key not in files)
    whole = {**told, "manifest": _manifest(files, stored)}
    if drawn := report(evaluation_file, whole):
        target.write(REPORT, drawn)
    target.write(result.NAME, result.fitting(whole))
    say(f"exported version {version.number}")


def _model_files(model_dir: Path, number: int) -> dict[str, Path]:
    if not (model_dir / "saved_model.pb").is_file():
        raise WrongInput(f"{model_dir} holds no saved_model.pb; run the train step first")
    found = sorted(path for path in model_dir.rglob("*") if path.is_file() and path.name != train.RECORD)
    return {f"model/{number}/{path.relative_to(model_dir).as_posix()}": path for path in found}


def _not_stored(files: Mapping[str, Path]) -> list[StoredObject]:
    return [StoredObject(key, path.stat().st_size, "") for key, path in sorted(files.items())]


def _manifest(files: Mapping[str, Path], stored: list[StoredObject]) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        hashes = pool.map(sha256, [files[each.key] for each in stored])
    return [
        {"key": each.key, "size": each.size, "etag": each.etag, "sha256": digest}
        for each, digest in zip(stored, hashes, strict=True)
    ]


def _told(
    version: Version, model_dir: Path, evaluation_file: Path, data_dir: Path, evaluation_data: Path | None
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "schemaVersion": result.SCHEMA_VERSION,
        "uid": version.uid,
        "version": version.number,
        "runId": version.run_id,
        **measured(evaluation_file),
        "data": output.record(data_dir, download.RECORD),
        "lineage": _lineage(version, output.record(model_dir, train.RECORD)),
    }
    if evaluation_data:
        told["evaluationData"] = output.record(evaluation_data, download.RECORD)
    return told


def measured(evaluation_file: Path) -> dict[str, Any]:
    """Return what the evaluate step found, as far as a result tells it.

    Raises
    ------
    WrongInput
        If the file holds no metrics.
    """
    evaluation = output.record(evaluation_file.parent, evaluation_file.name)
    if not isinstance(evaluation.get("metrics"), dict):
        raise WrongInput(f"{evaluation_file} holds no metrics; run the evaluate step first")
    names = ("metrics", "intervals", "samples", "incumbent", "comparison", "sample")
    return {name: evaluation[name] for name in names if name in evaluation}


def report(evaluation_file: Path, told: Mapping[str, Any]) -> bytes | None:
    """Return the page about a result, None where it cannot be drawn."""
    evaluation = output.record(evaluation_file.parent, evaluation_file.name)
    try:
        return page.drawn(evaluation, told).encode()
    except Exception as error:  # a picture of the model must not keep the model away
        say(f"no {REPORT}: {one_sentence(error)}")
        return None


def _lineage(version: Version, training: Mapping[str, Any]) -> dict[str, Any]:
    names = ("entrypoint", "parameters", "packages", "python", "tensorflow", "startedAt", "finishedAt")
    lineage = {name: training[name] for name in names if name in training}
    token = version.retrain_token or training.get("retrainToken")
    asked = {
        "image": version.image and redacted(version.image),
        "retrainToken": token,
        "trainingHash": version.training_hash,
    }
    return {**lineage, **{name: value for name, value in asked.items() if value}}


def _same(planned: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return result.same(found, json.loads(result.fitting(planned)))
