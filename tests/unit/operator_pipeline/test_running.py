"""The compiled pipeline, run: what reaches the trainer, and how a step that fails ends."""

import json

import pytest

from tests.unit.operator_pipeline.builders import compiled
from trainandserve.pipeline.definition import as_argument
from trainer.__main__ import _parsed

RUN_LOCALLY = """
import json, sys, warnings
warnings.simplefilter("ignore")
from kfp import components, local
local.init(local.SubprocessRunner(use_venv=False), pipeline_root="artifacts")
pipeline = components.load_component_from_text(open("pipeline.yaml", encoding="utf-8").read())
pipeline(**json.loads(sys.argv[1]))
"""

CALL = """
import sys
from types import SimpleNamespace as Artifact
from trainandserve.pipeline import components
artifact = Artifact(path="somewhere")
{call}
"""

PARAMETERS = {
    "uid": "the-uid",
    "version": 3,
    "run_id": "the-run",
    "destination": "s3://models/vision/mnist/3-00/",
    "data_digest": "sha256:00",
    "evaluation_digest": "sha256:11",
    "incumbent_version": 2,
    "incumbent_uri": "s3://models/vision/mnist/2-00/model/",
    "retrain_token": "-again",
    "training_hash": "abc",
}

AWKWARD = {
    "text": "naïve “quotes” 日本語 😀 \\ \" ' $HOME `id` {{workflow.name}} {{$}} {{{",
    "control": "line\nbreak\ttab\u0000\u007f\u2028",
    "nested": {"list": [1, [2, {"deep": None}]], "empty": {}, "yes": True},
    "large": 2**63 + 1,
    "small": 1e-3,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "third": 1 / 3,
    "minus": -0.0,
}


AGAIN = {
    name: value for name, value in PARAMETERS.items() if name not in ("retrain_token", "destination")
} | {
    "destination": "s3://models/vision/mnist/3-00/evaluations/11/",
    "evaluates": "the-run-that-made-it",
    "model_uri": "s3://models/vision/mnist/3-00/model/",
    "result_digest": "5f1c09ab",
}


def run(shell, parameters=PARAMETERS, *, fields=None, **environment):
    fields = fields or {"evaluation": {"data": {"uri": "s3://datasets/held-out/"}}, "parameters": AWKWARD}
    (shell.folder / "pipeline.yaml").write_text(compiled(packages=["a==1"], **fields).yaml, encoding="utf-8")
    return shell.run(RUN_LOCALLY, json.dumps(parameters), **environment)


@pytest.mark.slow
def test_the_file_loads_and_every_step_gets_its_arguments(shell):
    done = run(shell)
    assert done.returncode == 0, done.stdout
    calls = {call["options"].get("--uri", call["step"]): call for call in shell.calls()}
    assert len(calls) == len(shell.calls()) == 5
    options = {name: call["options"] for name, call in calls.items()}

    assert options["s3://datasets/mnist/"]["--expect-digest"] == "sha256:00"
    assert options["s3://datasets/held-out/"]["--expect-digest"] == "sha256:11"
    for step in ("train", "evaluate"):
        assert json.loads(options[step]["--parameters"]) == AWKWARD
        assert options[step]["--packages"] == '["a==1"]'
        assert options[step]["--entrypoint"] == "trainer.recipes.image_classifier"
    assert options["train"]["--retrain-token"] == "-again"
    assert options["evaluate"]["--incumbent-version"] == "2"
    assert options["evaluate"]["--incumbent-uri"] == "s3://models/vision/mnist/2-00/model/"
    assert (
        options["evaluate"]["--evaluation-data"]
        != options["evaluate"]["--data"]
        == options["train"]["--data"]
    )
    export = {
        k: v
        for k, v in options["export"].items()
        if k not in ("--model", "--evaluation", "--data", "--evaluation-data")
    }
    assert export == {
        "--destination": "s3://models/vision/mnist/3-00/",
        "--version": "3",
        "--uid": "the-uid",
        "--run-id": "the-run",
        "--image": "registry.example/python-trainer:1",
        "--retrain-token": "-again",
        "--training-hash": "abc",
    }
    assert calls["train"]["env"]["HOME"] == "/tmp"
    assert "AWS_ENDPOINT_URL" not in calls["train"]["env"]
    assert calls["export"]["env"]["AWS_ENDPOINT_URL"] == "https://storage.example"
    shown = evaluation_artifacts(shell)
    assert shown["metrics"]["metadata"] == {"accuracy": 0.98, "samples": 360, "incumbent_accuracy": 0.97}


def evaluation_artifacts(shell):
    (output,) = shell.folder.glob("artifacts/*/evaluate/executor_output.json")
    found = json.loads(output.read_text())["artifacts"]
    return {name: entry["artifacts"][0] for name, entry in found.items()}


