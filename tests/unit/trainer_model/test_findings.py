"""What is collected for a report, against independent computations, and its bounds."""

import base64
import io
import json

import numpy as np
import pytest

from tests.unit.trainer_model.states import STATES, answers
from trainer.report import findings, pictures


def found(count: int = 1_000, classes: int = 5, skill: float = 2.0) -> dict:
    probabilities, labels = answers(count, classes, skill)
    names = [f"class {number}" for number in range(classes)]
    return findings.findings(probabilities, labels, names, np.zeros((count, 3), np.float32))


def test_the_table_of_classes_is_the_independent_one() -> None:
    from sklearn.metrics import precision_recall_fscore_support

    probabilities, labels = answers(1_000, 5, 2.0)
    expected = precision_recall_fscore_support(labels, probabilities.argmax(axis=1))
    rows = found()["classes"]
    for column, name in enumerate(("precision", "recall", "f1", "support")):
        assert [row[name] for row in rows] == pytest.approx(expected[column], abs=1e-5)
    assert all(row["recallInterval"][0] < row["recall"] < row["recallInterval"][1] for row in rows)


def test_the_confusion_matrix_is_the_independent_one() -> None:
    from sklearn.metrics import confusion_matrix

    probabilities, labels = answers(1_000, 5, 2.0)
    expected = confusion_matrix(labels, probabilities.argmax(axis=1)).tolist()
    assert found()["confusion"]["matrix"] == expected


def test_the_areas_under_the_curves_are_the_independent_ones() -> None:
    from sklearn.metrics import roc_auc_score

    probabilities, labels = answers(1_000, 5, 2.0)
    right = labels[:, None] == np.arange(5)
    curves = found()["roc"]
    assert curves[0]["name"] == "all classes"
    assert curves[0]["auc"] == pytest.approx(roc_auc_score(right.ravel(), probabilities.ravel()), abs=1e-5)
    for curve in curves[1:]:
        column = int(curve["name"].removeprefix("class "))
        expected = roc_auc_score(right[:, column], probabilities[:, column])
        assert curve["auc"] == pytest.approx(expected, abs=1e-5)


def test_a_curve_begins_and_ends_at_the_corners_and_is_short_and_finite() -> None:
    for curve in found(20_000)["roc"]:
        assert (curve["fpr"][0], curve["tpr"][0], curve["fpr"][-1], curve["tpr"][-1]) == (0, 0, 1, 1)
        assert len(curve["fpr"]) == len(curve["tpr"]) == len(curve["thresholds"]) <= 101
        assert all(np.diff(curve["fpr"]) >= 0)
        assert np.isfinite(curve["thresholds"]).all()


def test_two_classes_have_one_curve() -> None:
    assert [curve["name"] for curve in found(classes=2)["roc"]] == ["class 1"]


def test_a_class_without_examples_has_no_recall_and_no_curve() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1]])
    rows = findings.findings(probabilities, np.array([0, 1]), ["a", "b", "c"], np.zeros((2, 1)))
    assert rows["classes"][2]["recall"] is None
    assert rows["classes"][2]["f1"] is None
    assert "c" not in [curve["name"] for curve in rows["roc"]]


def test_the_worst_mistakes_come_first() -> None:
    shown = found()["mistakes"]
    assert len(shown) == findings.MISTAKES
    sure = [each["probabilityOfActual"] for each in shown]
    assert sure == sorted(sure)
    assert all(each["actual"] != each["predicted"] for each in shown)


def test_answers_that_are_no_numbers_leave_no_curves() -> None:
    rows = findings.findings(np.full((4, 2), np.nan), np.array([0, 1, 0, 1]), ["a", "b"], np.zeros((4, 1)))
    assert rows["roc"] == rows["calibration"] == []
    json.dumps(rows["classes"], allow_nan=False)


def test_a_thousand_classes_stay_small() -> None:
    many = found(4_000, 1_500, 3.0)
    assert len(many["confusion"]["names"]) == findings.MOST_CLASSES
    assert many["confusion"]["leftOut"] == 1_400
    assert len(many["classes"]) == findings.MOST_ROWS
    assert len(json.dumps(many)) < 2**20


@pytest.mark.parametrize("state", list(STATES))
def test_whatever_is_found_is_strict_json_and_bounded(state: str) -> None:
    assert len(json.dumps(STATES[state](), allow_nan=state == "nothing_but_metrics")) < 2 * 2**20


@pytest.mark.parametrize(
    ("shape", "mode"), [((5, 7, 1), "L"), ((5, 7, 2), "LA"), ((5, 7, 3), "RGB"), ((1, 1, 4), "RGBA")]
)
def test_a_picture_is_the_image(shape: tuple[int, ...], mode: str) -> None:
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    address = pictures.data_address(image)
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(content)) as read:
        assert read.mode == mode
        assert (np.asarray(read).reshape(shape) == image).all()


def test_a_large_picture_is_made_smaller() -> None:
    image = np.full((300, 1_000, 3), 7, np.uint8)
    assert pictures._smaller(image, 16).shape == (18, 62, 3)
    assert len(pictures.data_address(image)) < 1_000
