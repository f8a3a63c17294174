"""One name for the bytes of a data set, from a listing alone: nothing is downloaded to compute it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class StoredObject:
    """An object of a data set or a model, as a listing or an upload names it.

    Attributes
    ----------
    key
        Relative to the place that was listed, parts separated by "/".
    size
        In bytes.
    etag
        Without quotes. A local file's is the md5 of its bytes, as S3's is for an upload in one part.
    """

    key: str
    size: int
    etag: str


def data_digest(objects: Iterable[StoredObject]) -> str:
    """Return "sha256:" and the hex digest over key, size and ETag of each object, sorted by key.

    Each object adds "key, NUL, size, NUL, etag, newline" in UTF-8. The operator computes the same from its
    own listing, so this rule is part of the agreement between the two.
    """
    digest = hashlib.sha256()
    for stored in sorted(objects, key=lambda each: each.key):
        digest.update(f"{stored.key}\0{stored.size}\0{stored.etag}\n".encode())
    return f"sha256:{digest.hexdigest()}"