@pytest.mark.parametrize("held_out", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_version_is_evaluated_again_without_being_trained(shell, held_out):
    fields = {"parameters": AWKWARD} | (
        {"evaluation": {"data": {"uri": "s3://datasets/held-out/"}}} if held_out else {}
    )
    done = run(shell, AGAIN, fields={**fields, "only_evaluates": True})
    assert done.returncode == 0, done.stdout
    download, evaluate, record = shell.calls()
    assert [call["step"] for call in shell.calls()] == ["download", "evaluate", "record"]
    given = download["options"]
    uri, digest = ("s3://datasets/held-out/", "11") if held_out else ("s3://datasets/mnist/", "00")
    assert (given["--uri"], given["--expect-digest"]) == (uri, f"sha256:{digest}")
    data = "--evaluation-data" if held_out else "--data"
    assert evaluate["options"][data] == record["options"][data] == given["--output"]
    assert {"--data", "--evaluation-data", "--model"} & evaluate["options"].keys() == {data}
    wanted = {
        "--model-uri": "s3://models/vision/mnist/3-00/model/",
        "--result-digest": "5f1c09ab",
        "--incumbent-version": "2",
        "--incumbent-uri": "s3://models/vision/mnist/2-00/model/",
    }
    assert wanted.items() <= evaluate["options"].items()
    assert json.loads(evaluate["options"]["--parameters"]) == AWKWARD
    assert {k: v for k, v in record["options"].items() if k not in (data, "--evaluation")} == {
        "--destination": "s3://models/vision/mnist/3-00/evaluations/11/",
        "--version": "3",
        "--uid": "the-uid",
        "--run-id": "the-run",
        "--evaluates": "the-run-that-made-it",
        "--result-digest": "5f1c09ab",
        "--training-hash": "abc",
    }
    assert record["env"]["AWS_ENDPOINT_URL"] == "https://storage.example"
    for call in shell.calls():  # the real trainer takes these command lines, too
        known = _parsed([call["step"], *(f"{k}={v}" for k, v in call["options"].items())])
        assert known.step == call["step"]
    shown = evaluation_artifacts(shell)
    assert shown["metrics"]["metadata"] == {"accuracy": 0.98, "samples": 360, "incumbent_accuracy": 0.97}


@pytest.mark.slow
def test_confusion_matrix_roc_and_report_are_artifacts_of_the_evaluation(shell):
    needed = {name: PARAMETERS[name] for name in ("uid", "version", "run_id", "destination")}
    done = run(shell, needed, fields={"caching": False})
    assert done.returncode == 0, done.stdout
    shown = evaluation_artifacts(shell)
    curves = shown["curves"]["metadata"]
    assert curves["confusionMatrix"]["rows"] == [{"row": [170, 4]}, {"row": [3, 183]}]
    assert [each["displayName"] for each in curves["confusionMatrix"]["annotationSpecs"]] == ["cat", "dog"]
    assert curves["confidenceMetrics"][1] == {
        "confidenceThreshold": 0.5,
        "falsePositiveRate": 0.1,
        "recall": 0.9,
    }
    (page,) = shell.folder.glob("artifacts/*/evaluate/report")
    assert page.read_text() == "<!doctype html>"


@pytest.mark.slow
def test_without_held_out_data_and_incumbent_their_options_are_left_out(shell):
    needed = {name: PARAMETERS[name] for name in ("uid", "version", "run_id", "destination")}
    done = run(shell, needed, fields={"caching": False})
    assert done.returncode == 0, done.stdout
    used = {name for call in shell.calls() for name in call["options"]}
    left_out = (
        "evaluation-data",
        "incumbent-version",
        "incumbent-uri",
        "expect-digest",
        "retrain-token",
        "training-hash",
    )
    assert used.isdisjoint(f"--{name}" for name in left_out)


@pytest.mark.slow
def test_a_step_that_ends_with_2_fails_the_run_and_its_sentence_ends_its_log(shell):
    done = run(shell, fields={"retries": {"limit": 0}}, FAIL="download")
    assert done.returncode != 0
    assert {call["step"] for call in shell.calls()} == {"download"}
    log, _, after = done.stdout.partition("FAILURE")
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    progress, sentence, _ended = lines[-3:]
    assert progress == "progress of download 1/1"
    assert sentence == "DataChanged: the bucket holds other data than planned."
    assert "Traceback" not in log
    assert "train" not in after.partition("Traceback")[0]


@pytest.mark.parametrize(
    ("environment", "code", "last"),
    [
        pytest.param({}, 0, "progress of train 1/1", marks=pytest.mark.slow),
        pytest.param(
            {"FAIL": "train"},
            2,
            "DataChanged: the bucket holds other data than planned.",
            marks=pytest.mark.slow,
        ),
        (
            {"KILL": "train"},
            137,
            "The train step was killed by signal 9; out of memory is the usual cause, training.resources.limits.memory is the limit.",
        ),
    ],
)
def test_a_component_ends_as_its_program_ends(shell, environment, code, last):
    call = 'components.run_step("train", ["--model=m", "--data=d"])'
    (shell.folder / "d" / "sub").mkdir(parents=True)
    (shell.folder / "d" / "sub" / "images").touch()
    done = shell.run(CALL.format(call=call), **environment)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (code, last)


def test_json_survives_a_command_line_and_the_platforms_variables():
    text = as_argument(AWKWARD)
    assert "{{" not in text
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == AWKWARD


def test_what_is_no_json_is_refused():
    with pytest.raises(ValueError):
        as_argument({"x": float("nan")})
