"""Which field of the specification means what: a new model, a new judgement, a changed InferenceService, or none of these."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from tests.unit.builders import a_resource, a_spec
from trainandserve import settings
from trainandserve.hashes import gate_hash, retrain_token, serving_hash, training_hash, training_inputs
from trainandserve.resource import Model, Resources, Spec, Toleration, TrainAndServe

RESOURCES = {"limits": {"cpu": "4"}}
TOLERATIONS = [{"key": "gpu", "operator": "Exists"}]

FIELDS: dict[str, tuple[str, Any]] = {
    "data.uri": ("training", "s3://datasets/other/"),
    "data.secretName": ("", "other"),
    "storage.uri": ("", "s3://elsewhere/"),
    "storage.secretName": ("serving", "other"),
    "storage.deletionPolicy": ("", "Delete"),
    "storage.keepVersions": ("", 3),
    "training.image": ("training", "registry.example/b:2"),
    "training.entrypoint": ("training", "my.recipe"),
    "training.parameters": ("training", {"epochs": 6}),
    "training.packages": ("training", ["a==1"]),
    "training.resources": ("", RESOURCES),
    "training.nodeSelector": ("", {"gpu": "yes"}),
    "training.tolerations": ("", TOLERATIONS),
    "training.serviceAccountName": ("", "trainer"),
    "training.imagePullSecrets": ("", ["registry"]),
    "training.podLabels": ("", {"team": "vision"}),
    "training.podAnnotations": ("", {"team": "vision"}),
    "training.retries.limit": ("", 3),
    "training.retries.backoff": ("", "1m"),
    "training.runRetries": ("", 4),
    "training.timeout": ("", "1h"),
    "training.caching": ("", False),
    "evaluation.data.uri": ("training", "s3://held/out/"),
    "evaluation.data.secretName": ("", "other"),
    "evaluation.metrics.name": ("gate", "f1"),
    "evaluation.metrics.min": ("gate", 0.5),
    "evaluation.metrics.max": ("gate", 0.99),
    "evaluation.metrics.maxRegression": ("gate", 0.01),
    "evaluation.metrics.minSamples": ("gate", 100),
    "evaluation.onIncumbentError": ("gate", "Hold"),
    "evaluation.approval": ("gate", "Manual"),
    "serving.modelFormat": ("serving", "tensorflow"),
    "serving.runtime": ("serving", "mine"),
    "serving.protocolVersion": ("serving", "v1"),
    "serving.minReplicas": ("serving", 2),
    "serving.maxReplicas": ("serving", 4),
    "serving.resources": ("serving", RESOURCES),
    "serving.serviceAccountName": ("serving", "predictor"),
    "serving.nodeSelector": ("serving", {"gpu": "yes"}),
    "serving.tolerations": ("serving", TOLERATIONS),
    "serving.pinnedVersion": ("", 3),
    "serving.deletionPolicy": ("", "Orphan"),
    "serving.rollout.strategy": ("", "Canary"),
    "serving.rollout.steps": ("", [25]),
    "serving.rollout.stepDuration": ("", "1m"),
    "serving.rollout.analysis.query": ("", "p90-seconds"),
    "serving.rollout.analysis.min": ("", 0.1),
    "serving.rollout.analysis.max": ("", 0.2),
    "serving.rollout.analysis.interval": ("", "2m"),
    "serving.rollout.analysis.failureLimit": ("", 1),
    "serving.rollout.analysis.consecutiveErrorLimit": ("", 1),
    "serving.rollout.analysis.noTraffic": ("", "Pass"),
    "suspend": ("", True),
    "historyLimit": ("", 3),
}
"""What each field moves, and a value for it."""

BESIDE: dict[str, dict[str, Any]] = {
    "training.retries.backoff": {"training": {"retries": {"limit": 1}}},
    "evaluation.data.secretName": {"evaluation": {"data": {"uri": "s3://held/out/"}}},
} | {
    path: {"serving": {"rollout": {"analysis": [{"query": "error-rate", "max": 0.1}]}}}
    for path in FIELDS
    if path.startswith("serving.rollout.analysis.")
}
"""What must be there before the field can be."""


def parts(annotation: Any) -> Iterator[type[Model]]:
    """The models that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, list, Annotated):
        for part in get_args(annotation):
            yield from parts(part)


def fields(model: type[Model], path: str = "") -> Iterator[str]:
    """Every field, by its path in the API's names; what Kubernetes defines is one field."""
    for name, found in model.model_fields.items():
        here = f"{path}{found.alias or name}"
        inner = [part for part in parts(found.annotation) if not issubclass(part, Resources | Toleration)]
        if not inner:
            yield here
        for part in inner:
            yield from fields(part, f"{here}.")


def moved(before: TrainAndServe, after: TrainAndServe) -> str:
    hashes = {"training": training_hash, "gate": gate_hash, "serving": serving_hash}
    return " ".join(name for name, taken in hashes.items() if taken(before) != taken(after))


def with_field(path: str, value: Any) -> TrainAndServe:
    spec: dict[str, Any] = a_spec(**BESIDE.get(path, {}))
    *above, last = path.split(".")
    place = spec
    for part in above:
        place = place.setdefault(part, {})
        if isinstance(place, list):
            place[0] = place = dict(place[0])
    place[last] = value
    return a_resource(**spec)


def test_every_field_of_the_specification_says_what_it_moves() -> None:
    assert sorted(fields(Spec)) == sorted(FIELDS)


@pytest.mark.parametrize("path", FIELDS)
def test_a_field_moves_its_hash_and_no_other(path: str) -> None:
    moves, value = FIELDS[path]
    assert moved(a_resource(**BESIDE.get(path, {})), with_field(path, value)) == moves


def test_no_default_of_the_operator_is_in_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade with other defaults retrains nothing, judges nothing anew, restarts nothing."""
    assert training_inputs(a_resource()) == {"data": "s3://datasets/mnist/"}
    monkeypatch.setenv("TAS_TRAINER_IMAGE", "registry.example/newer:9")
    assert settings.Settings().trainer_image == "registry.example/newer:9"
    # What is stored in resources' status: another value here would retrain every model there is.
    assert training_hash(a_resource()) == "37ef236452b74d21"
    assert gate_hash(a_resource()) == "6625ea9ecf092dd4"
    assert serving_hash(a_resource()) == "647c26158496ca2d"


def test_the_retrain_annotation_is_an_input_until_it_is_taken_away() -> None:
    plain = a_resource()
    asked = a_resource(annotations={"trainandserve.io/retrain": "monday"})
    assert moved(plain, asked) == "training"
    done = plain.changed(status=plain.status.changed(last_handled_retrain="monday"))
    assert moved(asked, done) == ""
    assert retrain_token(a_resource(annotations={"trainandserve.io/retrain": ""})) == ""


def test_retrain_values_that_begin_alike_are_not_the_same() -> None:
    one, two = (a_resource(annotations={"trainandserve.io/retrain": "x" * 400 + end}) for end in "ab")
    assert moved(one, two) == "training"
    assert len(retrain_token(one)) <= 253


def test_other_annotations_and_the_order_of_bounds_move_nothing() -> None:
    assert (
        moved(
            a_resource(), a_resource(annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}"})
        )
        == ""
    )
    bounds = [{"name": "a", "min": 1}, {"name": "b", "max": 2.0}]
    one, two = (a_resource(evaluation={"metrics": order}) for order in (bounds, bounds[::-1]))
    assert moved(one, two) == ""
