"""Each field of spec.training, compiled and looked for."""

import pytest

from tests.unit.operator_pipeline.builders import (
    IMAGE,
    INPUTS,
    compiled,
    container,
    environment,
    pod,
    resource,
    task,
)
from trainandserve.pipeline import PipelineInputs, compile_pipeline, service_account
from trainandserve.storage_access import StorageAccess

STEPS = ("download", "train", "evaluate", "export")
HELD_OUT = {"data": {"uri": "s3://datasets/held-out/"}}


def resources(**limits):
    return {"resources": {"limits": limits}}


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (resources(cpu="500m"), {"resourceCpuLimit": "500m", "cpuLimit": 0.5}),
        (resources(cpu="0.5"), {"resourceCpuLimit": "0.5", "cpuLimit": 0.5}),
        (resources(cpu=4), {"resourceCpuLimit": "4", "cpuLimit": 4.0}),
        (resources(memory="8Gi"), {"resourceMemoryLimit": "8Gi", "memoryLimit": 8.589934592}),
        (resources(memory=1000000000), {"resourceMemoryLimit": "1000000000", "memoryLimit": 1.0}),
        (resources(memory="2000000k"), {"resourceMemoryLimit": "2000000000", "memoryLimit": 2.0}),
        (resources(memory="3000000K"), {"resourceMemoryLimit": "3000000000", "memoryLimit": 3.0}),
        ({"resources": {"requests": {"cpu": "1"}}}, {"resourceCpuRequest": "1", "cpuRequest": 1.0}),
        (
            {"resources": {"requests": {"memory": "1G"}}},
            {"resourceMemoryRequest": "1G", "memoryRequest": 1.0},
        ),
        *(
            (
                resources(**{"nvidia.com/gpu": written}),
                {
                    "accelerator": {
                        "type": "nvidia.com/gpu",
                        "count": c,
                        "resourceType": "nvidia.com/gpu",
                        "resourceCount": c,
                    }
                },
            )
            for written, c in (
                (1, "1"),
                ("2", "2"),
                ("1k", "1000"),
                ("1Ki", "1024"),
                ("9999999E", "9223372036854775807"),
            )
        ),
    ],
)
def test_the_train_step_has_its_resources_exactly(training, expected):
    pipeline = compiled(**training)
    assert container(pipeline, "train")["resources"] == expected
    assert not any("resources" in container(pipeline, step) for step in STEPS if step != "train")


def test_no_accelerator_is_asked_for_with_a_count_of_zero():
    assert "resources" not in container(compiled(**resources(**{"nvidia.com/gpu": 0})), "train")


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"nodeSelector": {"disk": "ssd", "b": ""}}, {"nodeSelector": {"labels": {"disk": "ssd", "b": ""}}}),
        (
            {
                "tolerations": [
                    {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}
                ]
            },
            {
                "tolerations": [
                    {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": "0"}
                ]
            },
        ),
        (
            {"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b"}]},
            {"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b"}]},
        ),
        ({"podLabels": {"team": "vision"}}, {"podMetadata": {"labels": {"team": "vision"}}}),
        ({"podAnnotations": {"a/b": "é ü"}}, {"podMetadata": {"annotations": {"a/b": "é ü"}}}),
        ({"timeout": "1h30m"}, {"activeDeadlineSeconds": "5400"}),
        ({"timeout": "999999h"}, {"activeDeadlineSeconds": "2147483647"}),
        ({}, {"activeDeadlineSeconds": "86400"}),
    ],
)
def test_the_train_step_has_its_placement_and_its_timeout(training, expected):
    pipeline = compiled(**training)
    assert {"activeDeadlineSeconds": "86400", **expected} == pod(pipeline, "train")
    for step in STEPS:
        if step != "train":  # which only have an end for what hangs
            assert pod(pipeline, step).get("activeDeadlineSeconds") == "86400"
            assert not set(expected) - {"activeDeadlineSeconds"} & set(pod(pipeline, step))


