"""Archives on their way from a store to a folder."""

import gzip
import io
import json
import tarfile
import threading
from pathlib import Path

import pytest

from tests.unit.trainer.builders import Bucket
from tests.unit.trainer_data.archives import Tally, tar, tar_entry
from tests.unit.trainer_data.builders import csv, npz, people, pictures, prepared, written
from trainer import data
from trainer.__main__ import main
from trainer.errors import WrongInput
from trainer.folder import ARCHIVES
from trainer.ranged import Ranged
from trainer.steps import download

FILES = {"train/a.txt": b"hello" * 100, "test/b.txt": b"x"}
PACKED = {
    "d.tar": Tally(FILES).tar(),
    "d.tar.gz": Tally(FILES).gzipped(),
    "d.tgz": Tally(FILES).gzipped(),
    "D.ZIP": Tally(FILES).zip(),
}


def found(folder: Path) -> dict[str, bytes]:
    own = (download.RECORD, ARCHIVES)
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in own]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("where", ["bucket", "folder"])
def test_an_archive_becomes_a_folder_of_its_name(
    where: str, name: str, bucket: Bucket, tmp_path: Path
) -> None:
    if where == "bucket":
        bucket.put(**{f"sets/{name}": PACKED[name]})
        uri = f"{bucket.uri}sets/{name}"
    else:
        uri = str(written(tmp_path / "in", {name: PACKED[name]}) / name)
    download.run(uri, tmp_path / "out", None)
    assert found(tmp_path / "out") == {f"{name[0]}/{key}": content for key, content in FILES.items()}
    record = json.loads((tmp_path / "out" / download.RECORD).read_text())
    assert (record["objects"], record["bytes"]) == (1, len(PACKED[name]))


