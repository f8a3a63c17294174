"""What the evaluate and export steps leave for people and for the operator."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainer.builders import CLASSIFIER, Bucket, Trained
from trainer import result, saved_model
from trainer.__main__ import main
from trainer.steps import evaluate, export
from trainer.steps.evaluate import Incumbent
from trainer.steps.export import Version

FLAT = {"accuracy", "loss", "macro_f1", "calibration_error", "latency_ms", "latency_p95_ms"}


def evaluated(trained: Trained, folder: Path, incumbent: Path | None = None) -> dict:
    before = None
    if incumbent:
        shutil.copytree(incumbent, folder / "model" / "2")
        before = Incumbent(2, f"{folder}/model/")
    output = folder / "evaluation.json"
    evaluate.run(
        *(trained.data, trained.model, CLASSIFIER, output),
        incumbent=before,
        report_file=folder / "report.html",
    )
    return json.loads(output.read_text())


def test_the_metrics_are_numbers_and_the_rest_stands_elsewhere(trained: Trained, tmp_path: Path) -> None:
    found = evaluated(trained, tmp_path)
    assert set(found["metrics"]) == FLAT
    assert all(isinstance(value, float) for value in found["metrics"].values())
    assert set(found["intervals"]) == {"accuracy", "loss", "macro_f1"}
    for name, (low, high) in found["intervals"].items():
        assert low <= found["metrics"][name] <= high
    assert "incumbent" not in found
    assert "comparison" not in found
    shown = found["report"]["candidate"]
    assert [row["name"] for row in shown["classes"]] == [str(number) for number in range(10)]
    assert sum(map(sum, shown["confusion"]["matrix"])) == found["samples"]
    assert found["report"]["training"]["history"]
    assert (tmp_path / "evaluation.json").stat().st_size < 2 * 2**20


def test_the_incumbent_is_judged_in_the_same_way_on_the_same_data(trained: Trained, tmp_path: Path) -> None:
    found = evaluated(trained, tmp_path, trained.model)
    incumbent = found["incumbent"]
    assert set(incumbent) == {"version", "uri", "metrics", "intervals"}
    assert incumbent["metrics"]["accuracy"] == found["metrics"]["accuracy"]
    assert found["comparison"]["accuracy"] == {"difference": 0, "interval": [0, 0]}
    assert found["report"]["incumbent"]["confusion"] == found["report"]["candidate"]["confusion"]
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "Version 2, serving now" in page


def test_a_model_that_is_no_classifier_has_its_recipes_metrics_and_a_small_page(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "regression_recipe.py").write_text(
        "def train(data, parameters, model_dir, progress): pass\n"
        "def evaluate(model_dir, data): return {'rmse': 1.5, 'accuracy': 0.25}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(saved_model, "predictions", lambda *_: np.zeros((3, 2, 2)))
    evaluate.run(
        *(trained.data, trained.model, "regression_recipe", tmp_path / "e.json"),
        report_file=tmp_path / "r.html",
    )
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["metrics"] == {"rmse": 1.5, "accuracy": 0.25}
    assert found["report"]["candidate"] is None
    assert "rmse" in (tmp_path / "r.html").read_text()


def test_a_recipes_own_accuracy_gets_no_interval_of_ours(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "balanced_recipe.py").write_text(
        "from trainer.recipes.image_classifier import train\n"
        "def evaluate(model_dir, data): return {'accuracy': 0.25}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    evaluate.run(trained.data, trained.model, "balanced_recipe", tmp_path / "e.json")
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["metrics"]["accuracy"] == 0.25
    assert found["intervals"] == {}


def test_names_that_are_half_a_letter_are_written_as_json() -> None:
    assert json.loads(result.encoded({"name": "caf\udce9"})) == {"name": "caf\udce9"}


def exported(trained: Trained, destination: str, evaluation: Path) -> None:
    version = Version(3, "some-uid", "some-run", training_hash="abc")
    export.run(trained.model, evaluation, trained.data, destination, version)


def test_the_report_lies_beside_the_model_and_is_no_part_of_it(trained: Trained, tmp_path: Path) -> None:
    evaluated(trained, tmp_path / "e", trained.model)
    exported(trained, f"{tmp_path}/out/", tmp_path / "e" / "evaluation.json")
    content = (tmp_path / "out" / "report.html").read_text()
    for said in (
        "Version 3",
        "some-uid",
        "some-run",
        "Confusion matrix",
        "Worst mistakes",
        "Version 2, serving now",
    ):
        assert said in content
    told = json.loads((tmp_path / "out" / "result.json").read_text())
    assert all(entry["key"].startswith("model/3/") for entry in told["manifest"])
    assert "report" not in told
    assert set(told["metrics"]) == FLAT
    assert told["incumbent"]["metrics"].keys() == FLAT


def test_the_operator_reads_the_result(trained: Trained, tmp_path: Path) -> None:
    from trainandserve.result import read_result

    evaluated(trained, tmp_path / "e", trained.model)
    exported(trained, f"{tmp_path}/out/", tmp_path / "e" / "evaluation.json")
    content = (tmp_path / "out" / "result.json").read_bytes()
    assert len(content) < 2**20
    found = read_result(content, "here")
    assert found.metrics.keys() == FLAT
    assert found.incumbent
    assert found.incumbent.metrics


def test_the_report_is_there_before_the_result(
    trained: Trained, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.s3 import S3Place

    written, write = [], S3Place.write

    def noted(self: S3Place, key: str, content: bytes) -> None:
        written.append(key)
        write(self, key, content)

    monkeypatch.setattr(S3Place, "write", noted)
    exported(trained, f"{bucket.uri}a/", trained.evaluation)
    assert written == ["report.html", "result.json"]


def test_a_page_that_cannot_be_drawn_keeps_no_model_away(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(trained.evaluation.read_text())
    found["report"]["candidate"]["roc"] = [{"nothing": "known"}]
    (tmp_path / "evaluation.json").write_text(json.dumps(found))
    exported(trained, f"{tmp_path}/out/", tmp_path / "evaluation.json")
    assert "no report.html: KeyError" in capsys.readouterr().out
    assert (tmp_path / "out" / "result.json").exists()


def test_every_step_works_from_a_shell_with_buckets_all_the_way(
    trained: Trained, bucket: Bucket, tmp_path: Path
) -> None:
    for path in trained.data.iterdir():
        if not path.name.startswith("."):
            bucket.put(**{f"data/{path.name}": path.read_bytes()})
    data, model, evaluation = (str(tmp_path / name) for name in ("data", "model", "e.json"))
    recipe = [
        "--entrypoint",
        CLASSIFIER,
        "--parameters",
        '{"network": "dense", "epochs": 1, "hiddenUnits": 8}',
    ]
    training = ["--data", data, "--model", model, *recipe]
    afar = ["--data", f"{bucket.uri}data/", "--model", model, *recipe]
    told = ["--data", data, "--model", model, "--evaluation", evaluation]
    incumbent = ["--incumbent-version", "1", "--incumbent-uri", f"{bucket.uri}out/model/"]
    identity = ["--destination", f"{bucket.uri}out/", "--version", "1", "--uid", "u", "--run-id", "r"]
    steps = [
        ["download", "--uri", f"{bucket.uri}data/", "--output", data],
        ["train", *training],
        ["evaluate", *training, "--output", evaluation, "--report", str(tmp_path / "e.html")],
        ["export", *told, *identity],
        ["evaluate", *afar, "--output", str(tmp_path / "again.json"), *incumbent],
    ]
    assert [main(step) for step in steps] == [0] * 5
    assert {"out/report.html", "out/result.json", "out/model/1/saved_model.pb"} <= set(bucket.keys("out/"))
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["comparison"]["accuracy"]["difference"] == 0
