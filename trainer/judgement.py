"""One model judged on a test part: what its recipe measures, and what can be said of any classifier."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer import intervals, metrics, recipe, saved_model
from trainer.dataset import DataSet
from trainer.errors import WrongInput, one_sentence
from trainer.progress import say
from trainer.report.findings import findings

_CLASSIFIERS = ("accuracy", "loss", "macro_f1")  # metrics that an interval is known of


@dataclass(frozen=True, eq=False)
class Judgement:
    """What is known of a model.

    Attributes
    ----------
    metrics
        By name; numbers only.
    intervals
        95% confidence intervals of some of them, [low, high].
    findings
        What a report shows; None where the model is no classifier of these classes.
    losses, right
        Of every example, for a comparison with another model's; None likewise.
    """

    metrics: dict[str, float]
    intervals: dict[str, list[float]] = field(default_factory=dict)
    findings: dict[str, Any] | None = None
    losses: npt.NDArray[np.float64] | None = None
    right: npt.NDArray[np.bool_] | None = None


def judge(loaded: recipe.Recipe, model_dir: Path, data: DataSet) -> Judgement:
    """Return what the recipe's `evaluate` says, with latency, and with intervals and findings for a classifier.

    Raises
    ------
    Exception
        Whatever the recipe raises. What is said beyond its metrics never is at fault.
    """
    found = loaded.evaluate(model_dir, data)
    try:
        latency = _latency(model_dir, data)
        measured = {**found, **{name: value for name, value in latency.items() if name not in found}}
        probabilities, columns = _as_classifier(model_dir, data)
    except Exception:  # another kind of model than is known here: its recipe has said what it is worth
        return Judgement(found)
    try:
        return _with_findings(measured, model_dir, data, probabilities, columns)
    except Exception as error:
        say(f"no tables and curves: {one_sentence(error)}")
        return Judgement(measured)


def _with_findings(
    measured: dict[str, float],
    model_dir: Path,
    data: DataSet,
    probabilities: npt.NDArray[Any],
    columns: npt.NDArray[np.int64],
) -> Judgement:
    # A recipe's own idea of a metric with a known name is left alone, and then has no interval of ours.
    ours = metrics.classification(probabilities, columns)
    same = [
        name
        for name in _CLASSIFIERS
        if name in measured and np.isclose(measured[name], ours[name], atol=1e-6)
    ]
    known = intervals.of_classification(probabilities, columns)
    names = saved_model.class_names(model_dir) or data.class_names
    return Judgement(
        measured,
        {name: known[name] for name in same if name in known},
        findings(probabilities, columns, names, data.test.inputs),
        metrics.losses(probabilities, columns),
        probabilities.argmax(axis=1) == columns,
    )


def _latency(model_dir: Path, data: DataSet) -> dict[str, float]:
    times = saved_model.latencies(model_dir, data.test.inputs)
    middle, slow = np.quantile(times, (0.5, 0.95))
    return {"latency_ms": round(float(middle), 4), "latency_p95_ms": round(float(slow), 4)}


def _as_classifier(model_dir: Path, data: DataSet) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    found = saved_model.predictions(model_dir, data.test.inputs)
    if found.ndim != 2 or found.shape[1] < 2 or found.min() < -1e-3 or found.max() > 1 + 1e-3:
        raise WrongInput("not one probability a class")
    names = saved_model.class_names(model_dir)
    if len(names or data.class_names) != found.shape[1]:
        raise WrongInput("other classes than the data's")
    return found, metrics.as_columns(data.test.labels, data.class_names, names, found.shape[1])


def comparison(candidate: Judgement, incumbent: Judgement) -> dict[str, dict[str, Any]]:
    """Return the candidate's differences from the incumbent, with intervals where both answered the same examples.

    The difference of each example is what varies, so two models that err on the same ones are told apart on few
    examples: the interval is narrower than those of the two metrics suggest.
    """
    told: dict[str, dict[str, Any]] = {}
    for name in candidate.metrics.keys() & incumbent.metrics.keys():
        told[name] = {"difference": candidate.metrics[name] - incumbent.metrics[name]}
    pairs = {"accuracy": (candidate.right, incumbent.right), "loss": (candidate.losses, incumbent.losses)}
    for name, (mine, other) in pairs.items():
        if name in candidate.intervals and name in incumbent.intervals:
            assert mine is not None
            assert other is not None
            interval = intervals.mean(mine.astype(np.float64) - other.astype(np.float64))
            told[name].update({"interval": list(interval)} if interval else {})
    return dict(sorted(told.items()))
