"""The result file that the last step of a run writes beside the model: the operator's side of the schema.

A result counts only if it names this resource, version and run, and its manifest is what the bucket holds.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from . import reasons
from .gateways.errors import Refused, brief
from .gateways.s3 import S3Object
from .observation import Result


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", allow_inf_nan=False
    )


Short = Annotated[str, StringConstraints(max_length=253)]
Metrics = Annotated[dict[str, float | None], Field(max_length=64)]
"""As many as the status holds."""

Count = Annotated[int, Field(ge=0, le=2**53)]


class File(_Part):
    """One file of the model, by its key relative to the attempt's prefix."""

    key: str
    size: int = Field(ge=0)
    etag: str
    sha256: str


class IncumbentResult(_Part):
    """The version that served, evaluated on the same data."""

    version: int
    metrics: Metrics | None = None
    error: str | None = None


class DataRecord(_Part):
    """A data set as it was read."""

    digest: Short | None = None


class Lineage(_Part):
    """What made the model, as far as the operator needs it again."""

    training_hash: Short = ""
    retrain_token: Short = ""


class _Told(_Part):
    """What the file of a run says, whatever the run did: whose it is, and what was measured."""

    schema_version: Annotated[int, Field(ge=1, le=1)]
    uid: str
    version: int
    run_id: str
    metrics: Metrics
    samples: Count | None = None
    incumbent: IncumbentResult | None = None


class ResultFile(_Told):
    """What a run writes that makes a version, beside its model."""

    sample: dict[str, Any] | None = None
    manifest: Annotated[list[File], Field(min_length=1, max_length=10_000)]
    data: DataRecord = DataRecord()
    lineage: Lineage = Lineage()


class EvaluationFile(_Told):
    """What a run writes that only evaluates a version, beside it."""

    evaluates: str


F = TypeVar("F", bound=_Part)


def read_result(data: bytes, uri: str) -> ResultFile:
    """Read the file.

    Raises
    ------
    Refused
        It is not what a trainer of this version writes.
    """
    return _read(ResultFile, data, uri)


def evaluation(data: bytes, uri: str, *, uid: str, version: int, evaluates: str, run_id: str) -> Result:
    """What a run found that only evaluated a version, if its file names this resource, version and runs.

    Parameters
    ----------
    evaluates
        The run that made the version.

    Raises
    ------
    Refused
        Something is otherwise.
    """
    file = _read(EvaluationFile, data, uri)
    _check_names(
        ("uid", file.uid, uid),
        ("version", file.version, version),
        ("run", file.run_id, run_id),
        ("run that made it", file.evaluates, evaluates),
    )
    return _found(file, data)


def _read(kind: type[F], data: bytes, uri: str) -> F:
    try:
        return kind.model_validate(from_json(data, allow_inf_nan=False))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise Refused(reasons.NO_RESULT, f"{uri} is no result file: {place}: {first['msg']}") from error
    except ValueError as error:
        raise Refused(reasons.NO_RESULT, f"{uri} is no result file: {brief(error)}") from error


def checked(
    file: ResultFile, data: bytes, listing: list[S3Object], *, uid: str, version: int, run_id: str
) -> Result:
    """The result, if it names this resource, version and run, and the bucket holds exactly the files it lists.

    Raises
    ------
    Refused
        Something is otherwise; the message names the first difference.
    """
    _check_names(("uid", file.uid, uid), ("version", file.version, version), ("run", file.run_id, run_id))
    if difference := _difference(file, listing, f"model/{version}/"):
        raise Refused(
            reasons.MODEL_CHANGED, f"the model's files are not those of the result file: {difference}"
        )
    return replace(
        _found(file, data),
        training_hash=file.lineage.training_hash,
        retrain_token=file.lineage.retrain_token,
        data_digest=file.data.digest,
        sample=file.sample,
    )


def _check_names(*names: tuple[str, str | int, str | int]) -> None:
    for name, found, wanted in names:
        if found != wanted:
            raise Refused(
                reasons.NO_RESULT, f"the result file is of another {name}: {found} instead of {wanted}"
            )


def _difference(file: ResultFile, listing: list[S3Object], folder: str) -> str | None:
    there = {one.key: one for one in listing if one.key.startswith("model/")}
    listed = {one.key: one for one in file.manifest}
    if len(listed) < len(file.manifest):
        return f"{_twice(file)} is listed twice"
    for key, entry in listed.items():
        found = there.get(key)
        if not key.startswith(folder):
            return f"{key} is not below {folder}"
        if found is None:
            return f"{key} is missing"
        if (found.size, found.etag) != (entry.size, entry.etag.strip('"')):
            return f"{key} has another size or ETag"
    extra = sorted(there.keys() - listed.keys())
    return f"{extra[0]} is not in the manifest" if extra else None


def _twice(file: ResultFile) -> str:
    counts = Counter(one.key for one in file.manifest)
    return counts.most_common(1)[0][0]


def _found(file: _Told, data: bytes) -> Result:
    before = file.incumbent
    return Result(
        version=file.version,
        run_id=file.run_id,
        digest=result_digest(data),
        metrics=_numbers(file.metrics),
        samples=file.samples,
        incumbent_version=before.version if before else None,
        incumbent_metrics=_numbers(before.metrics) if before and before.metrics is not None else None,
        incumbent_error=brief(before.error) if before and before.error is not None else None,
    )


def result_digest(data: bytes) -> str:
    """SHA-256 of the file's bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _numbers(metrics: dict[str, float | None]) -> dict[str, float]:
    """The metrics that are numbers: what is none counts as missing."""
    return {name: value for name, value in metrics.items() if value is not None}
