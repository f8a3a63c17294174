"""How a step, or the operator, reaches an S3 store: what a Secret's annotations say beside its credentials.

The annotations are KServe's own (``serving.kserve.io/s3-*``), because the model server reads the same Secret. A value that
KServe would read differently from what its writer meant is refused here, before the two disagree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "serving.kserve.io/s3-"

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_REGION = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_]{0,62})")


@dataclass(frozen=True)
class StorageAccess:
    """Where an S3 store is and how it is spoken to; never a credential.

    Attributes
    ----------
    secret_name
        Secret that holds AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; None: the pod's own identity.
    endpoint_url
        ``http://host:port`` or ``https://host``; None: Amazon's own.
    region
        Region; None: the client's default.
    verify_ssl
        Whether certificates are checked.
    virtual_bucket
        Whether the bucket's name is part of the host name, not of the path.
    anonymous
        Whether requests are not signed; then the Secret's keys are not read.
    """

    secret_name: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    verify_ssl: bool = True
    virtual_bucket: bool = False
    anonymous: bool = False

    def environment(self) -> dict[str, str]:
        """Environment variables for a step; what is at its default is left out."""
        settings = {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": self.region,
            "S3_VERIFY_SSL": None if self.verify_ssl else "0",
            "S3_USE_VIRTUAL_BUCKET": "1" if self.virtual_bucket else None,
            "awsAnonymousCredential": "true" if self.anonymous else None,
        }
        return {name: value for name, value in settings.items() if value}


def from_annotations(secret_name: str | None, annotations: Mapping[str, str]) -> StorageAccess:
    """Read a Secret's annotations the way KServe reads them.

    Raises
    ------
    ValueError
        An annotation is malformed; the message is one sentence that says what to write.
    """
    https = _switch(annotations, "usehttps", on=("1", "true"), off=("0",), default=True)
    return StorageAccess(
        secret_name=secret_name,
        endpoint_url=_endpoint(_text(annotations, "endpoint"), "https" if https else "http"),
        region=_region(_text(annotations, "region")),
        verify_ssl=_switch(annotations, "verifyssl", on=("1", "true"), off=("0",), default=True),
        virtual_bucket=_switch(
            annotations, "usevirtualbucket", on=("true",), off=("false", "0"), default=False
        ),
        anonymous=_switch(annotations, "useanoncredential", on=("true",), off=("false", "0"), default=False),
    )


def _text(annotations: Mapping[str, str], name: str) -> str:
    return annotations.get(PREFIX + name, "").strip()


def _endpoint(value: str, scheme: str) -> str | None:
    if not value:
        return None
    wrong = (
        f"annotation {PREFIX}endpoint of the Secret: write host or host:port, like minio.storage.svc:9000, "
    )
    if "@" in value:
        raise ValueError(
            wrong
            + "without credentials: they belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the Secret"
        )
    if "://" in value:
        raise ValueError(wrong + f"without a scheme, not {value!r}: {PREFIX}usehttps says which one")
    match = _HOST.fullmatch(value)
    if match is None:
        raise ValueError(wrong + f"without a path, a query or spaces, not {value!r}")
    if match.group(1) is not None and not 0 < int(match.group(1)) < 65536:
        raise ValueError(wrong + f"with a port from 1 to 65535, not {value!r}")
    return f"{scheme}://{value}"


def _region(value: str) -> str | None:
    if value and not _REGION.fullmatch(value):
        raise ValueError(
            f"annotation {PREFIX}region of the Secret: write a region's name, like eu-west-1, not {value!r}"
        )
    return value or None


def _switch(
    annotations: Mapping[str, str], name: str, *, on: tuple[str, ...], off: tuple[str, ...], default: bool
) -> bool:
    """A yes or no, in those words that KServe understands the same way."""
    value = _text(annotations, name)
    if not value:
        return default
    if value.lower() in on:
        return True
    if value.lower() in off:
        return False
    raise ValueError(f'annotation {PREFIX}{name} of the Secret: write "{on[0]}" or "{off[0]}", not {value!r}')
