"""Uploads: a failed part alone is sent again, what is there already is not, and one file needs no threads."""

import hashlib
import threading
from collections import Counter
from pathlib import Path

import pytest
from botocore.awsrequest import AWSResponse

from tests.unit.trainer.builders import Bucket
from trainer import s3
from trainer.digest import StoredObject
from trainer.errors import Unavailable, WrongInput
from trainer.storage import place

PART = s3._PART_SIZE


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(b"".join(bytes([number]) * (PART // 2) for number in range(5)))
    return path


class Wire:
    """What goes out to the store, with failures in between."""

    def __init__(self, target: s3.S3Place, fail_parts: int = 0) -> None:
        self.sent: Counter[str] = Counter()
        self._failures, self._lock = fail_parts, threading.Lock()
        for operation in ("PutObject", "UploadPart", "CreateMultipartUpload", "ListObjectsV2"):
            target._s3.meta.events.register(f"before-send.s3.{operation}", self._note(operation))

    def _note(self, operation: str):
        def note(request, **_: object):
            with self._lock:
                self.sent[operation] += 1
                if operation != "UploadPart" or not self._failures:
                    return None
                self._failures -= 1
            return _refusal(request.url)

        return note


def _refusal(url: str) -> AWSResponse:
    response = AWSResponse(url, 500, {"Content-Type": "application/xml"}, None)
    response._content = b"<Error><Code>InternalError</Code><Message>try again</Message></Error>"
    return response


def test_a_failed_part_is_sent_again_and_nothing_else(bucket: Bucket, large: Path) -> None:
    target = place(bucket.uri)
    wire = Wire(target, fail_parts=1)
    target.upload({"model": large})
    assert wire.sent == {"CreateMultipartUpload": 1, "UploadPart": 4}
    assert hashlib.sha256(bucket.get("model")).digest() == hashlib.sha256(large.read_bytes()).digest()


def test_an_upload_that_was_cut_short_goes_on_where_it_ended(
    bucket: Bucket, large: Path, tmp_path: Path
) -> None:
    files = {"large": large}
    for number in range(5):
        files[f"small/{number}"] = tmp_path / f"{number}"
        files[f"small/{number}"].write_bytes(bytes([number]) * number)
    some = {key: files[key] for key in ("large", "small/1", "small/3")}
    first = place(bucket.uri).upload(some)
    bucket.put(**{"small/4": b"cut"})

    target = place(bucket.uri)
    present = target.objects()
    wire = Wire(target)
    stored = target.upload(files, present)
    assert wire.sent == {"PutObject": 3}  # 0, 2 and the one that is another
    assert {each.key for each in stored} == set(files)
    assert {each.key: each.etag for each in first}.items() <= {each.key: each.etag for each in stored}.items()
    assert bucket.get("small/4") == b"\x04" * 4


def test_an_etag_that_is_no_md5_is_not_trusted(bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    target = place(bucket.uri)
    wire = Wire(target)
    target.upload({"file": path}, [StoredObject("file", 5, "encrypted-with-a-key")])
    assert wire.sent == {"PutObject": 1}


def test_one_small_file_goes_by_itself_and_a_large_one_in_parts(
    bucket: Bucket, large: Path, tmp_path: Path
) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"12345")
    target = place(bucket.uri)
    before = threading.active_count()
    wire = Wire(target)
    (stored,) = target.upload({"small": path})
    assert (threading.active_count(), wire.sent) == (before, {"PutObject": 1})
    assert stored == StoredObject("small", 5, hashlib.md5(b"12345").hexdigest())
    target.upload({"large": large})
    assert wire.sent["UploadPart"] == 3


def test_nothing_to_upload_sends_nothing(bucket: Bucket) -> None:
    target = place(bucket.uri)
    wire = Wire(target)
    assert target.upload({}) == []
    assert not wire.sent


def test_a_store_that_fails_for_good_is_unavailable(
    bucket: Bucket, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unavailable):
        place(bucket.uri).upload({"large": large})


def test_small_files_go_up_without_asking_first_and_larger_ones_are_not_read_whole(
    bucket: Bucket, tmp_path: Path
) -> None:
    sizes = {"small": 40_000, "limit": s3._READ_WHOLE, "more": s3._READ_WHOLE + 1}
    files = {name: tmp_path / name for name in sizes}
    for name, path in files.items():
        path.write_bytes(name.encode()[:1] * sizes[name])
    target = place(bucket.uri)
    asked: dict[str, bool] = {}

    def note(request, **_: object) -> None:
        asked[request.url.rpartition("/")[2]] = "Expect" in request.headers

    target._s3.meta.events.register("before-send.s3.PutObject", note)
    target.upload(files)
    assert asked == {"small": False, "limit": False, "more": True}
    assert {name: bucket.get(name) for name in files} == {n: path.read_bytes() for n, path in files.items()}


def test_the_first_file_that_is_refused_stops_the_others(bucket: Bucket, tmp_path: Path) -> None:
    files = {f"{number:03}": tmp_path / f"{number}" for number in range(200)}
    for path in files.values():
        path.write_bytes(b"12345")
    target = place("s3://nowhere/x/")
    wire = Wire(target)
    with pytest.raises(WrongInput, match="bucket nowhere does not exist"):
        target.upload(files)
    assert wire.sent["PutObject"] < len(files)
