"""Fixtures: the models of all tests, and a namespace of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from sandbox.controlplane import ControlPlane
from sandbox.kserve import KServe
from sandbox.s3 import S3Server
from tests.api.kserve.ground import ACCESS_KEY, BUCKET, SECRET_KEY, Namespace, running, s3_client


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server.started(ACCESS_KEY, SECRET_KEY) as server:
        client = s3_client(server)
        client.create_bucket(Bucket=BUCKET)
        models = {
            "v1/": {"1/saved_model.pb": "x"},
            "v2/": {"2/saved_model.pb": "x"},
            "slow/": {"7/fake.json": '{"loadSeconds": 0.6}'},
            "crash/": {"3/fake.json": '{"crash": true, "message": "no such op: Frobnicate"}'},
            "flat/": {"saved_model.pb": "x"},
            "run-1": {"/1/fake.json": '{"predictions": ["one"]}'},
            "run-10": {"/5/fake.json": '{"predictions": ["ten"]}'},
        }
        for prefix, objects in models.items():
            for key, body in objects.items():
                client.put_object(Bucket=BUCKET, Key=prefix + key, Body=body.encode())
        client.close()
        yield server


@pytest.fixture
async def ns(plane: ControlPlane, namespace: str, s3: S3Server) -> Namespace:
    found = Namespace(plane, namespace)
    await found.credentials(s3)
    return found


@pytest.fixture
async def standin(ns: Namespace) -> AsyncIterator[KServe]:
    async with running(ns) as one:
        yield one
