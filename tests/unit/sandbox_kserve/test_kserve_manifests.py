"""The objects an InferenceService turns into, and what is found wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.kserve import manifests
from sandbox.kserve.spec import (
    SOURCE_URI_ANNOTATION,
    TENSORFLOW_RUNTIME,
    Finding,
    InferenceService,
    Problem,
    Runtime,
    choose_runtime,
    failed_workload,
    rejected_mode,
    unsupported_storage,
)

STANDARD = {"serving.kserve.io/deploymentMode": "Standard"}


def service(
    name: str = "demo", annotations: dict[str, str] | None = None, predictor: Any = None, **model: Any
) -> InferenceService:
    model = {"modelFormat": {"name": "tensorflow"}, "storageUri": "s3://models/v1/"} | model
    metadata = {"name": name, "namespace": "vision", "uid": "u-1", "labels": {"team": "vision"}}
    metadata |= {"annotations": STANDARD if annotations is None else annotations}
    return InferenceService(
        {"metadata": metadata, "spec": {"predictor": {"model": model} | (predictor or {})}}
    )


def problem(finding: Finding | Runtime | None) -> str | None:
    return finding.problem.value if isinstance(finding, Finding) else None


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({}, None),
        ({"runtime": "kserve-tensorflow-serving"}, None),
        ({"runtime": "nope"}, Problem.RUNTIME_NOT_RECOGNIZED),
        ({"modelFormat": {"name": "zzz"}}, Problem.NO_SUPPORTING_RUNTIME),
        ({"modelFormat": {"name": ""}}, Problem.NO_SUPPORTING_RUNTIME),
        ({"protocolVersion": "v2"}, Problem.NO_SUPPORTING_RUNTIME),
    ],
)
def test_a_runtime_is_found_by_name_or_by_format_and_protocol(model: Any, expected: str | None) -> None:
    assert problem(choose_runtime(service(**model), (TENSORFLOW_RUNTIME,))) == expected


@pytest.mark.parametrize(
    ("uri", "refused"),
    [
        ("s3://a/b/", False),
        ("", False),
        ("gs://a/b", False),
        ("ftp://a/b", True),
        ("minio://a/b", True),
        ("a/b", True),
    ],
)
def test_unknown_schemes_are_refused_but_an_empty_uri_is_not(uri: str, refused: bool) -> None:
    assert (unsupported_storage(service(storageUri=uri)) is not None) is refused


@pytest.mark.parametrize(
    ("mode", "rejected", "failed"),
    [
        ("Standard", None, None),
        ("RawDeployment", None, None),
        ("Knative", Problem.SERVERLESS_REJECTED, None),
        ("Serverless", Problem.SERVERLESS_REJECTED, None),
        ("Foo", None, Problem.RECONCILE_FAILED),
        (None, Problem.SERVERLESS_REJECTED, None),
    ],
)
def test_only_the_standard_mode_is_deployed(
    mode: str | None, rejected: str | None, failed: str | None
) -> None:
    one = service(annotations={"serving.kserve.io/deploymentMode": mode} if mode else {})
    assert problem(rejected_mode(one)) == rejected
    if rejected is None:
        assert problem(failed_workload(one)) == failed


def test_a_name_that_makes_too_long_a_host_fails() -> None:
    found = failed_workload(service(name="a" * 60))
    assert found is not None
    assert "must be no more than 63 characters" in found.message


def test_the_predictor_has_the_last_word_on_annotations_and_labels() -> None:
    one = service(
        annotations=STANDARD | {"note": "isvc", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
        predictor={"annotations": {"note": "predictor"}, "labels": {"team": "ml"}},
    )
    metadata = manifests.pod_template(one, TENSORFLOW_RUNTIME)["metadata"]
    assert metadata["annotations"] == STANDARD | {
        "note": "predictor",
        "modelFormat": "tensorflow",
        SOURCE_URI_ANNOTATION: "s3://models/v1/",
    }
    assert metadata["labels"]["team"] == "ml"
    assert metadata["labels"]["serving.kserve.io/inferenceservice"] == "demo"


def test_container_fields_of_the_model_are_merged_over_the_runtimes() -> None:
    one = service(
        resources={"requests": {"cpu": "2"}},
        lifecycle={"preStop": {"sleep": {"seconds": 6}}},
        args=["--extra"],
    )
    container = manifests.model_container(one, TENSORFLOW_RUNTIME)
    assert container["resources"]["requests"] == {"cpu": "2", "memory": "2Gi"}
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 6}}}
    assert container["image"] == TENSORFLOW_RUNTIME.container["image"]
    assert container["args"][0] == "--model_name=demo"
    assert container["args"][-1] == "--extra"
    assert "tcpSocket" in container["readinessProbe"]
    assert "storageUri" not in container


def test_lists_of_named_things_are_merged_by_name() -> None:
    base = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    assert manifests.merged(base, [{"name": "B", "value": "3"}]) == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "3"},
    ]


def test_the_same_template_has_the_same_hash_whatever_the_order_of_its_keys() -> None:
    assert manifests.template_hash({"a": 1, "b": 2}) == manifests.template_hash({"b": 2, "a": 1})
    assert manifests.template_hash({"a": 1}) != manifests.template_hash({"a": 2})


def test_writing_the_missing_annotation_does_not_change_the_template() -> None:
    before, after = service(), service(annotations=STANDARD | {"modelFormat": "tensorflow"})
    assert before.defaulted_annotations == {"modelFormat": "tensorflow"}
    assert after.defaulted_annotations == {}
    templates = [manifests.pod_template(one, TENSORFLOW_RUNTIME) for one in (before, after)]
    assert templates[0] == templates[1]
