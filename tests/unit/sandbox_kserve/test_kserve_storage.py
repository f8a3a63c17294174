"""What the storage initializer copies, and with whose credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.kserve.credentials import s3_variables
from sandbox.kserve.servers import container_environment
from sandbox.kserve.storage import StorageError, download, log_of, relative_keys
from sandbox.kserve.versions import NoVersionError, newest_version


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("run-1/", {"run-1/1/a": "1/a"}),
        ("run-1", {"run-1/1/a": "1/a", "run-10/1/a": "0/1/a"}),
        ("run-1/1/a", {"run-1/1/a": "a"}),
        ("run-2/", {}),
        ("run-1/1/", {"run-1/1/a": "a"}),
    ],
)
def test_a_uri_is_a_plain_string_prefix(prefix: str, expected: dict[str, str]) -> None:
    objects = {"run-1/": 0, "run-1/1/": 0, "run-1/1/a": 5, "run-1/1/empty": 0, "run-10/1/a": 5}
    assert relative_keys(prefix, objects) == expected


@pytest.mark.parametrize(
    ("uri", "environment", "said"),
    [
        ("", {}, "Cannot recognize storage type"),
        ("gs://a/b", {}, "the one storage type that the KServe stand-in reads"),
        ("s3://a/b", {}, "S3 authentication failed"),
    ],
)
def test_what_cannot_be_had_is_told_as_the_real_initializer_tells_it(
    uri: str, environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(StorageError) as caught:
        download(uri, tmp_path, environment)
    assert said in str(caught.value)
    assert said in log_of(uri, caught.value)


def test_the_highest_number_is_served_and_a_folder_without_one_is_not(tmp_path: Path) -> None:
    for name in ("2", "10", "variables"):
        (tmp_path / name).mkdir()
    assert newest_version(tmp_path).name == "10"
    with pytest.raises(NoVersionError):
        newest_version(tmp_path / "variables")


def test_a_secret_gives_its_keys_by_reference_and_its_annotations_by_value() -> None:
    secret = {
        "metadata": {
            "name": "store",
            "annotations": {
                "serving.kserve.io/s3-endpoint": "127.0.0.1:9000",
                "serving.kserve.io/s3-usehttps": "0",
                "serving.kserve.io/s3-region": "eu-west-3",
                "serving.kserve.io/s3-usevirtualbucket": "true",
                "other": "x",
            },
        },
        "data": {"AWS_ACCESS_KEY_ID": "YQ==", "AWS_SECRET_ACCESS_KEY": "Yg=="},
    }
    variables = {row["name"]: row.get("value") for row in s3_variables(secret)}
    assert variables == {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
        "S3_ENDPOINT": "127.0.0.1:9000",
        "S3_USE_HTTPS": "0",
        "S3_USER_VIRTUAL_BUCKET": "true",
    }


def test_a_secret_without_an_s3_key_gives_nothing() -> None:
    assert s3_variables({"metadata": {"name": "x"}, "data": {"token": "YQ=="}}) == []


def test_our_own_s3_access_does_not_reach_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    monkeypatch.setenv("AWS_PROFILE", "ours")
    environment = container_environment({"AWS_ACCESS_KEY_ID": "given"})
    assert "ours" not in environment.values()
    assert environment["AWS_ACCESS_KEY_ID"] == "given"
