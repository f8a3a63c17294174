"""Evaluations in every state that a report is drawn of, made without training anything."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from trainer import intervals, metrics
from trainer.judgement import Judgement, comparison
from trainer.report.findings import findings

VERSION = {
    "schemaVersion": 1,
    "uid": "7b0e8a52-3f5f-4d0c-9a53-0d4f6a3c2b11",
    "version": 3,
    "runId": "5f1c3a8e-6f53-5f0b-9f0b-3b0a9f3d2c11",
    "manifest": [{"key": "model/3/saved_model.pb", "size": 812_345, "etag": "e", "sha256": "0" * 64}],
    "lineage": {
        "entrypoint": "trainer.recipes.image_classifier",
        "image": "registry.example/trainer:1",
        "python": "3.11.7",
        "tensorflow": "2.21.0",
        "trainingHash": "c0ffee" * 10,
    },
}


def answers(count: int, classes: int, skill: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return made-up probabilities [count, classes] and labels; the same labels for every skill."""
    labels = np.random.default_rng(7).integers(0, classes, count)
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1, (count, classes))
    # Neighbours are mixed up more often than others, as with real classes.
    logits[np.arange(count), (labels + 1) % classes] += 1.2
    logits[np.arange(count), labels] += skill
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True), labels


def judgement(
    probabilities: np.ndarray, labels: np.ndarray, names: list[str], inputs: np.ndarray
) -> Judgement:
    return Judgement(
        {**metrics.classification(probabilities, labels), "latency_ms": 0.41, "latency_p95_ms": 0.77},
        intervals.of_classification(probabilities, labels),
        findings(probabilities, labels, names, inputs),
        metrics.losses(probabilities, labels),
        probabilities.argmax(axis=1) == labels,
    )


def evaluation(
    names: list[str],
    inputs: np.ndarray,
    skill: float = 4.5,
    incumbent_skill: float | None = None,
    epochs: int = 10,
    parameters: dict[str, Any] | None = None,
) -> dict[str, Any]:
    probabilities, labels = answers(len(inputs), len(names), skill)
    mine = judgement(probabilities, labels, names, inputs)
    history = [
        {
            "epoch": epoch,
            "loss": 2.3 * 0.6**epoch + 0.05,
            "accuracy": 1 - 0.8 * 0.6**epoch,
            "validation_loss": 2.3 * 0.65**epoch + 0.12,
            "validation_accuracy": 1 - 0.8 * 0.65**epoch - 0.02,
        }
        for epoch in range(1, epochs + 1)
    ]
    found: dict[str, Any] = {"metrics": mine.metrics, "intervals": mine.intervals, "samples": len(inputs)}
    training = {
        "parameters": parameters
        or {"network": "dense", "epochs": epochs, "batchSize": 64, "learningRate": 0.004},
        "examples": {"train": 4 * len(inputs), "test": len(inputs)},
        "classes": len(names),
        "entrypoint": "trainer.recipes.image_classifier",
        "packages": [],
        "seconds": 12.3,
        "startedAt": "2026-11-20T19:00:00Z",
        "finishedAt": "2026-11-20T19:00:12Z",
        "history": history,
    }
    data = {"uri": "s3://datasets/mnist/", "digest": f"sha256:{'ab' * 32}", "objects": 4, "bytes": 11_594_722}
    found["report"] = {"candidate": mine.findings, "incumbent": None, "training": training, "data": data}
    if incumbent_skill is not None:
        before = judgement(*answers(len(inputs), len(names), incumbent_skill, seed=1), names, inputs)
        found["incumbent"] = {"version": 2, "metrics": before.metrics, "intervals": before.intervals}
        found["comparison"] = comparison(mine, before)
        found["report"]["incumbent"] = before.findings
    return found


def _pictures(count: int, side: int = 28, channels: int = 1) -> np.ndarray:
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side] / max(side, 2)
    turns = random.uniform(2, 9, (count, 1, 1))
    waves = np.sin(turns * x) * np.cos(turns[::-1] * y)
    return np.repeat((127 * (1 + waves)).astype(np.uint8)[..., None], channels, axis=3)


def _digits(count: int = 2_000) -> tuple[list[str], np.ndarray]:
    return [str(number) for number in range(10)], _pictures(count)


def no_incumbent() -> dict[str, Any]:
    return evaluation(*_digits())


def better() -> dict[str, Any]:
    return evaluation(*_digits(), incumbent_skill=3.9)


def worse() -> dict[str, Any]:
    return evaluation(*_digits(), skill=3.9, incumbent_skill=4.5)


def incumbent_that_cannot() -> dict[str, Any]:
    found = evaluation(*_digits())
    found["incumbent"] = {
        "version": 2,
        "error": "the model takes inputs of the shape 8x8x1, the data has 28x28x1",
    }
    return found


def hundred_classes() -> dict[str, Any]:
    return evaluation([f"class-{number:03}" for number in range(100)], _pictures(5_000, 32, 3), 5.0, 4.6)


def one_pixel() -> dict[str, Any]:
    return evaluation(["dark", "light"], _pictures(300, 1), 2.0, 1.5, epochs=1)


def one_feature() -> dict[str, Any]:
    inputs = np.random.default_rng(0).normal(0, 1, (300, 1)).astype(np.float32)
    return evaluation(["no", "yes"], inputs, 2.0, epochs=60)


def many_features() -> dict[str, Any]:
    inputs = np.random.default_rng(0).normal(0, 1e4, (300, 40)).astype(np.float32)
    return evaluation(["setosa", "versicolor", "virginica"], inputs, 3.0)


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def long_names() -> dict[str, Any]:
    names = [
        "Melanoma" + "verylongwithoutanyspace" * 6,
        HOSTILE,
        "naïve “quotes” 日本語 😀",
        "a name of many words that goes on and on, further than anybody would want to read it in a table",
        "\u202eright to left\u0000 and zero",
        "</style><style>body{display:none}",
    ]
    parameters = {"text": HOSTILE * 8, HOSTILE: 1, "nested": {"deep": ["x" * 300]}}
    return evaluation(names, _pictures(600), 2.5, 2.5, parameters=parameters)


def nothing_but_metrics() -> dict[str, Any]:
    return {"metrics": {"rmse": 12.5, "loss": None, "r2": 1e-9}, "samples": 12}


def perfect() -> dict[str, Any]:
    return evaluation(*_digits(500), skill=60.0, incumbent_skill=60.0)


def _made_once(make: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    kept = functools.cache(make)
    return lambda: copy.deepcopy(kept())


STATES: dict[str, Callable[[], dict[str, Any]]] = {
    make.__name__: _made_once(make)
    for make in (
        *(no_incumbent, better, worse, incumbent_that_cannot, hundred_classes, one_pixel, one_feature),
        *(many_features, long_names, nothing_but_metrics, perfect),
    )
}
