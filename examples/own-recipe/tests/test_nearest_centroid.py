"""What the recipe promises, without a cluster: ``pytest examples/own-recipe``."""

from pathlib import Path

import nearest_centroid
import numpy as np
import pytest

from trainer import saved_model
from trainer.dataset import DataSet, Examples
from trainer.progress import Progress
from trainer.recipe import load


def stripes(count: int, seed: int) -> Examples:
    """Images of 4x4 noise, bright on the left (class 0) or on the right (class 1)."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = random.integers(0, 100, (count, 4, 4, 1))
    images[labels == 0, :, :2] += 150
    images[labels == 1, :, 2:] += 150
    return Examples(images.astype(np.uint8), labels)


DATA = DataSet(stripes(300, 0), stripes(60, 1), ("left", "right"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    nearest_centroid.train(DATA, {"sharpness": 20.0}, folder, Progress())
    return folder


def test_it_is_a_recipe_with_defaults() -> None:
    assert load("nearest_centroid").complete({}) == {"sharpness": 20.0}


def test_it_tells_left_from_right(model: Path) -> None:
    found = nearest_centroid.evaluate(model, DATA)
    assert found["accuracy"] == 1
    assert found["loss"] < 0.2


def test_it_answers_with_probabilities_and_names(model: Path) -> None:
    answers = saved_model.predictions(model, DATA.test.inputs[:5])
    assert np.allclose(answers.sum(axis=1), 1)
    assert saved_model.class_names(model) == ("left", "right")
