"""The tabular recipe, from a file to what a server answers."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandbox.kserve.model_server import columns
from tests.unit.trainer_data.builders import csv, image_folder, people, pictures, told, written
from trainer import saved_model
from trainer.__main__ import main
from trainer.errors import WrongInput
from trainer.steps import evaluate, train

TABULAR = "trainer.recipes.tabular"
QUICK = {"epochs": 12, "learningRate": 0.01, "hiddenUnits": 16}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tabular")
    rows = people(1_200)
    for row in rows[::25]:
        row[0] = ""
    for row in rows[::40]:
        row[1] = "NA"
    written(folder / "data", {"train.csv": csv(rows[:1_000]), "test.csv": csv(rows[1_000:])})
    train.run(folder / "data", folder / "model", TABULAR, QUICK)
    evaluate.run(folder / "data", folder / "model", TABULAR, folder / "evaluation.json", parameters=QUICK)
    return folder


def loaded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_what_follows_from_both_columns_is_learnt(trained: Path) -> None:
    found = loaded(trained / "evaluation.json")
    assert {"accuracy", "loss", "macro_f1"} <= found["metrics"].keys()
    assert found["metrics"]["accuracy"] > 0.85
    assert found["samples"] == 200


def test_a_client_sends_rows_as_they_stand_in_the_file(trained: Path) -> None:
    tf = saved_model.tensorflow()
    model = tf.saved_model.load(str(trained / "model"))
    signature = model.signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    rows = [
        {"age": 71, "job": "clerk"},
        {"age": 20, "job": "clerk"},
        {"age": float("nan"), "job": "astronaut"},
    ]
    given = {
        name: tf.constant(value, dtype=inputs[name].dtype) for name, value in columns(rows, inputs).items()
    }
    (answer,) = signature(**given).values()
    assert answer.shape == (3, 2)
    assert np.allclose(answer.numpy().sum(axis=1), 1, atol=1e-5)
    assert saved_model.class_names(trained / "model") == ("no", "yes")
    assert answer.numpy().argmax(axis=1)[:2].tolist() == [1, 0]


def test_the_sample_is_strict_json_and_what_a_server_would_answer(trained: Path) -> None:
    sample = loaded(trained / "evaluation.json")["sample"]
    assert 0 < len(sample["instances"]) == len(sample["predictions"])
    assert all(row.keys() == {"age", "job"} and isinstance(row["age"], float) for row in sample["instances"])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(trained: Path, tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> str:
        parameters = {"epochs": 1, "hiddenUnits": 8, "seed": seed, "classWeights": "balanced"}
        train.run(trained / "data", tmp_path / name, TABULAR, parameters)
        return hashlib.sha256(
            (tmp_path / name / "variables" / "variables.data-00000-of-00001").read_bytes()
        ).hexdigest()

    first = weights("a", 1)
    assert weights("b", 1) == first
    assert weights("c", 2) != first


def test_data_parameters_reach_training_and_evaluation_from_the_command_line(tmp_path: Path) -> None:
    rows = [[number, *row] for number, row in enumerate(people(80))]
    folder = written(tmp_path / "data", {"d.csv": csv(rows, "id,age,zip code,kind")})
    parameters = json.dumps({"epochs": 1, "labelColumn": "kind", "ignoredColumns": "id", "hiddenLayers": 0})
    shared = [
        "--data",
        str(folder),
        "--model",
        str(tmp_path / "m"),
        "--entrypoint",
        TABULAR,
        "--parameters",
        parameters,
    ]
    assert main(["train", *shared]) == 0
    assert main(["evaluate", *shared, "--output", str(tmp_path / "e.json")]) == 0
    record = loaded(tmp_path / "m" / train.RECORD)
    assert (record["parameters"]["labelColumn"], record["parameters"]["epochs"]) == ("kind", 1)
    assert loaded(tmp_path / "e.json")["sample"]["instances"][0].keys() == {"age", "zip_code"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("age,label\n31,no\n32,yes\n", "there is no column job in other; it has age"),
        (
            "age,job,label\nold,clerk,no\nyoung,clerk,yes\n",
            "column age of other holds 'old' where numbers are expected",
        ),
        ("age,job,label\n31,clerk,maybe\n32,clerk,yes\n", "class maybe of the data is not one of them"),
    ],
)
def test_other_data_to_evaluate_with_is_told(text: str, sentence: str, trained: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other", {"d.csv": text})
    with pytest.raises(WrongInput) as raised:
        evaluate.run(trained / "data", trained / "model", TABULAR, tmp_path / "e.json", other)
    assert sentence in told(raised, tmp_path)


def test_a_column_that_looks_like_numbers_is_read_as_the_model_has_it(trained: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other", {"d.csv": "age,job,extra,label\n31,7,x,no\n71,8,y,yes\n"})
    evaluate.run(trained / "data", trained / "model", TABULAR, tmp_path / "e.json", other)
    assert loaded(tmp_path / "e.json")["samples"] == 2


def test_images_are_told_to_go_to_the_other_recipe(tmp_path: Path) -> None:
    folder = written(tmp_path / "data", image_folder(pictures(40), ["a", "b"] * 20))
    with pytest.raises(WrongInput, match="learns from CSV files, but the data are images of 6x5x1"):
        train.run(folder, tmp_path / "m", TABULAR, {})
