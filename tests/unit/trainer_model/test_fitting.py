"""How the image classifier learns: the cycle of its rate, weights of classes, changed images, the same again."""

from pathlib import Path

import numpy as np
import pytest

from trainer import fit, metrics, recipe, saved_model
from trainer.dataset import DataSet, Examples
from trainer.progress import Progress
from trainer.tf import tensorflow

CLASSIFIER = "trainer.recipes.image_classifier"
QUICK = {"network": "dense", "epochs": 6, "hiddenUnits": 16, "batchSize": 16}


def shapes(counts: tuple[int, ...], seed: int = 0, noise: float = 60.0) -> Examples:
    """Return images 8x8 of bars, one direction a class, blurred by noise."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((len(labels), 8, 8, 1))
    for index, label in enumerate(labels):
        at = random.integers(1, 7)
        bar = [(slice(None), at), (at, slice(None)), (np.arange(8), np.arange(8))][label]
        images[index][bar] = 160
    images += random.normal(0, noise, images.shape)
    return Examples(images.clip(0, 255).astype(np.uint8), labels)


def data(counts: tuple[int, ...] = (150, 150, 150)) -> DataSet:
    names = tuple("abc"[: len(counts)])
    return DataSet(shapes(counts), shapes((60,) * len(counts), seed=1), names)


def trained(folder: Path, found: DataSet, **given: object) -> Path:
    loaded = recipe.load(CLASSIFIER)
    folder.mkdir()
    loaded.train(found, loaded.complete({**QUICK, **given}), folder, Progress())
    return folder


def weights(model_dir: Path) -> bytes:
    return (model_dir / "variables" / "variables.data-00000-of-00001").read_bytes()


def recalls(model_dir: Path, found: DataSet) -> list[float]:
    predicted = saved_model.predictions(model_dir, found.test.inputs).argmax(axis=1)
    return [float((predicted[found.test.labels == label] == label).mean()) for label in range(3)]


def test_the_rate_rises_for_a_tenth_and_falls_to_nothing() -> None:
    rates = fit.rates(0.01, 1_000)
    assert rates[0] == pytest.approx(0.001)
    assert rates.argmax() in (99, 100)
    assert rates.max() == pytest.approx(0.01, rel=0.01)
    assert rates[-1] < 1e-6
    assert (np.diff(rates[:100]) > 0).all()
    assert (np.diff(rates[101:]) < 0).all()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_training_of_a_few_steps_has_rates(steps: int) -> None:
    assert (fit.rates(0.01, steps) > 0).all()


def test_adam_is_keras_adam() -> None:
    tf = tensorflow()
    theirs = tf.keras.Variable(np.array([1.0, -2.0, 3.0], np.float32))
    ours = tf.keras.Variable(theirs)
    optimizer = tf.keras.optimizers.Adam(0.01)
    update = fit._adam([ours], np.full(5, 0.01, np.float32))
    for number in range(5):
        gradient = tf.constant([0.1 * number, 1.0, -3.0])
        optimizer.apply([gradient], [theirs])
        update([gradient], tf.constant(number))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5)


def test_balanced_weights_make_every_class_count_the_same() -> None:
    labels = np.array([0] * 90 + [2] * 10)
    found = fit.balanced(labels, 3)
    assert found[0] * 90 == pytest.approx(found[2] * 10)
    assert found[labels].mean() == pytest.approx(1)


def test_the_same_seed_is_the_same_model_bit_for_bit_and_another_one_is_another(tmp_path: Path) -> None:
    how = {
        "network": "convolutional",
        "augmentation": 0.1,
        "classWeights": "balanced",
        "earlyStopping": 3,
        "epochs": 1,
    }
    found = data((40, 40, 40))
    one = trained(tmp_path / "one", found, seed=4, **how)
    two = trained(tmp_path / "two", found, seed=4, **how)
    other = trained(tmp_path / "other", found, seed=5, **how)
    assert weights(one) == weights(two) != weights(other)
    answers = [saved_model.predictions(folder, found.test.inputs) for folder in (one, two, other)]
    assert (answers[0] == answers[1]).all()
    assert (answers[0] != answers[2]).any()


def test_rare_classes_are_found_more_often_with_class_weights(tmp_path: Path) -> None:
    found = data((400, 400, 12))
    plain = trained(tmp_path / "plain", found, augmentation=0)
    balanced = trained(tmp_path / "balanced", found, augmentation=0, classWeights="balanced")
    assert recalls(balanced, found)[2] > recalls(plain, found)[2]


def test_augmentation_changes_training_and_nothing_that_is_served(tmp_path: Path) -> None:
    found = data()
    plain = trained(tmp_path / "plain", found, augmentation=0)
    changed = trained(tmp_path / "changed", found, augmentation=0.2)
    assert weights(plain) != weights(changed)
    one, two = (saved_model.ServedModel(changed).outputs(found.test.inputs) for _ in range(2))
    assert (one["output_0"] == two["output_0"]).all()


def test_augmented_images_are_moved_but_still_images() -> None:
    from trainer.augmentation import affine

    tf = tensorflow()
    images = shapes((20,), noise=0).inputs.astype(np.float32)
    change = affine(0.1, images.shape[1:])
    one = change(tf.constant(images), tf.constant([0, 1])).numpy()
    again = change(tf.constant(images), tf.constant([0, 1])).numpy()
    other = change(tf.constant(images), tf.constant([0, 2])).numpy()
    assert (one == again).all()
    assert (one != other).any()
    assert one.shape == images.shape
    assert one.min() >= 0
    assert one.max() <= 160
    assert np.abs(one.mean() - images.mean()) < 10


def test_one_pixel_can_be_augmented() -> None:
    from trainer.augmentation import affine

    tf = tensorflow()
    images = np.full((3, 1, 1, 1), 7, np.float32)
    assert (affine(0.1, (1, 1, 1))(tf.constant(images), tf.constant([0, 1])).numpy() == 7).all()


@pytest.mark.parametrize(("images", "epochs"), [(10, 40), (1_437, 40), (10_000, 20), (60_000, 3), (10**6, 3)])
def test_epochs_depend_on_how_many_images_there_are(images: int, epochs: int) -> None:
    from trainer.recipes import image_classifier

    assert image_classifier._epochs(images) == epochs


def test_the_digits_are_recognised(tmp_path: Path) -> None:
    from sandbox.digits import split

    parts = split(seed=0, share=0.8, augment=0)
    found = {
        part: Examples(each["images"][..., None], each["labels"].astype(np.int64))
        for part, each in parts.items()
    }
    digits = DataSet(found["train"], found["test"], tuple("0123456789"))
    folder = trained(tmp_path / "m", digits, network="dense", epochs=0, hiddenUnits=128, batchSize=64)
    assert (
        metrics.classification(saved_model.predictions(folder, digits.test.inputs), digits.test.labels)[
            "accuracy"
        ]
        >= 0.97
    )
