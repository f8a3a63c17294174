"""Both kinds of place, S3 against moto's server."""

import hashlib
import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.unit.trainer.builders import Bucket
from trainer import s3
from trainer.digest import StoredObject, data_digest
from trainer.errors import Unavailable, WrongInput
from trainer.steps import download
from trainer.storage import place, safe_target


def test_the_digest_is_sha256_over_key_size_and_etag_in_order_of_keys() -> None:
    objects = [StoredObject("b/ü.bin", 2, "e2"), StoredObject("a", 10, "e1-3")]
    expected = hashlib.sha256(b"a\x0010\x00e1-3\n" + b"b/\xc3\xbc.bin\x002\x00e2\n").hexdigest()
    assert data_digest(objects) == data_digest(reversed(objects)) == f"sha256:{expected}"


@pytest.mark.parametrize("key", ["../up", "a/../../up", "/etc/passwd", "", "a//b", "nul\0"], ids=repr)
def test_a_key_that_leads_out_of_the_folder_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(WrongInput):
        safe_target(tmp_path, key)


@pytest.mark.parametrize(
    "uri",
    ["", "gs://bucket/x", "https://host/x", "s3://", "s3:///key", "s3://me:secret@host/x", "s3://b/../c/"],
)
def test_other_addresses_are_refused_without_showing_their_secrets(uri: str) -> None:
    with pytest.raises(WrongInput) as raised:
        place(uri)
    assert "secret" not in str(raised.value)


def record(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / download.RECORD).read_text())
    return found


def test_a_prefix_is_copied_under_relative_keys_without_markers_and_neighbours(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put(**{"run-1/": b"", "run-1/a": b"one", "run-1/b/c": b"two", "run-10/a": b"other"})
    expected = data_digest(
        [
            StoredObject(key, 3, hashlib.md5(text).hexdigest())
            for key, text in (("a", b"one"), ("b/c", b"two"))
        ]
    )
    for number, uri in enumerate([f"{bucket.uri}run-1/", f"{bucket.uri}run-1"]):
        folder = tmp_path / str(number) / "not" / "there" / "yet"
        download.run(uri, folder, expected)
        assert (folder / "a").read_bytes() == b"one"
        assert (folder / "b" / "c").read_bytes() == b"two"
        assert record(folder) == {"uri": uri, "digest": expected, "objects": 2, "bytes": 6}
        assert sorted(path.name for path in folder.iterdir()) == [".data.json", "a", "b"]


def test_one_object_keeps_its_base_name(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(**{"deep/data.npz": b"12345", "deep/data.npz.bak": b"no"})
    download.run(f"{bucket.uri}deep/data.npz", tmp_path / "out", None)
    assert (tmp_path / "out" / "data.npz").read_bytes() == b"12345"
    assert record(tmp_path / "out")["digest"] == data_digest(
        [StoredObject("data.npz", 5, hashlib.md5(b"12345").hexdigest())]
    )


def test_a_local_copy_has_the_digest_of_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(**{"x/a": b"one", "x/b/c": b""})
    download.run(f"{bucket.uri}x/", tmp_path / "from-s3", None)
    for name in ("a", "b/c"):
        target = tmp_path / "local" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((tmp_path / "from-s3" / name).read_bytes())
    download.run(str(tmp_path / "local"), tmp_path / "from-local", None)
    assert record(tmp_path / "from-s3")["digest"] == record(tmp_path / "from-local")["digest"]


def test_other_data_than_expected_is_data_changed(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(a=b"one")
    with pytest.raises(WrongInput, match=r"^DataChanged: "):
        download.run(bucket.uri, tmp_path / "out", "sha256:" + "0" * 64)
    assert not (tmp_path / "out").exists()


def test_data_that_changes_between_listing_and_reading_is_data_changed(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put(a=b"one", b=b"two")
    source = place(bucket.uri)
    listed = source.objects()
    bucket.put(b=b"changed")
    with pytest.raises(WrongInput, match=r"^DataChanged: "):
        source.download(listed, tmp_path)


def test_no_objects_is_wrong_input(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="holds no objects"):
        download.run(f"{bucket.uri}nothing/", tmp_path / "out", None)


def test_a_download_that_stopped_half_way_begins_anew(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(a=b"one")
    (tmp_path / "stale").write_bytes(b"of the try before")
    (tmp_path / ".unfinished").touch()
    download.run(bucket.uri, tmp_path, None)
    download.run(bucket.uri, tmp_path, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".data.json", "a"]


def test_a_folder_with_other_files_is_left_alone(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(a=b"one")
    (tmp_path / "mine").write_bytes(b"precious")
    with pytest.raises(WrongInput, match="already holds other files"):
        download.run(bucket.uri, tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_uploads_return_the_etags_that_the_store_answered(bucket: Bucket, tmp_path: Path) -> None:
    files = {f"m/{number:03}": tmp_path / f"{number}" for number in range(60)}
    for number, path in enumerate(files.values()):
        path.write_bytes(bytes([number]) * number)
    large = tmp_path / "large"
    large.write_bytes(b"x" * (40 * 2**20))  # goes up in parts, and its ETag is no md5
    stored = place(f"{bucket.uri}attempt").upload({**files, "m/large": large})
    listed = {
        entry["Key"].removeprefix("attempt/"): (entry["Size"], entry["ETag"].strip('"'))
        for entry in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]
    }
    assert {each.key: (each.size, each.etag) for each in stored} == listed
    assert "-" in listed["m/large"][1]


def test_a_missing_bucket_is_named(bucket: Bucket) -> None:
    with pytest.raises(WrongInput, match="bucket nowhere does not exist"):
        place("s3://nowhere/x/").objects()
    with pytest.raises(WrongInput, match="bucket nowhere does not exist"):
        place("s3://nowhere/x/").write("a", b"")


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        ("InvalidAccessKeyId", WrongInput, "credentials were refused"),
        ("SignatureDoesNotMatch", WrongInput, "credentials were refused"),
        ("AccessDenied", WrongInput, "no right to write below s3://vault/m/"),
        ("SlowDown", Unavailable, "try again"),
        ("InvalidBucketName", WrongInput, "check the address s3://vault/m/"),
    ],
)
def test_what_the_store_refuses_is_told_with_the_bucket(
    code: str, kind: type[Exception], sentence: str, bucket: Bucket
) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "planted-secret-key"}}, "PutObject")
    with (
        pytest.raises(kind, match=sentence) as raised,
        s3.S3Place("s3://vault/m/")._told("write below s3://vault/m/"),
    ):
        raise error
    assert "vault" in str(raised.value)
    assert "planted" not in str(raised.value)


def test_wrong_credentials_are_told_without_showing_them(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-wrong-key")
    with pytest.raises(WrongInput, match=f"bucket {bucket.name}: the S3 credentials were refused") as raised:
        place(bucket.uri).objects()
    with pytest.raises(WrongInput, match=f"bucket {bucket.name}: the S3 credentials were refused"):
        place(bucket.uri).write("a", b"")
    assert "planted" not in str(raised.value)


def test_no_credentials_at_all_are_told(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(WrongInput, match="no credentials to list"):
        place(bucket.uri).objects()
    monkeypatch.setenv("awsAnonymousCredential", "true")
    with pytest.raises(WrongInput, match="no right to list"):  # the request went out, without a signature
        place(bucket.uri).objects()


def test_a_store_that_does_not_answer_is_unavailable_not_wrong_input(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        place(bucket.uri).objects()
