"""Which Secrets are read for a resource, and what one of them may say about where its storage is."""

from __future__ import annotations

import base64
from typing import Any, cast

import pytest

from trainandserve import reasons
from trainandserve.credentials import read_access
from trainandserve.gateways.errors import Refused
from trainandserve.gateways.kubernetes import Kubernetes
from trainandserve.settings import Settings

ENDPOINT = "minio.storage.svc:9000"


class OneSecret:
    """An API server that has one Secret, and remembers what it was asked for."""

    def __init__(self, endpoint: str = ENDPOINT, labels: dict[str, str] | None = None) -> None:
        self.asked: list[str] = []
        labels = {"trainandserve.io/credentials": "true"} if labels is None else labels
        annotations = {"serving.kserve.io/s3-endpoint": endpoint}
        key = base64.b64encode(b"key").decode()
        self._secret = {
            "metadata": {"labels": labels, "annotations": annotations},
            "data": {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key},
        }

    async def get(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        return self._secret


async def read(server: OneSecret, name: str | None = "object-store", **settings: Any) -> Any:
    chosen = Settings(s3_endpoints=(ENDPOINT,), **settings)
    return await read_access(cast(Kubernetes, server), "vision", name, chosen)


async def test_a_labelled_secret_with_an_allowed_endpoint_is_used() -> None:
    server = OneSecret()
    access = await read(server)
    assert access.storage.endpoint_url == f"https://{ENDPOINT}" and access.reach is None
    assert server.asked == ["/api/v1/namespaces/vision/secrets/object-store"]


@pytest.mark.parametrize(
    "name",
    [
        "../../prod/secrets/object-store",
        "prod/object-store",
        "..",
        ".",
        "object-store/../../../prod/secrets/object-store",
        "%2e%2e%2f%2e%2e%2fprod%2fsecrets%2fobject-store",
        "object-store?watch=true",
        "object-store#",
        "object-store\0",
        "object-store\n",
        "/api/v1/namespaces/prod/secrets/object-store",
        "",
    ],
)
async def test_a_name_that_is_a_path_is_refused_before_anything_is_asked(name: str) -> None:
    server = OneSecret()
    with pytest.raises(Refused) as refused:
        await read(server, name)
    assert refused.value.reason == reasons.SECRET_NOT_FOUND
    assert server.asked == []


@pytest.mark.parametrize(
    "labels",
    [{}, {"trainandserve.io/credentials": "false"}, {"trainandserve.io/credential": "true"}],
    ids=str,
)
async def test_a_secret_that_is_not_marked_is_not_used(labels: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        await read(OneSecret(labels=labels))
    assert refused.value.reason == reasons.SECRET_NOT_LABELLED


@pytest.mark.parametrize(
    "endpoint",
    [
        "other.storage.svc:9000",
        "minio.storage.svc:9001",
        "minio.storage.svc",
        "minio.storage.svc.:9000",
        "127.0.0.1:9000",
        "localhost:9000",
        "[::1]:9000",
        "169.254.169.254",
        "169.254.169.254:80",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "kubernetes.default.svc",
        "ec2-10-0-0-7.compute-1.amazonaws.com",
        "minio.storage.svc:9000@169.254.169.254",
        "169.254.169.254#minio.storage.svc:9000",
        "169.254.169.254/minio.storage.svc:9000",
        "http://169.254.169.254",
        "minio.storage.svc:9000\r\nHost: evil",
        "minio.storage.svc:9000\\@evil.example",
        "evil.example%2fminio.storage.svc:9000",
    ],
)
async def test_a_secret_leads_to_no_endpoint_that_is_not_allowed(endpoint: str) -> None:
    with pytest.raises(Refused) as refused:
        await read(OneSecret(endpoint))
    assert refused.value.reason in (reasons.ENDPOINT_NOT_ALLOWED, reasons.SECRET_INCOMPLETE)
    assert base64.b64encode(b"key").decode() not in refused.value.message


@pytest.mark.parametrize(
    ("uri", "reached"),
    [
        ("s3://open/", True),
        ("s3://open/anything/", True),
        ("s3://shared/vision/", True),
        ("s3://shared/vision", True),
        ("s3://shared/vision/digits/", True),
        ("s3://shared/vision2/", False),
        ("s3://shared/prod/", False),
        ("s3://shared/", False),
        ("s3://shared/vision/../prod/", False),
        ("s3://shared/./vision/", False),
        ("s3://openly/", False),
        ("s3://other/vision/", False),
        ("s3://deep/models/vision/digits/", True),
        ("s3://deep/models/prod/digits/", False),
        ("s3:///open/", False),
    ],
)
async def test_as_itself_the_operator_goes_only_where_it_may_go_for_that_namespace(
    uri: str, reached: bool
) -> None:
    listed = ("open", "shared/{namespace}", "s3://deep/models/{namespace}/")
    server = OneSecret()
    access = await read(server, None, pod_identity_buckets=listed)
    assert access.reaches(uri) == reached
    assert server.asked == []


async def test_by_default_the_operator_goes_nowhere_as_itself() -> None:
    assert not (await read(OneSecret(), None)).reaches("s3://models/vision/")
