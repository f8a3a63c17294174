"""What can be done with a resource's file alone, without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from .credentials import data_secret, evaluation_secret
from .pipeline import PipelineInputs, compile_pipeline
from .resource import KIND, TrainAndServe
from .settings import Settings
from .storage_access import StorageAccess, from_annotations

_NO_UID = "00000000-0000-0000-0000-000000000000"


class OfflineError(ValueError):
    """The file is not what is needed; the message says what is."""


def compile_file(filename: Path, secrets: list[Path]) -> str:
    """The pipeline of the resource in a file, as Kubeflow Pipelines' own pages import it.

    Parameters
    ----------
    secrets
        Files with the Secrets it names: their annotations say where S3 is. A Secret without a file stands for Amazon's own.

    Raises
    ------
    OfflineError
        The file holds no TrainAndServe that could be used.
    """
    resource = _read(filename)
    known = {secret["metadata"]["name"]: secret for path in secrets for secret in _documents(path, "Secret")}
    inputs = PipelineInputs(
        image=resource.spec.train.image or Settings().trainer_image,
        data=_access(data_secret(resource), known),
        evaluation=_access(evaluation_secret(resource), known) if _has_evaluation_data(resource) else None,
        storage=_access(resource.spec.storage.secret_name, known),
    )
    try:
        return compile_pipeline(resource, inputs).yaml
    except (TypeError, ValueError) as error:
        raise OfflineError(str(error)) from error


def _has_evaluation_data(resource: TrainAndServe) -> bool:
    return resource.spec.evaluation is not None and resource.spec.evaluation.data is not None


def _documents(path: Path, kind: str) -> list[dict[str, Any]]:
    return [
        one
        for one in yaml.safe_load_all(path.read_text())
        if isinstance(one, dict) and one.get("kind") == kind
    ]


def _read(filename: Path) -> TrainAndServe:
    found = _documents(filename, KIND)
    if len(found) != 1:
        raise OfflineError(f"write one {KIND} into the file; it has {len(found)}")
    body = found[0]
    body["metadata"] = {"uid": _NO_UID, **(body.get("metadata") or {})}
    try:
        return TrainAndServe.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise OfflineError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _access(name: str | None, known: dict[str, dict[str, Any]]) -> StorageAccess:
    secret = known.get(name or "")
    annotations = (secret or {}).get("metadata", {}).get("annotations") or {}
    try:
        return from_annotations(name, annotations)
    except ValueError as error:
        raise OfflineError(f"Secret {name}: {error}") from error
