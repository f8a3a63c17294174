"""What TensorFlow Datasets prepares, read without it."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainer_data.builders import (
    example,
    jpeg,
    pictures,
    png,
    prepared,
    record_file,
    told,
    written,
)
from trainer import data, rows
from trainer.errors import WrongInput
from trainer.reading import Reading

TRAIN_0 = "tiny/3.0.1/tiny-train.tfrecord-00000-of-00002"
TEST_1 = "tiny/3.0.1/tiny-test.tfrecord-00001-of-00002"


def test_a_prepared_folder_is_read_with_its_class_names(tmp_path: Path) -> None:
    found, said = data.read(written(tmp_path, prepared())).data_set()
    assert said == "test part: the data's own"
    assert found.class_names == ("nil", "one", "two")
    order = np.concatenate([np.arange(9)[0::2], np.arange(9)[1::2]])
    assert np.array_equal(found.train.inputs, pictures(9)[order])
    assert found.train.labels.tolist() == (order % 3).tolist()
    assert len(found.test) == 6


def test_without_descriptions_classes_are_numbers(tmp_path: Path) -> None:
    files = {name.rpartition("/")[2]: content for name, content in prepared().items() if "tfrecord" in name}
    found, _ = data.read(written(tmp_path, files)).data_set()
    assert found.class_names == ("0", "1", "2")


def test_one_part_is_divided(tmp_path: Path) -> None:
    records = [example(png(image), n % 2) for n, image in enumerate(pictures(60))]
    found, said = data.read(written(tmp_path, {"data.tfrecord": record_file(records)})).data_set()
    assert "are kept back" in said
    assert len(found.train) + len(found.test) == 60


def test_jpeg_and_scaling(tmp_path: Path) -> None:
    images = [np.full((9, 9, 3), 50, np.uint8), np.full((30, 20, 3), 90, np.uint8)]
    records = [example(jpeg(image), n) for n, image in enumerate(images)]
    found = data.read(
        written(tmp_path, {"d.tfrecord": record_file(records)}), Reading(image_size=(4, 4))
    ).held_out()
    assert found.test.inputs.shape == (2, 4, 4, 3)
    assert np.abs(found.test.inputs[:, 0, 0, 0].astype(int) - [50, 90]).max() <= 2


def test_more_than_memory_is_read_as_it_is_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = data.read(written(tmp_path, prepared())).data_set()
    monkeypatch.setattr(rows, "IN_MEMORY", 10)
    found, _ = data.read(tmp_path).data_set()
    assert isinstance(found.train.inputs, rows.Rows)
    for index in (8, slice(3, 7), slice(0, 0), np.array([8, 0, 4, 4])):
        assert np.array_equal(found.train.inputs[index], whole.train.inputs[index])
    assert np.array_equal(np.asarray(found.train.inputs), whole.train.inputs)


def changed(**files: bytes | str | None) -> dict[str, bytes | str]:
    names = {"train": TRAIN_0, "test": TEST_1, "names": "tiny/3.0.1/label.labels.txt"}
    found: dict[str, bytes | str | None] = {
        **prepared(),
        **{names[key]: content for key, content in files.items()},
    }
    return {name: content for name, content in found.items() if content is not None}


WHOLE = prepared()[TRAIN_0]
assert isinstance(WHOLE, bytes)
IMAGE = png(pictures(1)[0])
BAD: dict[str, tuple[dict[str, bytes | str], str]] = {
    "truncated": (changed(train=WHOLE[:-9]), "tiny-train.tfrecord-00000-of-00002 is a damaged or truncated"),
    "a bit flipped": (
        changed(train=WHOLE[:60] + bytes([WHOLE[60] ^ 1]) + WHOLE[61:]),
        "is a damaged or truncated TFRecord",
    ),
    "text": (
        changed(train="hello, this is a text and no record at all"),
        "is a damaged or truncated TFRecord",
    ),
    "empty": ({"d-train.tfrecord": b""}, "d-train.tfrecord holds no records"),
    "a shard is missing": (
        changed(test=None),
        "holds 3 records of the test part, but dataset_info.json says 6",
    ),
    "no examples": (changed(train=record_file([b"\xff\xff\xff"])), "records that are no tf.train.Examples"),
    "other features": (
        changed(train=record_file([example(IMAGE, 1, image_name="picture")])),
        "holds examples with the features label (int64), picture (bytes); expected are image",
    ),
    "not an image": (
        changed(train=record_file([example(b"hello", 1)])),
        "the image of record 0 of tiny/3.0.1/tiny-train.tfrecord-00000-of-00002 is not a PNG",
    ),
    "a damaged image": (
        changed(train=record_file([example(IMAGE[:45], n % 3) for n in range(5)])),
        "the image of record 0 of tiny/3.0.1/tiny-train",
    ),
    "too few names": (
        changed(names="nil\none\n"),
        "label.labels.txt names 2 classes, but there are labels up to 2",
    ),
    "sizes differ": (
        {"d.tfrecord": record_file([example(IMAGE, 0), example(png(pictures(1, 9, 9)[0]), 1)])},
        "images differ in size",
    ),
    "a label below 0": (
        {"d.tfrecord": record_file([example(IMAGE, 2**64 - 1), example(IMAGE, 1)])},
        "labels from -1 to 1",
    ),
    "one class": (
        {"d.tfrecord": record_file([example(png(each), 1) for each in pictures(40)])},
        "one class only (1)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_records_are_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    files, sentence = BAD[case]
    with pytest.raises(WrongInput) as raised:
        data.read(written(tmp_path, files)).data_set()
    assert sentence in told(raised, tmp_path)
    assert "\n" not in str(raised.value)
