"""What a resource may say about its pods: nothing by which a controller would take them for somebody else's."""

from __future__ import annotations

import pytest

from tests.unit.builders import a_resource
from trainandserve import reasons
from trainandserve.observe.preflight import _pod_metadata


@pytest.mark.parametrize("field", ["podLabels", "podAnnotations"])
@pytest.mark.parametrize(
    "key",
    [
        "pipeline/runid",
        "pipelines.kubeflow.org/v2_component",
        "workflows.argoproj.io/workflow",
        "workflows.argoproj.io/node-id",
        "serving.kserve.io/inferenceservice",
        "internal.serving.kserve.io/storage-initializer-sourceuri",
        "trainandserve.io/run-id",
    ],
)
def test_a_pod_says_of_itself_nothing_that_controllers_say(field: str, key: str) -> None:
    (problem,) = _pod_metadata(a_resource(training={field: {key: "x", "team": "vision"}}))
    assert problem.reason == reasons.INVALID_SPEC
    assert f"training.{field} has {key}:" in problem.message


def test_labels_and_annotations_of_the_authors_own_are_taken() -> None:
    own = {"team": "vision", "sidecar.istio.io/inject": "false", "example.com/pipeline": "x"}
    assert _pod_metadata(a_resource(training={"podLabels": own, "podAnnotations": own})) == []
    assert _pod_metadata(a_resource()) == []
