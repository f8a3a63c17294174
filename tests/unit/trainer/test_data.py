"""What is read, and what bad data is told: one row of the table per way to be wrong."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.trainer.builders import idx, pictures
from trainer import data
from trainer.errors import WrongInput

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])
Files = dict[str, bytes]


def mnist(**changed: bytes | None) -> Files:
    files: dict[str, bytes | None] = {
        "train-images-idx3-ubyte": idx(pictures(8)),
        "train-labels-idx1-ubyte": idx(LABELS),
        "t10k-images-idx3-ubyte": idx(pictures(4)),
        "t10k-labels-idx1-ubyte": idx(LABELS[:4]),
    }
    for name, content in changed.items():
        files[
            {
                "ti": "train-images-idx3-ubyte",
                "tl": "train-labels-idx1-ubyte",
                "ei": "t10k-images-idx3-ubyte",
            }[name]
        ] = content
    return {name: content for name, content in files.items() if content is not None}


def npz(**arrays: Any) -> Files:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return {"data.npz": stream.getvalue()}


def keras(**changed: Any) -> Files:
    arrays = {
        "x_train": pictures(8),
        "y_train": LABELS,
        "x_test": pictures(4),
        "y_test": LABELS[:4],
        **changed,
    }
    return npz(**{name: array for name, array in arrays.items() if array is not None})


def forged(key: str, header: bytes, body: bytes) -> Files:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{key}.npy", header + body)
        archive.writestr("labels.npy", b"")
    return {"data.npz": stream.getvalue()}


def npy_header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def written(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


with_nan = pictures(8).astype(np.float32)
with_nan[5, 0, 0] = np.nan
HUGE = struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1)

BAD: dict[str, tuple[Files, str]] = {
    "empty folder": ({}, "is empty"),
    "hidden files only": ({".data.json": b"{}"}, "is empty"),
    "something else": ({"notes.txt": b"hello"}, "holds no data set that is understood, only notes.txt"),
    "IDX without labels": (mnist(tl=None), "train-images-idx3-ubyte but no labels"),
    "IDX without images": (mnist(ti=None), "train-labels-idx1-ubyte but no images"),
    "IDX only a test part": (mnist(ti=None, tl=None), "nothing to train on"),
    "IDX one class": (mnist(tl=idx(np.ones(8))), "training examples of one class only (1)"),
    "IDX other counts": (mnist(tl=idx(LABELS[:7])), "8 images but 7 labels"),
    "IDX other shapes": (mnist(ei=idx(pictures(4, side=5))), "(6, 6, 1) but test images (5, 5, 1)"),
    "IDX truncated": (mnist(ti=idx(pictures(8))[:-3]), "promises 288 bytes, 285 are there"),
    "IDX truncated header": (mnist(ti=idx(pictures(8))[:9]), "truncated within its header"),
    "IDX too long": (mnist(ti=idx(pictures(8)) + b"x"), "more than the 288 bytes"),
    "IDX empty file": (mnist(ti=b""), "train-images-idx3-ubyte is empty"),
    "IDX wrong magic": (
        mnist(ti=b"hello, world, not images"),
        "is not an IDX file (it starts with b'hello, w')",
    ),
    "IDX other type": (mnist(ti=struct.pack(">HBBI", 0, 13, 1, 0)), "IDX type 0x0d"),
    "IDX no images": (mnist(ti=idx(np.zeros((0, 6, 6)))), "holds no images"),
    "IDX labels as images": (mnist(ti=idx(LABELS)), "has the shape (8,)"),
    "IDX promises the world": (
        mnist(ti=HUGE + b"x" * 100),
        "promises 79228162458924105385300197375 bytes, 100",
    ),
    "IDX zipped promises the world": (mnist(ti=gzip.compress(HUGE)), "more than a file of its size can hold"),
    "IDX gzip bomb": (
        mnist(ti=gzip.compress(idx(pictures(8)) + bytes(50_000_000))),
        "more than the 288 bytes",
    ),
    "IDX gzip truncated": (mnist(ti=idx(pictures(8), zipped=True)[:-20]), "damaged or truncated gzip file"),
    "IDX gzip damaged": (
        mnist(ti=idx(pictures(8), zipped=True)[:40] + bytes(99)),
        "damaged or truncated gzip",
    ),
    "IDX twice": ({**mnist(), "train-images.idx3-ubyte": b""}, "there are both"),
    "npz that is text": (
        {"data.npz": b"label,pixel\n1,2\n"},
        "not a readable .npz file (it starts with b'label,pixel",
    ),
    "npz empty file": ({"data.npz": b""}, "not a readable .npz"),
    "npz truncated": ({"data.npz": keras()["data.npz"][:-60]}, "not a readable .npz"),
    "npz two of them": ({**keras(), "more.npz": keras()["data.npz"]}, "holds 2 .npz files"),
    "npz other keys": (npz(pixels=pictures(8)), "holds the arrays pixels; expected are x_train"),
    "npz no labels": (keras(y_train=None), "holds x_train but no y_train"),
    "npz pickled": (keras(x_train=np.array([{"a": 1}] * 8)), "holds pickled Python objects"),
    "npz pickled labels": (keras(y_train=np.array([object] * 8)), "holds pickled Python objects"),
    "npz NaN": (keras(x_train=with_nan), "not a number (NaN or infinite), first in image 5"),
    "npz NaN label": (
        keras(y_train=np.array([0, 1, np.nan, 0, 1, 2, 0, 1])),
        "not a number (NaN), first at 2",
    ),
    "npz fractions": (keras(x_train=pictures(8) / 255), "that are not whole pixel values 0-255"),
    "npz negative": (keras(x_train=-pictures(8).astype(int)), "that are not whole pixel values"),
    "npz flat": (keras(x_train=pictures(8).reshape(8, 36)), "has the shape (8, 36)"),
    "npz text": (keras(x_train=np.full((8, 2, 2), "a")), "where pixel values 0-255 are expected"),
    "npz text labels": (keras(y_train=np.array(list("abcabcab"))), "class numbers from 0 are expected"),
    "npz one-hot labels": (keras(y_train=np.eye(3)[LABELS]), "labels are one class number an image"),
    "npz negative labels": (keras(y_train=LABELS - 1), "labels from -1 to 1"),
    "npz huge labels": (keras(y_train=LABELS * 10**9), "labels from 0 to 2000000000"),
    "npz one class": (keras(y_train=np.zeros(8, int)), "one class only (0)"),
    "npz other counts": (keras(y_train=LABELS[:5]), "8 images but 5 labels"),
    "npz other shapes": (keras(x_test=pictures(4, side=9)), "but test images (9, 9, 1)"),
    "npz header promises the world": (
        forged("images", npy_header((2**40, 2**20)), b"x"),
        "1152921504606846976 bytes, 1",
    ),
    "npz not an array": (forged("images", b"hello hello hello", b""), "is not a numpy array"),
    "npz too few to split": (npz(images=pictures(1), labels=[1]), "too few to keep a test part back"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    files, sentence = BAD[case]
    with pytest.raises(WrongInput) as raised:
        data.read(written(tmp_path, files)).data_set()
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_folder_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="is not a folder of data"):
        data.read(tmp_path / "nowhere")


def dotted(files: Files) -> Files:
    return {name.replace("-idx", ".idx"): content for name, content in files.items()}


def zipped(files: Files) -> Files:
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()}


@pytest.mark.parametrize(
    "as_found", [dict, dotted, zipped, lambda files: {f"deep/{n}": c for n, c in files.items()}]
)
def test_mnists_files_are_read_however_they_come(as_found: Callable[[Files], Files], tmp_path: Path) -> None:
    found, said = data.read(written(tmp_path, as_found(mnist()))).data_set()
    assert found.train.inputs.shape == (8, 6, 6, 1)
    assert found.train.inputs.dtype == np.uint8
    assert np.array_equal(found.train.inputs[..., 0], pictures(8))
    assert found.train.labels.dtype == np.int64
    assert found.test.labels.tolist() == [0, 1, 2, 0]
    assert found.class_names == ("0", "1", "2")
    assert said == "test part: the data's own"


@pytest.mark.parametrize(
    "files",
    [
        keras(),
        {"no-suffix": keras()["data.npz"]},
        keras(x_train=pictures(8).astype(np.float64), y_train=LABELS[:, np.newaxis].astype(np.uint8)),
        npz(train_images=pictures(8), train_labels=LABELS, test_images=pictures(4), test_labels=LABELS[:4]),
    ],
)
def test_npz_is_read_as_keras_writes_it(files: Files, tmp_path: Path) -> None:
    found, _ = data.read(written(tmp_path, files)).data_set()
    assert np.array_equal(found.train.inputs[..., 0], pictures(8))
    assert found.train.labels.tolist() == LABELS.tolist()
    assert len(found.test) == 4


def test_colour_images_keep_their_channels(tmp_path: Path) -> None:
    colour = np.stack([pictures(8)] * 3, axis=-1)
    found, _ = data.read(written(tmp_path, keras(x_train=colour, x_test=colour[:4]))).data_set()
    assert found.train.inputs.shape == (8, 6, 6, 3)


def test_one_part_is_divided_and_no_example_changes_sides_when_data_is_added(tmp_path: Path) -> None:
    images, labels = pictures(300), np.arange(300) % 3
    few, said = data.read(written(tmp_path / "few", npz(images=images[:200], labels=labels[:200]))).data_set()
    many, _ = data.read(written(tmp_path / "many", npz(images=images, labels=labels))).data_set()
    assert f"{len(few.test)} of 200 are kept back (seed 0)" in said
    assert 20 <= len(few.test) <= 60
    assert len(few.train) + len(few.test) == 200
    tests = {image.tobytes() for image in many.test.inputs}
    assert {image.tobytes() for image in few.test.inputs} <= tests
    assert not {image.tobytes() for image in few.train.inputs} & tests


def test_evaluation_data_of_one_part_is_used_whole(tmp_path: Path) -> None:
    whole = data.read(written(tmp_path / "a", npz(images=pictures(8), labels=LABELS))).held_out()
    assert len(whole.test) == 8
    own = data.read(written(tmp_path / "b", mnist())).held_out()
    assert len(own.test) == 4
    only_test = data.read(written(tmp_path / "c", mnist(ti=None, tl=None))).held_out()
    assert len(only_test.test) == 4