@pytest.mark.parametrize(
    ("training", "count", "backoff"),
    [
        ({}, 2, "30s"),
        ({"retries": {"limit": 5}}, 5, "30s"),
        ({"retries": {"limit": 1, "backoff": "2m"}}, 1, "120s"),
        ({"retries": {"limit": 10, "backoff": "999999h"}}, 10, "259200s"),
    ],
)
def test_every_step_is_tried_again_with_growing_pauses(training, count, backoff):
    pipeline = compiled(**training)
    for step in STEPS:
        policy = task(pipeline, step)["retryPolicy"]
        assert (policy["maxRetryCount"], policy["backoffDuration"], policy["backoffFactor"]) == (
            count,
            backoff,
            2.0,
        )


def test_no_further_try_is_said_and_not_left_to_the_platform():
    assert "maxRetryCount" not in task(compiled(retries={"limit": 0}), "train")["retryPolicy"]


@pytest.mark.parametrize("timeout", ["2h", "48h", "1000h"])
def test_a_long_training_keeps_its_further_tries(timeout):
    """Argo counts the longest duration from the start of the first try, its run included."""
    policy = task(compiled(timeout=timeout), "train")["retryPolicy"]
    assert int(policy["backoffMaxDuration"][:-1]) > 3 * int(timeout[:-1]) * 3600 + 90


def test_data_and_training_are_cached_unless_the_user_says_no_and_what_judges_never_is():
    on, off = compiled(), compiled(caching=False)
    assert [task(on, step)["cachingOptions"] for step in STEPS] == [{"enableCache": True}] * 2 + [{}] * 2
    assert [task(off, step)["cachingOptions"] for step in STEPS] == [{}] * 4


def test_every_step_pulls_the_image_with_the_secrets():
    pipeline = compiled(imagePullSecrets=["one", "two"], evaluation=HELD_OUT)
    for step in (*STEPS, "download-evaluation"):
        assert container(pipeline, step)["image"] == IMAGE
        assert [secret["secretName"] for secret in pod(pipeline, step)["imagePullSecret"]] == ["one", "two"]


def test_the_service_account_is_for_the_runs_body():
    assert service_account(resource(serviceAccountName="trainer")) == "trainer"
    assert service_account(resource()) is None


@pytest.mark.parametrize(
    ("step", "secret", "expected"),
    [
        ("download", "data-keys", {"AWS_ENDPOINT_URL": "http://data.example:9000"}),
        (
            "download-evaluation",
            "held-out-keys",
            {
                "AWS_ENDPOINT_URL": "http://held-out.example:9000",
                "AWS_DEFAULT_REGION": "eu-west-1",
                "S3_VERIFY_SSL": "0",
            },
        ),
        (
            "evaluate",
            "storage-keys",
            {"AWS_ENDPOINT_URL": "https://storage.example", "S3_USE_VIRTUAL_BUCKET": "1"},
        ),
        (
            "export",
            "storage-keys",
            {"AWS_ENDPOINT_URL": "https://storage.example", "S3_USE_VIRTUAL_BUCKET": "1"},
        ),
        ("train", None, {}),
    ],
)
def test_each_step_has_the_way_to_its_own_bucket_and_no_other(step, secret, expected):
    pipeline = compiled(evaluation=HELD_OUT)
    everywhere = {"HOME": "/tmp", "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    assert environment(pipeline, step) == {**everywhere, **expected}
    entries = pod(pipeline, step).get("secretAsEnv", [])
    given = {
        (e["secretName"], pair["secretKey"], pair["envVar"], e["optional"])
        for e in entries
        for pair in e["keyToEnv"]
    }
    keys = (("AWS_ACCESS_KEY_ID", False), ("AWS_SECRET_ACCESS_KEY", False), ("AWS_SESSION_TOKEN", True))
    assert given == ({(secret, key, key, optional) for key, optional in keys} if secret else set())


@pytest.mark.parametrize("access", [StorageAccess(), StorageAccess("public", anonymous=True)])
def test_without_a_secret_or_signatures_no_key_is_asked_for(access):
    pipeline = compile_pipeline(resource(), PipelineInputs(IMAGE, access, None, INPUTS.storage))
    assert "secretAsEnv" not in pod(pipeline, "download")
