"""The evaluate step: the new model's metrics, and the serving one's on the same data."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import data, output, recipe, result, saved_model, versions
from trainer.dataset import DataSet
from trainer.errors import TrainerError, Unavailable, WrongInput, one_sentence
from trainer.judgement import Judgement, comparison, judge
from trainer.progress import say
from trainer.reading import Reading
from trainer.report import page
from trainer.steps import download, train
from trainer.table import Table

_SAMPLE = 5
_LONGEST = 2_000  # characters of an error that ends the step


@dataclass(frozen=True)
class Incumbent:
    """The version serving now; `uri` is its …/model/, which holds one folder with a number for a name."""

    version: int
    uri: str


@contextmanager
def made_before(uri: str, digest: str | None = None) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the model and the lineage of a version that lies where export put it. It is held to its own result first.

    Parameters
    ----------
    uri
        Its …/model/.
    digest
        SHA-256 that its result file must have, in hexadecimal; None: any.

    Raises
    ------
    WrongInput
        If its files are not those that its result lists ("ModelChanged: …"). What is said inside about the copy is
        said about `uri`.
    """
    with tempfile.TemporaryDirectory(prefix="trainer-version-") as folder:
        model_dir, made = versions.checked(uri, Path(folder), digest)
        say(f"version {made.get('version')} is what its {result.NAME} says")
        try:
            yield model_dir, made.get("lineage") or {}
        except TrainerError as error:
            raise type(error)(one_sentence(error, _LONGEST, {Path(folder): uri})) from error


def run(
    data_dir: Path | None,
    model_dir: Path,
    entrypoint: str,
    output_file: Path,
    evaluation_data: Path | None = None,
    parameters: Mapping[str, Any] | None = None,
    incumbent: Incumbent | None = None,
    report_file: Path | None = None,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write metrics, number of samples, the incumbent's metrics and a sample prediction to `output_file`.

    What else there is to show stands under "report" there (tables, curves, mistakes; at most about 2 MiB), drawn as
    a page in `report_file`.

    Parameters
    ----------
    data_dir
        The data that it was trained on, whose test part is used; None where `evaluation_data` is given.
    training
        How the model was trained, for the report; None: as the train step recorded it beside the model.

    Raises
    ------
    WrongInput
        If the recipe, the data or the new model are at fault. The incumbent is never: what is wrong with it
        is recorded.
    """
    loaded, how, _ = train.check(entrypoint, parameters or {})
    found = _judged_by(data_dir, evaluation_data, how)
    say(f"evaluating on {len(found.test)} examples")
    mine = judge(loaded, model_dir, found)
    say(_told(mine))
    evaluation: dict[str, Any] = {
        "metrics": mine.metrics,
        "intervals": mine.intervals,
        "samples": len(found.test),
    }
    other = None
    if incumbent:
        evaluation["incumbent"], other = _incumbent(loaded, incumbent, found)
    if other:
        evaluation["comparison"] = comparison(mine, other)
    if sample := _sample(model_dir, found):
        evaluation["sample"] = sample
    evaluation["report"] = {
        "candidate": mine.findings,
        "incumbent": other.findings if other else None,
        "training": output.record(model_dir, train.RECORD) if training is None else training,
        "data": output.record(data_dir, download.RECORD) if data_dir else None,
        "evaluationData": output.record(evaluation_data, download.RECORD) if evaluation_data else None,
    }
    _write(output_file, result.encoded(evaluation))
    if report_file:
        _write(report_file, page.drawn(evaluation).encode())


def _told(found: Judgement) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in found.metrics.items())


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _judged_by(data_dir: Path | None, evaluation_data: Path | None, how: Reading) -> DataSet:
    if evaluation_data:
        return data.read(evaluation_data, how).held_out()
    if data_dir is None:
        raise WrongInput("there is no data to evaluate on; give --data or --evaluation-data")
    found, said = data.read(data_dir, how).data_set()
    say(said)
    return found


def _incumbent(
    loaded: recipe.Recipe, incumbent: Incumbent, found: DataSet
) -> tuple[dict[str, Any], Judgement | None]:
    told: dict[str, Any] = {"version": incumbent.version, "uri": incumbent.uri}
    judged = None
    with tempfile.TemporaryDirectory(prefix="trainer-incumbent-") as folder:
        try:
            judged = judge(loaded, versions.fetched(incumbent.uri, Path(folder)), found)
            told.update(metrics=judged.metrics, intervals=judged.intervals)
            say(f"serving now: {_told(judged)}")
        except Unavailable:
            raise  # a store that does not answer says nothing about the model: the step is tried again
        except Exception as error:
            told["error"] = one_sentence(error, copies={Path(folder): incumbent.uri})
            say(f"serving now: version {incumbent.version} cannot be evaluated: {told['error']}")
    return told, judged


def _sample(model_dir: Path, found: DataSet) -> dict[str, Any] | None:
    """Return a few instances with their predictions, as many as fit 128 KiB: for a smoke prediction."""
    inputs = found.test.inputs
    inputs = (inputs.complete() if isinstance(inputs, Table) else inputs)[:_SAMPLE]
    if not len(inputs):
        return None
    predicted = saved_model.v1_predictions(model_dir, inputs)
    for count in range(len(inputs), 0, -1):
        sample = {"instances": inputs[:count].tolist(), "predictions": predicted[:count]}
        if len(result.encoded(sample)) <= result.MAX_SAMPLE_BYTES:
            return sample
    return None
