"""The example of a recipe of one's own: its tests, and a training as a pipeline's step does it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.digits import write_digits
from trainer.__main__ import main

EXAMPLE = Path(__file__).parents[3] / "examples" / "own-recipe"
RECIPE = "nearest_centroid"


def started(*command: str, at: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=at,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))


def test_its_own_tests_pass(importable: None, tmp_path: Path) -> None:
    # In this process, which has TensorFlow already; by the documented command it is `test_its_documented_command_passes`.
    spec = importlib.util.spec_from_file_location("its_tests", EXAMPLE / "tests" / "test_nearest_centroid.py")
    assert spec
    assert spec.loader
    its = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(its)
    named = {name for name in vars(its) if name.startswith("test_")}
    its.test_it_is_a_recipe_with_defaults()
    its.nearest_centroid.train(its.DATA, {"sharpness": 20.0}, tmp_path, its.Progress())
    its.test_it_tells_left_from_right(tmp_path)
    its.test_it_answers_with_probabilities_and_names(tmp_path)
    assert len(named) == 3


@pytest.mark.slow
def test_its_documented_command_passes() -> None:
    done = started("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE))
    assert done.returncode == 0, done.stdout


def test_it_learns_the_digits_and_is_measured(importable: None, tmp_path: Path) -> None:
    write_digits(tmp_path / "data")
    shared = ["--data", str(tmp_path / "data"), "--model", str(tmp_path / "model"), "--entrypoint", RECIPE]
    assert main(["train", *shared, "--parameters", '{"sharpness": 30}']) == 0
    assert main(["evaluate", *shared, "--output", str(tmp_path / "e.json")]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["metrics"]["accuracy"] > 0.85
    assert len(found["sample"]["predictions"][0]) == 10


@pytest.mark.slow
def test_it_comes_by_packages(tmp_path: Path) -> None:
    command = ["-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    built = started(*command, at=EXAMPLE)
    assert built.returncode == 0, built.stderr
    write_digits(tmp_path / "data")
    command = ["-m", "trainer", "train", "--data", str(tmp_path / "data"), "--model", str(tmp_path / "model")]
    command += ["--entrypoint", RECIPE, "--packages", '["nearest-centroid==1.0.0"]']
    done = started(*command, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model" / "saved_model.pb").exists()