def test_the_digest_is_that_of_what_is_stored(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(**{"d.zip": PACKED["D.ZIP"]})
    download.run(f"{bucket.uri}d.zip", tmp_path / "a", None)
    digest = json.loads((tmp_path / "a" / download.RECORD).read_text())["digest"]
    download.run(f"{bucket.uri}d.zip", tmp_path / "b", digest)
    bucket.put(**{"d.zip": PACKED["d.tar"]})
    with pytest.raises(WrongInput, match="DataChanged"):
        download.run(f"{bucket.uri}d.zip", tmp_path / "c", digest)


def test_archives_and_files_beside_each_other(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(
        **{"s/deep/one.tar": PACKED["d.tar"], "s/two.zip": PACKED["D.ZIP"], "s/plain.bin": b"\x1f\x8bplain"},
    )
    download.run(f"{bucket.uri}s/", tmp_path / "out", None)
    wanted = {f"{above}/{key}": content for key, content in FILES.items() for above in ("deep/one", "two")}
    assert found(tmp_path / "out") == {**wanted, "plain.bin": b"\x1f\x8bplain"}


def test_what_is_no_archive_stays_as_it_is(tmp_path: Path) -> None:
    arrays = npz(x=pictures(3))
    for number, (name, content) in enumerate(
        {
            "a.npz": arrays,
            "b.zip": arrays,
            "c": b"anything",
            "train-images-idx3-ubyte.gz": gzip.compress(b"x"),
        }.items()
    ):
        source = written(tmp_path / f"in{number}", {name: content})
        download.run(str(source), tmp_path / f"out{number}", None)
        assert found(tmp_path / f"out{number}") == {name: content}


def test_an_archive_alone_is_known_by_its_content(tmp_path: Path) -> None:
    download.run(str(written(tmp_path / "in", {"data": PACKED["d.tgz"]})), tmp_path / "out", None)
    assert found(tmp_path / "out") == {f"data/{key}": content for key, content in FILES.items()}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"d.zip": b"hello"}, "d.zip is named like an archive, but is none (it starts with b'hello')"),
        ({"d.tar.gz": gzip.compress(b"hello")}, "d.tar.gz is named like an archive, but is none"),
        ({"d.tar.xz": b""}, "d.tar.xz is an archive of another kind than .tar.gz, .tar and .zip"),
        ({"d.7z": b""}, "d.7z is an archive of another kind"),
        (
            {"d.zip": PACKED["D.ZIP"], "d.tar": PACKED["d.tar"]},
            "would be unpacked to d, where something else is written",
        ),
        ({"d.zip": PACKED["D.ZIP"], "d/x": b""}, "d.zip would be unpacked to d, where something else"),
        ({"d.zip": PACKED["D.ZIP"], "d": b""}, "d.zip would be unpacked to d"),
        ({".data.json.zip": PACKED["D.ZIP"]}, "would be unpacked to .data.json"),
        ({"d.tar": tar(tar_entry("../x"))}, "d.tar holds an entry named '../x': it leads out of its folder"),
        ({"d.tar.gz": PACKED["d.tgz"][:-20]}, "d.tar.gz is damaged or cut off"),
        ({"d.zip": PACKED["D.ZIP"][:-20]}, "d.zip is damaged or no zip"),
    ],
)
def test_archives_that_cannot_be_unpacked_are_exit_2(
    files: dict[str, bytes], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = written(tmp_path / "in", files)
    assert main(["download", "--uri", str(source), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out" / download.RECORD).exists()


def test_a_second_try_begins_anew(tmp_path: Path) -> None:
    source = written(tmp_path / "in", {"d.tar": tar(tar_entry("good"), tar_entry("../bad"))})
    with pytest.raises(WrongInput):
        download.run(str(source), tmp_path / "out", None)
    (source / "d.tar").write_bytes(PACKED["d.tar"])
    download.run(str(source), tmp_path / "out", None)
    assert found(tmp_path / "out").keys() == {"d/train/a.txt", "d/test/b.txt"}


def test_an_archive_that_changes_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "in", {"d.tar": PACKED["d.tar"]})
    unpack = download.unpack.unpack

    def meanwhile(*given: object) -> object:
        (source / "d.tar").write_bytes(PACKED["d.tar"] + bytes(512))
        return unpack(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(download.unpack, "unpack", meanwhile)
    with pytest.raises(WrongInput, match=r"DataChanged: .* holds another d\.tar than when it was listed"):
        download.run(str(source), tmp_path / "out", None)


def test_an_object_that_changes_while_it_is_read_is_told(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put(**{"d.tar": PACKED["d.tar"]})
    kind = download.unpack.kind

    def meanwhile(stream: Ranged, name: str) -> str | None:
        bucket.put(**{"d.tar": PACKED["d.tar"] + bytes(512)})
        return kind(stream, name)

    monkeypatch.setattr(download.unpack, "kind", meanwhile)
    with pytest.raises(WrongInput, match=r"DataChanged: .* changed while it was being read"):
        download.run(f"{bucket.uri}d.tar", tmp_path / "out", None)


BROKEN: dict[str, tuple[str, dict[str, bytes], str]] = {
    "image": ("s/", {"s/cat/1.png": b"hello"}, "{at}s/cat/1.png is not a PNG"),
    "image, no slash": ("s", {"s/cat/1.png": b"hello", "s/dog/2.png": b""}, "{at}s/cat/1.png is not a PNG"),
    "image in an archive": (
        "s/",
        {"s/deep/pets.zip": Tally({"cat/1.png": b"hello"}).zip(), "s/notes.txt": b""},
        "cat/1.png in {at}s/deep/pets.zip is not a PNG",
    ),
    "image in the only archive": (
        "s/pets.tar",
        {"s/pets.tar": Tally({"cat/1.png": b"hello"}).tar()},
        "cat/1.png in {at}s/pets.tar is not a PNG",
    ),
    "archive": ("s/", {"s/x.tar": tar(tar_entry("../x"))}, "{at}s/x.tar holds an entry named '../x'"),
    "arrays": ("s/a.npz", {"s/a.npz": npz(z=pictures(3))}, "{at}s/a.npz holds the arrays z;"),
    "table": ("s/", {"s/t.csv": b"a,label\n1,x\n1,2,y\n"}, "{at}s/t.csv, line 3, has 3 fields"),
    "records": ("s/", {"s/t.tfrecord": b"hello, world, hello"}, "{at}s/t.tfrecord is a damaged"),
    "labels": (
        "s/",
        {"s/train-images-idx3-ubyte": b""},
        "{at}s/ holds train-images-idx3-ubyte but no labels",
    ),
    "nothing": (
        "s/",
        {"s/notes.txt": b"hello"},
        "{at}s/ holds no data set that is understood, only notes.txt",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("where", ["bucket", "folder"])
def test_bad_data_is_named_by_its_address_not_by_where_the_step_keeps_it(
    where: str, case: str, bucket: Bucket, tmp_path: Path
) -> None:
    uri, objects, sentence = BROKEN[case]
    if where == "bucket":
        bucket.put(**objects)
    at = bucket.uri if where == "bucket" else f"{written(tmp_path / 'mine', objects)}/"
    with pytest.raises(WrongInput) as raised:
        download.run(at + uri, tmp_path / "kept", None)
        data.read(tmp_path / "kept").data_set()
    assert sentence.format(at=at) in str(raised.value)
    assert "kept" not in str(raised.value)


def test_a_prepared_data_set_in_an_archive_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, held in prepared().items():
            content = held.encode() if isinstance(held, str) else held
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    download.run(
        str(written(tmp_path / "in", {"datasets.tar.gz": stream.getvalue()})), tmp_path / "out", None
    )
    assert len(data.read(tmp_path / "out").data_set()[0].train) == 9


def test_a_table_in_an_archive_is_read(tmp_path: Path) -> None:
    content = Tally({"people.csv": csv(people(60)).encode()}).zip()
    download.run(str(written(tmp_path / "in", {"people.zip": content})), tmp_path / "out", None)
    assert data.read(tmp_path / "out").data_set()[0].class_names == ("no", "yes")


def test_a_stored_object_is_read_like_a_file_and_a_few_parts_ahead() -> None:
    whole, asked, lock = bytes(range(256)) * 41, [], threading.Lock()

    def fetch(first: int, last: int) -> bytes:
        with lock:
            asked.append(first)
        return whole[first : last + 1]

    with Ranged(len(whole), fetch, part=1_000) as stream, io.BytesIO(whole) as file:
        for offset, whence, size in [
            (0, 0, 10),
            (0, 1, 2_500),
            (-22, 2, 22),
            (-22, 2, -1),
            (700, 0, 0),
            (0, 0, 10**6),
            (5, 2, 3),
        ]:
            assert stream.seek(offset, whence) == file.seek(offset, whence)
            assert stream.read(size) == file.read(size)
            assert stream.tell() == file.tell()
        with pytest.raises(ValueError, match="negative position"):
            stream.seek(-1)
    asked.clear()
    with Ranged(len(whole), fetch, part=1_000) as stream:
        stream.read(1)
    assert set(asked) <= {0, 1_000, 2_000, 3_000, 4_000}


def test_too_few_bytes_from_afar_are_an_error() -> None:
    with (
        Ranged(10, lambda first, last: b"abc") as stream,
        pytest.raises(EOFError, match="3 bytes came where 10"),
    ):
        stream.read()
