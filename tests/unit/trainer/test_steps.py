"""Each step from end to end, in this process: TensorFlow starts once for all of them."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandbox.digits import held_out, write_digits
from tests.unit.trainer.builders import CLASSIFIER, Bucket, Trained, idx, pictures
from trainer import metrics, saved_model
from trainer.__main__ import main
from trainer.errors import Unavailable, WrongInput
from trainer.steps import evaluate, export, train
from trainer.steps.evaluate import Incumbent
from trainer.steps.export import Version

VERSION = Version(3, "some-uid", "some-run", image="registry.example/trainer:1", training_hash="abc")


def loaded(content: bytes | str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content)
    return found


def test_a_model_learns_the_digits(trained: Trained) -> None:
    found = loaded(trained.evaluation.read_text())
    assert found["metrics"].keys() == {
        *("accuracy", "loss", "macro_f1", "calibration_error"),
        *("latency_ms", "latency_p95_ms"),
    }
    assert found["metrics"]["accuracy"] > 0.8
    assert found["samples"] == 359
    assert "incumbent" not in found


def test_the_model_takes_pixel_values_and_returns_one_list_of_probabilities(trained: Trained) -> None:
    model = saved_model.ServedModel(trained.model)
    assert (model._name, model._spec.shape.as_list()) == ("instances", [None, 28, 28, 1])
    images, labels = held_out(trained.data)
    found = saved_model.v1_predictions(trained.model, images[:50, ..., np.newaxis])
    assert len(found) == 50
    assert all(sum(row) == pytest.approx(1, abs=1e-5) for row in found)
    assert np.mean(np.argmax(found, axis=1) == labels[:50]) > 0.8
    assert saved_model.class_names(trained.model) == tuple("0123456789")


def test_the_sample_is_what_a_server_would_answer(trained: Trained) -> None:
    sample = loaded(trained.evaluation.read_text())["sample"]
    assert len(json.dumps(sample)) <= 128 * 1024
    instances = np.array(sample["instances"])
    assert instances.shape[1:] == (28, 28, 1)
    assert np.allclose(saved_model.predictions(trained.model, instances), sample["predictions"], atol=1e-5)


def test_the_training_is_recorded(trained: Trained) -> None:
    found = loaded((trained.model / train.RECORD).read_text())
    assert found["parameters"]["epochs"] == 3
    assert found["parameters"]["batchSize"] == 64
    assert [entry["epoch"] for entry in found["history"]] == [1, 2, 3]
    assert found["examples"] == {"train": 1438, "test": 359}
    assert found["startedAt"].endswith("Z")


def test_any_shape_and_number_of_classes_is_learnt(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (30, 9, 17, 3), dtype=np.uint8)
    np.savez(_made(tmp_path / "data") / "d.npz", images=colour, labels=np.arange(30) % 3)
    train.run(tmp_path / "data", tmp_path / "m", CLASSIFIER, {"epochs": 1, "batchSize": 1000})
    evaluate.run(tmp_path / "data", tmp_path / "m", CLASSIFIER, tmp_path / "deep" / "e.json")
    sample = loaded((tmp_path / "deep" / "e.json").read_text())["sample"]
    assert np.array(sample["instances"]).shape[1:] == (9, 17, 3)
    assert np.array(sample["predictions"]).shape[1:] == (3,)


def test_a_sample_over_its_size_is_left_out(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("trainer.result.MAX_SAMPLE_BYTES", 1_000)
    evaluate.run(trained.data, trained.model, CLASSIFIER, tmp_path / "e.json")
    assert "sample" not in loaded((tmp_path / "e.json").read_text())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def untrained(folder: Path, shape: tuple[int, int, int], classes: int) -> None:
    """Write a model that knows nothing: it can be evaluated all the same."""
    layers = saved_model.tensorflow().keras.layers
    stack = [layers.Input(shape), layers.Flatten(), layers.Dense(classes)]
    saved_model.write_classifier(saved_model.tensorflow().keras.Sequential(stack), shape, folder)
    saved_model.write_labels(folder, tuple(map(str, range(classes))))


def _incumbent(trained: Trained, folder: Path) -> str:
    shutil.copytree(trained.model, folder / "model" / "2")
    return f"{folder}/model/"


def test_the_incumbent_is_evaluated_on_the_same_data(trained: Trained, tmp_path: Path) -> None:
    uri = _incumbent(trained, tmp_path)
    arguments = ["--data", str(trained.data), "--model", str(trained.model), "--entrypoint", CLASSIFIER]
    arguments += ["--output", str(tmp_path / "e.json"), "--incumbent-version", "2", "--incumbent-uri", uri]
    assert main(["evaluate", *arguments]) == 0
    found = loaded((tmp_path / "e.json").read_text())
    incumbent = found["incumbent"]
    assert (incumbent["version"], incumbent["uri"]) == (2, uri)
    assert incumbent["intervals"] == found["intervals"]
    assert incumbent["metrics"].keys() == found["metrics"].keys()
    same = [name for name in found["metrics"] if not name.startswith("latency")]
    assert [incumbent["metrics"][name] for name in same] == [found["metrics"][name] for name in same]


def test_other_data_can_be_evaluated_on(trained: Trained, tmp_path: Path) -> None:
    write_digits(tmp_path / "holdout", seed=1, share=0.9)
    for path in (tmp_path / "holdout").glob("train-*"):
        path.unlink()
    evaluate.run(trained.data, trained.model, CLASSIFIER, tmp_path / "e.json", tmp_path / "holdout")
    assert loaded((tmp_path / "e.json").read_text())["samples"] == 180


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ("nothing there", "holds no folder with a number for a name"),
        ("two versions", "or several"),
        ("damaged", "model/2"),
        ("no variables", "model/2/variables"),
        ("no signature", "model/2 has no signature serving_default"),
        ("another shape", "takes inputs of the shape 28x28x1, the data has 6x6x1"),
        ("unknown class", "knows 10 classes; class 10 of the data is not one of them"),
    ],
)
def test_an_incumbent_that_cannot_be_evaluated_is_an_error_in_the_result(
    broken: str, sentence: str, trained: Trained, tmp_path: Path
) -> None:
    uri = _incumbent(trained, tmp_path)
    data, model = trained.data, trained.model
    if broken == "nothing there":
        shutil.rmtree(tmp_path / "model" / "2")
    elif broken == "two versions":
        shutil.copytree(trained.model, tmp_path / "model" / "1")
    elif broken == "damaged":
        (tmp_path / "model" / "2" / "saved_model.pb").write_bytes(b"no model")
    elif broken == "no variables":
        shutil.rmtree(tmp_path / "model" / "2" / "variables")
    elif broken == "no signature":
        tf = saved_model.tensorflow()
        tf.saved_model.save(tf.Module(), uri + "2")
    else:
        side = 6 if broken == "another shape" else 28
        data, model = tmp_path / "other", tmp_path / "m"
        np.savez(_made(data) / "d.npz", images=pictures(44, side=side), labels=np.arange(44) % 11)
        untrained(_made(model), (side, side, 1), 11)
    evaluate.run(data, model, CLASSIFIER, tmp_path / "e.json", None, None, Incumbent(2, uri))
    found = loaded((tmp_path / "e.json").read_text())
    assert sentence in found["incumbent"]["error"]
    assert (
        "trainer-incumbent-" not in found["incumbent"]["error"]
    )  # a folder of this step, which nobody else knows
    assert found["incumbent"].keys() == {"version", "uri", "error"}
    assert "accuracy" in found["metrics"]


def test_a_store_that_is_away_says_nothing_about_the_incumbent(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: Bucket
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unavailable):
        evaluate.run(
            trained.data, trained.model, CLASSIFIER, tmp_path / "e.json", incumbent=Incumbent(1, bucket.uri)
        )


def test_metrics_agree_with_an_independent_computation() -> None:
    from sklearn.metrics import f1_score, log_loss

    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), 200)
    labels = random.integers(0, 3, 200)
    found = metrics.classification(probabilities, labels)
    assert found["macro_f1"] == pytest.approx(f1_score(labels, probabilities.argmax(1), average="macro"))
    assert found["loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(4)))
    assert found["accuracy"] == pytest.approx(np.mean(labels == probabilities.argmax(1)))


def test_a_loss_that_is_not_a_number_stays_one() -> None:
    assert np.isnan(metrics.classification(np.full((2, 2), np.nan), np.array([0, 1]))["loss"])


def test_classes_are_matched_by_name_not_by_number() -> None:
    columns = metrics.as_columns(np.array([0, 1]), ("cat", "dog"), ("bird", "dog", "cat"), 3)
    assert columns.tolist() == [2, 1]


def export_to(destination: str, trained: Trained, version: Version = VERSION) -> None:
    export.run(trained.model, trained.evaluation, trained.data, destination, version)


def test_a_version_in_the_bucket_is_described_by_its_result(trained: Trained, bucket: Bucket) -> None:
    export_to(f"{bucket.uri}vision/mnist/3-abcdef01/", trained)
    prefix = "vision/mnist/3-abcdef01/"
    found = loaded(bucket.get(f"{prefix}result.json"))
    assert found["schemaVersion"] == 1
    assert (found["uid"], found["version"], found["runId"]) == ("some-uid", 3, "some-run")
    assert found["data"] == loaded((trained.data / ".data.json").read_text())
    assert found["lineage"]["image"] == "registry.example/trainer:1"
    assert found["lineage"]["trainingHash"] == "abc"
    assert "retrainToken" not in found["lineage"]
    assert "evaluationData" not in found
    listing = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix=prefix)["Contents"]
    stored = {
        entry["Key"].removeprefix(prefix): (entry["Size"], entry["ETag"].strip('"'))
        for entry in listing
        if not entry["Key"].endswith(("/result.json", "/report.html"))
    }
    assert {entry["key"]: (entry["size"], entry["etag"]) for entry in found["manifest"]} == stored
    assert [entry["key"] for entry in found["manifest"]] == sorted(stored)
    assert {"model/3/saved_model.pb", "model/3/labels.json"} <= stored.keys()
    for entry in found["manifest"]:
        assert hashlib.sha256(bucket.get(prefix + entry["key"])).hexdigest() == entry["sha256"]


def test_the_same_export_again_changes_nothing_and_another_is_refused(
    trained: Trained, bucket: Bucket
) -> None:
    export_to(f"{bucket.uri}a/", trained)
    before = bucket.client.head_object(Bucket=bucket.name, Key="a/result.json")["LastModified"]
    export_to(f"{bucket.uri}a", trained)
    assert bucket.client.head_object(Bucket=bucket.name, Key="a/result.json")["LastModified"] == before
    content = bucket.get("a/result.json")
    with pytest.raises(WrongInput, match=r"already holds another result\.json"):
        export_to(f"{bucket.uri}a/", trained, Version(3, "some-uid", "another-run"))
    assert bucket.get("a/result.json") == content


@pytest.mark.parametrize("where", ["bucket", "folder"])
def test_an_export_that_stopped_half_way_is_made_good(
    where: str, trained: Trained, bucket: Bucket, tmp_path: Path
) -> None:
    leftovers = {"a/model/3/saved_model.pb": b"half", "a/model/3/variables/other": b"of another try"}
    if where == "bucket":
        bucket.put(**leftovers, **{"b/kept": b""})
    for key, content in leftovers.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(content)
    export_to(f"{bucket.uri}a/" if where == "bucket" else f"{tmp_path}/a/", trained)
    if where == "bucket":
        keys = bucket.keys("a/")
        assert bucket.keys("b/") == ["b/kept"]
        content = bucket.get("a/result.json")
    else:
        keys = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
        content = (tmp_path / "a" / "result.json").read_bytes()
    named = [f"a/{entry['key']}" for entry in loaded(content)["manifest"]]
    assert sorted(keys) == sorted([*named, "a/report.html", "a/result.json"])


def test_the_result_comes_last(trained: Trained, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.s3.S3Place.upload", lambda *_: (_ for _ in ()).throw(Unavailable("away")))
    with pytest.raises(Unavailable):
        export_to(f"{bucket.uri}a/", trained)
    assert bucket.keys("a/") == []


def test_a_result_over_1_mib_goes_without_its_sample_or_not_at_all(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.result.MAX_BYTES", 8_000)
    export_to(f"{tmp_path}/a/", trained)
    content = (tmp_path / "a" / "result.json").read_bytes()
    assert len(content) <= 8_000
    assert "sample" not in loaded(content)
    monkeypatch.setattr("trainer.result.MAX_BYTES", 500)
    with pytest.raises(WrongInput, match="the model has 5 files: write fewer"):
        export_to(f"{tmp_path}/b/", trained)
    assert not (tmp_path / "b" / "result.json").exists()


def test_missing_pieces_are_told_by_the_step_to_run_first(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="run the train step first"):
        export.run(tmp_path, trained.evaluation, trained.data, f"{tmp_path}/x/", VERSION)
    with pytest.raises(WrongInput, match="run the evaluate step first"):
        export.run(trained.model, tmp_path / "none.json", trained.data, f"{tmp_path}/x/", VERSION)
    with pytest.raises(WrongInput, match=r"holds no saved_model\.pb"):
        evaluate.run(trained.data, tmp_path, CLASSIFIER, tmp_path / "e.json")


def test_a_training_that_gets_no_better_ends_early_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _made(tmp_path / "data")
    for name, values in {
        "train-images-idx3-ubyte": pictures(40),
        "train-labels-idx1-ubyte": np.arange(40) % 2,
    }.items():
        (data / name).write_bytes(idx(values))
    train.run(
        data,
        tmp_path / "m",
        CLASSIFIER,
        {"network": "dense", "epochs": 60, "earlyStopping": 2, "batchSize": 4},
    )
    told = capsys.readouterr().out
    assert "validation_loss" in told
    assert "no better validation loss for 2 epochs: training ends" in told
    assert (tmp_path / "m" / "saved_model.pb").exists()
