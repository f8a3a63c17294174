"""Folders of images: how they are found, and what broken ones are told."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainer_data.builders import image_folder, jpeg, pictures, png, told, written
from trainer import data, recipe, rows
from trainer.errors import WrongInput
from trainer.reading import Reading, separated

LABELS = ["cat", "dog", "cat", "dog", "eel", "cat"]


def both(images: np.ndarray, prefix: str = "") -> dict[str, bytes]:
    return {
        **image_folder(images, LABELS, f"{prefix}train/"),
        **image_folder(images[:3], LABELS[:3], f"{prefix}test/"),
    }


@pytest.mark.parametrize("prefix", ["", "unpacked/", "a/b/"])
def test_parts_and_classes_are_named_by_folders_however_deep(prefix: str, tmp_path: Path) -> None:
    images = pictures(6)
    found, said = data.read(written(tmp_path, both(images, prefix))).data_set()
    assert said == "test part: the data's own"
    assert found.class_names == ("cat", "dog", "eel")
    assert found.train.inputs.dtype == np.uint8
    order = np.argsort(np.array(LABELS), kind="stable")
    assert np.array_equal(found.train.inputs, images[order])
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 2]
    assert found.test.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("prefix", ["", "one/", "train/"])
def test_without_parts_all_images_are_one_and_divided(prefix: str, tmp_path: Path) -> None:
    labels = [f"class {n % 3}" for n in range(60)]
    found, said = data.read(written(tmp_path, image_folder(pictures(60), labels, prefix))).data_set()
    assert "are kept back" in said
    assert len(found.train) + len(found.test) == 60
    assert found.class_names == ("class 0", "class 1", "class 2")


def test_no_image_changes_sides_when_images_are_added(tmp_path: Path) -> None:
    images = pictures(120)
    labels = [f"c{n % 2}" for n in range(120)]
    few, _ = data.read(written(tmp_path / "few", image_folder(images[:80], labels[:80]))).data_set()
    many, _ = data.read(written(tmp_path / "many", image_folder(images, labels))).data_set()
    tests = {image.tobytes() for image in many.test.inputs}
    assert {image.tobytes() for image in few.test.inputs} <= tests
    assert not {image.tobytes() for image in few.train.inputs} & tests


def test_parts_in_archives_of_their_own_are_put_together(tmp_path: Path) -> None:
    images = pictures(6)
    files = {
        **image_folder(images, LABELS, "train/train/"),
        **image_folder(images, LABELS, "test/data/test/"),
    }
    found, _ = data.read(written(tmp_path, files)).data_set()
    assert (len(found.train), len(found.test), found.class_names) == (6, 6, ("cat", "dog", "eel"))


def test_validation_images_judge_where_there_are_no_test_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {**image_folder(pictures(6), LABELS, "train/"), **image_folder(pictures(3), LABELS[:3], "val/")}
    assert len(data.read(written(tmp_path / "a", files)).data_set()[0].test) == 3
    files |= image_folder(pictures(2), LABELS[:2], "test/")
    assert len(data.read(written(tmp_path / "b", files)).data_set()[0].test) == 2
    assert "left out: the 3 images for validation" in capsys.readouterr().out


def test_colour_grey_and_jpeg_are_brought_together(tmp_path: Path) -> None:
    grey, colour = np.arange(0, 256, dtype=np.uint8).reshape(16, 16, 1), np.full((16, 16, 3), 100, np.uint8)
    files = {"a/1.png": png(grey), "b/2.jpeg": jpeg(colour), "a/3.JPG": jpeg(grey), "b/notes.txt": b"hello"}
    found = data.read(written(tmp_path, files)).held_out()
    assert found.test.inputs.shape == (3, 16, 16, 3)
    assert np.array_equal(found.test.inputs[0], np.repeat(grey, 3, axis=2))
    assert np.abs(found.test.inputs[1].astype(int) - grey).mean() < 4
    assert np.abs(found.test.inputs[2].astype(int) - 100).max() <= 2
    as_grey = data.read(tmp_path, Reading(image_channels=1)).held_out()
    assert np.array_equal(as_grey.test.inputs[0], grey)


def test_images_of_other_sizes_are_scaled_where_it_is_asked_for(tmp_path: Path) -> None:
    files = {
        "a/1.png": png(np.full((8, 12, 1), 7, np.uint8)),
        "b/2.png": png(np.full((30, 5, 1), 200, np.uint8)),
    }
    how, _ = separated({"imageSize": "4x6"})
    found = data.read(written(tmp_path, files), how).held_out()
    assert found.test.inputs.shape == (2, 4, 6, 1)
    assert np.unique(found.test.inputs[0]).tolist() == [7]
    assert np.unique(found.test.inputs[1]).tolist() == [200]


def test_images_without_a_suffix_are_known_by_their_content(tmp_path: Path) -> None:
    files = {name.removesuffix(".png"): content for name, content in both(pictures(6)).items()}
    assert len(data.read(written(tmp_path, files)).data_set()[0].train) == 6


def test_hidden_and_foreign_folders_are_passed_over(tmp_path: Path) -> None:
    files = {
        **both(pictures(6)),
        "__MACOSX/train/cat/._0000.png": b"x",
        "train/.DS_Store": b"x",
        ".git/a.png": b"x",
    }
    assert len(data.read(written(tmp_path, files)).data_set()[0].train) == 6


def test_more_than_memory_is_read_as_it_is_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = data.read(written(tmp_path, both(pictures(6)))).data_set()
    monkeypatch.setattr(rows, "IN_MEMORY", 10)
    found, _ = data.read(tmp_path).data_set()
    assert isinstance(found.train.inputs, rows.Rows)
    assert found.train.inputs.shape == whole.train.inputs.shape
    for index in (2, slice(1, 4), slice(0, 0), np.array([5, 0, 0]), np.arange(6) % 2 == 0):
        assert np.array_equal(found.train.inputs[index], whole.train.inputs[index])
    assert np.array_equal(np.asarray(found.train.inputs), whole.train.inputs)
    assert np.array_equal(np.stack(list(found.train.inputs)), whole.train.inputs)
    (tmp_path / "train" / "cat" / "0002.png").write_bytes(b"gone bad")
    with pytest.raises(WrongInput, match=r"train/cat/0002\.png is a damaged or truncated image"):
        found.train.inputs[0:6]


GOOD = png(pictures(1)[0])
WITH_TEST = dict.fromkeys(("train/a/1.png", "train/b/1.png", "test/a/1.png"), GOOD)
BOMB = GOOD[:16] + (2**16).to_bytes(4) * 2 + GOOD[24:]
BAD: dict[str, tuple[dict[str, bytes], str]] = {
    "text named .png": (
        {"a/1.png": b"hello, world", "b/2.png": GOOD},
        "a/1.png is not a PNG or JPEG image (it starts with b'hello, world')",
    ),
    "empty": ({"a/1.png": b"", "b/2.png": GOOD}, "a/1.png is not a PNG or JPEG image (it is empty)"),
    "gif named .png": ({"a/1.png": b"GIF89a...", "b/2.png": GOOD}, "(it starts with b'GIF89a...')"),
    "truncated header": ({"a/1.png": GOOD[:20], "b/2.png": GOOD}, "a/1.png is a damaged or truncated image"),
    "truncated": (WITH_TEST | {"train/a/1.png": GOOD[:50]}, "a/1.png is a damaged or truncated image"),
    "jpeg truncated header": (
        {"a/1.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF", "b/2.png": GOOD},
        "a/1.jpg is a damaged",
    ),
    "damaged": (WITH_TEST | {"test/a/1.png": GOOD[:45] + b"\xff" * 9 + GOOD[54:]}, "a/1.png is a damaged"),
    "pixels without end": ({"a/1.png": BOMB, "b/2.png": GOOD}, "a/1.png promises 65536x65536 pixels"),
    "no pixels": (
        {"a/1.png": GOOD[:16] + bytes(8) + GOOD[24:], "b/2.png": GOOD},
        "a/1.png promises 0x0 pixels",
    ),
    "sizes differ": (
        {"a/1.png": GOOD, "b/2.png": png(pictures(1, 7, 9)[0])},
        "a/1.png is 5x6, b/2.png is 9x7; scale them",
    ),
    "no class folders": ({"1.png": GOOD, "2.png": GOOD}, "1.png lies in no class's folder"),
    "one lies outside": (
        {"1.png": GOOD, "a/2.png": GOOD, "b/2.png": GOOD},
        "1.png lies in no class's folder",
    ),
    "only parts": ({"train/1.png": GOOD, "test/2.png": GOOD}, "test/2.png lies in no class's folder"),
    "test without classes": (
        {"train/a/1.png": GOOD, "train/b/1.png": GOOD, "test/1.png": GOOD},
        "test/1.png lies in no class's",
    ),
    "beside the parts": (
        {"train/a/1.png": GOOD, "train/b/1.png": GOOD, "more/a/1.png": GOOD},
        "more/a/1.png lies beside",
    ),
    "one class": ({f"a/{n}.png": png(image) for n, image in enumerate(pictures(30))}, "one class only (a)"),
    "images and CSV": (
        {"a/1.png": GOOD, "b/1.png": GOOD, "x.csv": b"a,label"},
        "several formats (images, csv); say which",
    ),
    "archive": ({"data.tar.gz": b"x"}, "unpacked by the download step"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_images_are_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    files, sentence = BAD[case]
    with pytest.raises(WrongInput) as raised:
        data.read(written(tmp_path, files)).data_set()
    assert sentence in told(raised, tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"imageSize": "28×28"}, "imageSize is '28×28'; HEIGHTxWIDTH in pixels is expected"),
        ({"imageSize": True}, "imageSize is True; a text is expected"),
        ({"imageSize": 0}, "imageSize is '0'"),
        ({"imageChannels": 2}, "imageChannels is 2; 1 (grey) or 3 (colour)"),
        ({"dataFormat": "image"}, "dataFormat is 'image'; one of detect, idx, npz, images"),
        ({"labelColumn": 3}, "labelColumn is 3; a text is expected"),
    ],
)
def test_wrong_data_parameters_are_told(parameters: dict[str, object], sentence: str) -> None:
    with pytest.raises(WrongInput) as raised:
        separated(parameters)
    assert sentence in str(raised.value)


def test_data_parameters_are_told_apart_from_the_recipes() -> None:
    how, rest = separated({"imageSize": 28.0, "epochs": 3, "ignoredColumns": ["a", "b c"]})
    assert rest == {"epochs": 3}
    assert how.image_size == (28, 28)
    assert how.ignored_columns == ("a", "b c")


def test_a_parameter_for_another_format_is_told(tmp_path: Path) -> None:
    how, _ = separated({"labelColumn": "kind"})
    with pytest.raises(WrongInput, match="labelColumn is given, but means nothing for images data"):
        data.read(written(tmp_path, both(pictures(6))), how)


@pytest.mark.parametrize("data_format", ["idx", "npz", "tfrecord"])
def test_a_format_that_is_said_but_not_there_is_told(data_format: str, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=r"holds no .* only test/"):
        data.read(written(tmp_path, both(pictures(6))), Reading(data_format=data_format))


def test_a_data_parameter_that_is_misspelt_is_told_by_its_name() -> None:
    with pytest.raises(WrongInput, match="has no parameter labelCollumn; did you mean labelColumn"):
        recipe.load("trainer.recipes.tabular").complete({"labelCollumn": "kind"})
