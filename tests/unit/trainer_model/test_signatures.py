"""What the exported model takes and answers: pixel values, and files of pictures."""

import io
from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainer.builders import Trained
from trainer import saved_model
from trainer.tf import tensorflow


def file_of(image: np.ndarray, kind: str, mode: str = "L", size: int = 28) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    picture = Image.fromarray(image).convert(mode)
    picture.resize((size, size), Image.Resampling.NEAREST).save(stream, kind)
    return stream.getvalue()


@pytest.fixture(scope="module")
def signatures(trained: Trained):
    model = tensorflow().saved_model.load(str(trained.model))
    return model.signatures, model


@pytest.fixture(scope="module")
def images(trained: Trained) -> np.ndarray:
    from sandbox.digits import held_out

    return held_out(trained.data)[0][:4]


def answered(signatures, *files: bytes) -> np.ndarray:
    (found,) = signatures[0]["serving_bytes"](image_bytes=tensorflow().constant(list(files))).values()
    return found.numpy()


def test_there_is_a_signature_for_values_and_one_for_files(signatures) -> None:
    named = signatures[0]
    assert set(named) == {"serving_default", "serving_bytes"}
    assert list(named["serving_default"].structured_input_signature[1]) == ["instances"]
    # A V1 server takes {"b64": …} for whatever input is a string.
    assert named["serving_bytes"].structured_input_signature[1]["image_bytes"].dtype == tensorflow().string


def test_a_png_is_answered_as_its_values_are(trained: Trained, signatures, images: np.ndarray) -> None:
    expected = saved_model.predictions(trained.model, images[..., None])
    found = answered(signatures, *(file_of(image, "PNG") for image in images))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("kind", "mode", "size"), [("JPEG", "L", 28), ("PNG", "RGB", 28), ("PNG", "L", 112)])
def test_jpeg_colour_and_other_sizes_are_taken_too(
    kind: str, mode: str, size: int, trained: Trained, signatures, images: np.ndarray
) -> None:
    expected = saved_model.predictions(trained.model, images[..., None])
    found = answered(signatures, *(file_of(image, kind, mode, size) for image in images))
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    np.testing.assert_allclose(found, expected, atol=0.2)


def test_labels_lie_beside_the_model(trained: Trained) -> None:
    assert saved_model.class_names(trained.model) == tuple("0123456789")


def test_images_that_no_file_can_hold_have_one_signature(tmp_path: Path) -> None:
    tf = tensorflow()
    network = tf.keras.Sequential(
        [tf.keras.layers.Input((2, 2, 5)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(2)]
    )
    saved_model.write_classifier(network, (2, 2, 5), tmp_path)
    assert set(tf.saved_model.load(str(tmp_path)).signatures) == {"serving_default"}


def test_latencies_are_of_single_predictions(trained: Trained, images: np.ndarray) -> None:
    times = saved_model.latencies(trained.model, images[..., None], count=30)
    assert len(times) == 30
    assert all(0 < each < 1_000 for each in times)
    assert saved_model.latencies(trained.model, images[:0, ..., None]) == []


def test_the_same_question_is_answered_once(trained: Trained, images: np.ndarray) -> None:
    inputs = images[..., None]
    assert saved_model.predictions(trained.model, inputs) is saved_model.predictions(trained.model, inputs)
