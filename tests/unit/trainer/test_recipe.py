"""The contract between the trainer and a recipe, and what its breach is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.builders import CLASSIFIER, Trained
from trainer import recipe
from trainer.__main__ import main
from trainer.errors import WrongInput
from trainer.recipe import Parameter


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


BOTH = "def train(data, parameters, model_dir, progress): pass\ndef evaluate(model_dir, data): return {}\n"


def test_parameters_come_complete_with_defaults() -> None:
    complete = recipe.load(CLASSIFIER).complete({"epochs": 7.0, "learningRate": 1})
    assert complete["epochs"] == 7
    assert isinstance(complete["epochs"], int)
    assert isinstance(complete["learningRate"], float)
    assert complete["network"] == "convolutional"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"epoch": 1}, "has no parameter epoch; did you mean epochs?"),
        ({"batch_size": 1}, "has no parameter batch_size; did you mean batchSize?"),
        ({"LEARNINGRATE": 1}, "did you mean learningRate?"),
        ({"zzz": 1}, "has no parameter zzz; it has network, epochs"),
        ({"epochs": -1}, "epochs is -1; a whole number from 0 up to 10000 is expected"),
        ({"epochs": 1.5}, "epochs is 1.5; a whole number"),
        ({"epochs": "5"}, "epochs is '5'; a whole number"),
        ({"epochs": True}, "epochs is True; a whole number"),
        ({"epochs": None}, "epochs is None; a whole number"),
        ({"dropout": [0.5]}, "dropout is [0.5]; a number from 0 up to 0.95"),
        ({"dropout": 1.5}, "dropout is 1.5; a number from 0 up to 0.95"),
        ({"learningRate": float("nan")}, "learningRate is nan; a number"),
        ({"network": "convolution"}, "one of convolutional, dense is expected; did you mean convolutional?"),
        ({"network": 3}, "network is 3; one of convolutional, dense is expected"),
    ],
)
def test_a_wrong_parameter_is_told_with_what_would_be_right(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WrongInput) as raised:
        recipe.load(CLASSIFIER).complete(given)
    assert sentence in str(raised.value)


def test_wrong_parameters_fail_before_anything_is_read_or_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(tmp_path / "none"), "--model", str(tmp_path / "m"), "--entrypoint", CLASSIFIER]
    assert main(["train", *arguments, "--parameters", '{"epoch": 3}']) == 2
    assert capsys.readouterr().err == f"{CLASSIFIER} has no parameter epoch; did you mean epochs?\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("entrypoint", "source", "sentence"),
    [
        ("no_such_module_here", None, "there is no such module; bring it by image or packages"),
        ("trainer.recipes.image_clasifier", None, f"did you mean {CLASSIFIER}?"),
        ("trainer.recipes.image_classifier.train", None, "there is no such module"),
        ("", None, "is not the name of a Python module"),
        (".relative", None, "is not the name of a Python module"),
        ("lacks_both", "x = 1\n", "lacks_both has no function train"),
        ("lacks_evaluate", "def train(*_): pass\n", "lacks_evaluate has no function evaluate"),
        ("not_callable", "train = 1\n", "has no function train"),
        (
            "needs_more",
            f"import not_installed_here\n{BOTH}",
            "needs the module not_installed_here; add it to packages",
        ),
        ("odd_parameters", f"PARAMETERS = ['epochs']\n{BOTH}", "PARAMETERS is not a sequence of"),
    ],
)
def test_a_module_that_is_no_recipe_is_told(
    entrypoint: str, source: str | None, sentence: str, modules: Path
) -> None:
    if source:
        (modules / f"{entrypoint}.py").write_text(source)
    with pytest.raises(WrongInput) as raised:
        recipe.load(entrypoint)
    assert sentence in str(raised.value)


def test_without_a_description_parameters_arrive_as_written(modules: Path) -> None:
    (modules / "plain_recipe.py").write_text(BOTH)
    assert recipe.load("plain_recipe").complete({"any": [1, {"thing": None}]}) == {
        "any": [1, {"thing": None}]
    }


def test_a_bool_parameter_takes_only_true_and_false() -> None:
    flag = Parameter("flag", False, "a flag")
    assert flag.value(True) is True
    with pytest.raises(WrongInput, match="true or false is expected"):
        flag.value(1)


def test_a_recipe_that_leaves_no_model_is_told(
    modules: Path, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (modules / "lazy_recipe.py").write_text(BOTH)
    arguments = ["--data", str(trained.data), "--model", str(tmp_path / "m"), "--entrypoint", "lazy_recipe"]
    assert main(["train", *arguments]) == 2
    assert "lazy_recipe: train left no saved_model.pb" in capsys.readouterr().err


@pytest.mark.parametrize("returned", ["None", "{}", "[0.5]", "{'accuracy': 'high'}", "{'accuracy': None}"])
def test_metrics_that_are_none_are_told(
    returned: str, modules: Path, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"recipe_{abs(hash(returned))}"
    (modules / f"{name}.py").write_text(BOTH.replace("return {}", f"return {returned}"))
    arguments = ["--data", str(trained.data), "--model", str(trained.model), "--entrypoint", name]
    assert main(["evaluate", *arguments, "--output", str(tmp_path / "e.json")]) == 2
    assert f"{name}: evaluate returned" in capsys.readouterr().err


def test_not_a_number_is_stored_as_null(modules: Path, trained: Trained, tmp_path: Path) -> None:
    (modules / "nan_recipe.py").write_text(
        BOTH.replace("return {}", "return {'loss': float('nan'), 'worst': float('inf'), 'accuracy': 0.5}")
    )
    arguments = ["--data", str(trained.data), "--model", str(trained.model), "--entrypoint", "nan_recipe"]
    assert main(["evaluate", *arguments, "--output", str(tmp_path / "e.json")]) == 0

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not strict JSON")

    found = json.loads((tmp_path / "e.json").read_text(), parse_constant=refuse)
    own = {name: value for name, value in found["metrics"].items() if not name.startswith("latency")}
    assert own == {"loss": None, "worst": None, "accuracy": 0.5}
