"""A bucket on loopback, and one model trained once, for all tests of the trainer: nothing is imported before it is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.trainer.builders import Bucket, Trained

_buckets = itertools.count()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    from sandbox.s3 import S3Server
    from tests.unit.trainer.builders import ACCESS_KEY, SECRET_KEY

    with S3Server.started(ACCESS_KEY, SECRET_KEY) as server:
        yield server.url


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    import boto3.session

    from tests.unit.trainer.builders import ACCESS_KEY, SECRET_KEY, Bucket

    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("s3")
    name = f"bucket-{next(_buckets)}"
    client.create_bucket(Bucket=name)
    return Bucket(name, client)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    from sandbox.digits import write_digits
    from tests.unit.trainer.builders import CLASSIFIER, QUICK, Trained
    from trainer.steps import download, evaluate, train

    folder = tmp_path_factory.mktemp("trained")
    write_digits(folder / "source")
    download.run(str(folder / "source"), folder / "data", None)
    train.run(folder / "data", folder / "model", CLASSIFIER, QUICK)
    evaluate.run(folder / "data", folder / "model", CLASSIFIER, folder / "evaluation.json")
    return Trained(folder / "data", folder / "model", folder / "evaluation.json")
