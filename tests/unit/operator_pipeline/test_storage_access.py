"""A Secret's annotations, read the way KServe reads them."""

import pytest

from trainandserve.storage_access import StorageAccess, from_annotations


def read(**values: str) -> StorageAccess:
    return from_annotations("keys", {f"serving.kserve.io/s3-{name}": value for name, value in values.items()})


def test_a_secret_without_annotations_means_amazon_with_https():
    assert read() == StorageAccess("keys")
    assert read().environment() == {}


def test_no_secret_means_the_pods_own_identity():
    assert from_annotations(None, {}) == StorageAccess()


@pytest.mark.parametrize(
    ("values", "environment"),
    [
        ({"endpoint": "minio.storage.svc:9000"}, {"AWS_ENDPOINT_URL": "https://minio.storage.svc:9000"}),
        ({"endpoint": "minio:9000", "usehttps": "0"}, {"AWS_ENDPOINT_URL": "http://minio:9000"}),
        ({"endpoint": "minio", "usehttps": "1"}, {"AWS_ENDPOINT_URL": "https://minio"}),
        ({"endpoint": "127.0.0.1:9000", "usehttps": "0"}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}),
        ({"endpoint": "[::1]:9000"}, {"AWS_ENDPOINT_URL": "https://[::1]:9000"}),
        ({"endpoint": " "}, {}),
        ({"usehttps": "0"}, {}),
        ({"region": "eu-west-1"}, {"AWS_DEFAULT_REGION": "eu-west-1"}),
        ({"verifyssl": "0"}, {"S3_VERIFY_SSL": "0"}),
        ({"verifyssl": "1"}, {}),
        ({"usevirtualbucket": "true"}, {"S3_USE_VIRTUAL_BUCKET": "1"}),
        ({"usevirtualbucket": "True"}, {"S3_USE_VIRTUAL_BUCKET": "1"}),
        ({"usevirtualbucket": "0"}, {}),
        ({"useanoncredential": "true"}, {"awsAnonymousCredential": "true"}),
        ({"useanoncredential": "false"}, {}),
    ],
)
def test_annotations_become_the_environment_of_a_step(values, environment):
    assert read(**values).environment() == environment


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"endpoint": "http://minio:9000"}, "without a scheme"),
        ({"endpoint": "user:word@minio:9000"}, "without credentials"),
        ({"endpoint": "minio:9000/path"}, "without a path"),
        ({"endpoint": "minio:9000/"}, "without a path"),
        ({"endpoint": "minio?x=1"}, "a query"),
        ({"endpoint": "mi nio"}, "spaces"),
        ({"endpoint": "minio:99999"}, "port from 1 to 65535"),
        ({"endpoint": "minio:0"}, "port from 1 to 65535"),
        ({"endpoint": "minio\nX: y"}, "without a path"),
        ({"endpoint": "{{x}}"}, "without a path"),
        ({"region": "eu west"}, "a region's name"),
        ({"usehttps": "false"}, 'write "1" or "0"'),
        ({"verifyssl": "no"}, 'write "1" or "0"'),
        ({"usevirtualbucket": "1"}, 'write "true" or "false"'),
        ({"useanoncredential": "1"}, 'write "true" or "false"'),
    ],
)
def test_what_kserve_would_read_otherwise_is_refused_with_what_to_write(values, what):
    with pytest.raises(
        ValueError, match=r"annotation serving.kserve.io/s3-.* of the Secret: write "
    ) as refusal:
        read(**values)
    assert what in str(refusal.value)


def test_credentials_in_an_endpoint_are_not_repeated():
    with pytest.raises(ValueError) as refusal:
        read(endpoint="https://user:very-secret@minio:9000")
    assert "very-secret" not in str(refusal.value)
