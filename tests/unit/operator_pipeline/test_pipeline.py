"""The compiled pipeline as a whole: its steps, its bytes, what it needs of a run."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.unit.operator_pipeline.builders import IMAGE, INPUTS, UID, compiled, container, resource, task
from trainandserve.names import RETRAIN
from trainandserve.pipeline import (
    PipelineInputs,
    compile_pipeline,
    evaluation_parameters,
    run_parameters,
)
from trainandserve.resource import Candidate, Run, Target

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HELD_OUT = {"data": {"uri": "s3://datasets/held-out/"}}
RUN = Run(
    version=3,
    attempt=1,
    id="5f1c3a8e-6f53-5f0b-9f0b-3b0a9f3d2c11",
    state="Submitting",
    training_hash="abc",
    data_digest="sha256:00",
    prefix="s3://models/vision/mnist/3-5f1c3a8e/",
    submitted_at=NOW,
)
INCUMBENT = Target(
    version=2, run_id="r", uri="s3://models/vision/mnist/2-00/model/", result_digest="d", since=NOW
)

PRINT_DIGEST = """
import sys
from tests.unit.operator_pipeline.builders import compiled
pipeline = compiled(
    evaluation={"data": {"uri": "s3://datasets/held-out/"}}, parameters={"b": 1, "a": {"d": [1], "c": None}},
    podLabels={"b": "1", "a": "2"}, podAnnotations={"b": "1", "a": "2"}, nodeSelector={"b": "1", "a": "2"},
    imagePullSecrets=["one", "two"], resources={"limits": {"cpu": 1, "nvidia.com/gpu": 1}},
)
sys.stdout.write(pipeline.digest)
"""


def test_without_held_out_data_there_are_four_steps():
    assert set(compiled().pipeline_spec["root"]["dag"]["tasks"]) == {
        "download",
        "train",
        "evaluate",
        "export",
    }


def test_held_out_data_is_downloaded_by_a_step_of_its_own():
    pipeline = compiled(evaluation=HELD_OUT)
    inputs = task(pipeline, "evaluate")["inputs"]["artifacts"]
    assert inputs["evaluation_data"]["taskOutputArtifact"]["producerTask"] == "download-evaluation"
    constant = task(pipeline, "download-evaluation")["inputs"]["parameters"]["uri"]["runtimeValue"][
        "constant"
    ]
    assert constant == "s3://datasets/held-out/"


@pytest.mark.parametrize(
    ("evaluation", "steps"),
    [(None, {"download", "evaluate"}), (HELD_OUT, {"download-evaluation", "evaluate"})],
)
def test_what_was_trained_is_evaluated_again_in_two_steps_the_last_one_uncached(evaluation, steps):
    pipeline = compiled(evaluation=evaluation, only_evaluates=True)
    assert set(pipeline.pipeline_spec["root"]["dag"]["tasks"]) == steps
    cached = {
        step: task(pipeline, step).get("cachingOptions", {}).get("enableCache", False) for step in steps
    }
    assert cached == {step: step != "evaluate" for step in steps}
    assert pipeline.digest != compiled(evaluation=evaluation).digest


def test_what_the_cache_knows_a_training_by_has_no_part_in_how_an_evaluation_is_shown():
    program = "\n".join(container(compiled(), "train")["command"])
    assert "def run_step" in program
    assert "def show" not in program
    assert "def show" in "\n".join(container(compiled(), "evaluate")["command"])


def test_the_export_is_handed_the_listings_and_not_the_data():
    keys = [
        entry["taskOutputArtifact"]["outputArtifactKey"]
        for entry in task(compiled(), "export")["inputs"]["artifacts"].values()
    ]
    assert sorted(keys) == ["evaluation", "listing", "model"]


def test_the_cache_is_asked_by_the_datas_digest_and_the_retrain_token():
    pipeline = compiled(evaluation=HELD_OUT)
    where = {"download": "digest", "download-evaluation": "digest", "train": "retrain_token"}
    asked = {
        step: task(pipeline, step)["inputs"]["parameters"][name]["componentInputParameter"]
        for step, name in where.items()
    }
    assert asked == {
        "download": "data_digest",
        "download-evaluation": "evaluation_digest",
        "train": "retrain_token",
    }


def test_nothing_is_installed_when_a_step_starts():
    assert not [
        step
        for step in ("download", "train", "evaluate", "export")
        if "pip install" in str(container(compiled(), step))
    ]


def test_the_only_variable_of_a_command_is_the_platforms_own():
    for step in ("download", "train", "evaluate", "export"):
        text = json.dumps(container(compiled(), step))
        assert re.findall(r"\{\{.*?\}\}", text) == ["{{$}}"]


@pytest.mark.parametrize("name", ["m", "a" * 40, "a-1"])
def test_the_pipeline_is_named_after_the_resource(name):
    found = compiled(name=name).pipeline_spec["pipelineInfo"]["name"]
    assert found == name
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", found)


@pytest.mark.slow
def test_equal_resources_give_equal_bytes_in_every_process():
    def digest(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        program = [sys.executable, "-W", "error::UserWarning", "-c", PRINT_DIGEST]
        done = subprocess.run(
            program, env=environment, capture_output=True, text=True, check=True, cwd=Path.cwd()
        )
        assert done.stderr == ""
        return done.stdout

    digests = {digest(seed) for seed in ("0", "1", "4711")}
    assert len(digests) == 1
    assert re.fullmatch("[0-9a-f]{64}", digests.pop())


def test_the_order_in_which_a_user_writes_maps_changes_nothing():
    one = compiled(parameters={"a": 1, "b": {"c": 2, "d": 3}}, podLabels={"x": "1", "y": "2"})
    other = compiled(parameters={"b": {"d": 3, "c": 2}, "a": 1}, podLabels={"y": "2", "x": "1"})
    assert one.yaml == other.yaml
    assert one.digest != compiled().digest


def test_many_threads_compile_at_once():
    digests: list[str] = []
    threads = [
        threading.Thread(target=lambda: digests.append(compiled(evaluation=HELD_OUT).digest))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [compiled(evaluation=HELD_OUT).digest] * 8


def test_compiling_is_fast_silent_and_leaves_nothing_behind(tmp_path, monkeypatch, capfd):
    compiled()  # loads the SDK
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    times = []
    for number in range(5):
        start = time.process_time()
        _ = compiled(parameters={"number": number}).digest
        times.append(time.process_time() - start)
    assert min(times) < 0.2  # seconds; 0.02 on an idle machine
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_the_package_is_imported_without_the_pipelines_sdk():
    program = "import sys, trainandserve.pipeline; sys.exit('kfp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_file_holds_the_pipeline_and_what_only_kubernetes_understands():
    pipeline = compiled()
    assert list(yaml.safe_load_all(pipeline.yaml)) == [pipeline.pipeline_spec, pipeline.platform_spec]


def test_the_body_of_a_run_is_the_callers_own():
    pipeline = compiled()
    body = pipeline.body()
    assert body == {"pipeline_spec": pipeline.pipeline_spec, "platform_spec": pipeline.platform_spec}
    body["pipeline_spec"].clear()
    assert pipeline.pipeline_spec
    json.dumps(body, allow_nan=False)


@pytest.mark.parametrize("field", ["data", "storage", "image"])
def test_a_variable_of_the_platform_in_a_uri_or_image_is_refused(field):
    found = resource()
    uri = "s3://bucket/{{workflow.name}}/"
    if field == "image":
        inputs = PipelineInputs("image:{{x}}", INPUTS.data, None, INPUTS.storage)
    else:
        inputs = INPUTS
        part = getattr(found.spec, field).changed(uri=uri)
        found = found.changed(spec=found.spec.changed(**{field: part}))
    with pytest.raises(ValueError, match=r"without \{\{"):
        compile_pipeline(found, inputs)


def parameter_types(pipeline):
    declared = pipeline.pipeline_spec["root"]["inputDefinitions"]["parameters"]
    return {name: entry["parameterType"] for name, entry in declared.items()}


@pytest.mark.parametrize("evaluation", [None, HELD_OUT])
@pytest.mark.parametrize("incumbent", [None, INCUMBENT])
def test_a_run_gives_every_declared_parameter_in_its_type(evaluation, incumbent):
    values = run_parameters(resource(evaluation=evaluation), RUN, incumbent)
    types = {str: "STRING", int: "NUMBER_INTEGER"}
    assert {name: types[type(value)] for name, value in values.items()} == parameter_types(
        compiled(evaluation=evaluation)
    )


@pytest.mark.parametrize("evaluation", [None, HELD_OUT])
@pytest.mark.parametrize("incumbent", [None, INCUMBENT])
def test_a_run_that_only_evaluates_gives_every_declared_parameter_in_its_type(evaluation, incumbent):
    candidate = Candidate(
        version=3, run_id="made-by", uri="s3://models/vision/mnist/3-00/model/", result_digest="d"
    )
    values = evaluation_parameters(resource(evaluation=evaluation), RUN, candidate, incumbent)
    types = {str: "STRING", int: "NUMBER_INTEGER"}
    pipeline = compiled(evaluation=evaluation, only_evaluates=True)
    assert {name: types[type(value)] for name, value in values.items()} == parameter_types(pipeline)
    assert (values["evaluates"], values["model_uri"]) == ("made-by", "s3://models/vision/mnist/3-00/model/")


def test_the_parameters_of_a_run_say_who_it_is_and_what_it_is_compared_with():
    assert run_parameters(resource(), RUN, INCUMBENT) == {
        "uid": UID,
        "version": 3,
        "run_id": "5f1c3a8e-6f53-5f0b-9f0b-3b0a9f3d2c11",
        "destination": "s3://models/vision/mnist/3-5f1c3a8e/",
        "data_digest": "sha256:00",
        "evaluation_digest": "",
        "incumbent_version": 2,
        "incumbent_uri": "s3://models/vision/mnist/2-00/model/",
        "retrain_token": "",
        "training_hash": "abc",
    }


@pytest.mark.parametrize(
    ("token", "given"), [("2026-11-20 é", "2026-11-20 é"), ("{{workflow.uid}}", "{ {workflow.uid}}")]
)
def test_the_retrain_annotation_is_given_but_never_as_a_variable(token, given):
    asked = resource()
    asked = asked.changed(metadata=asked.metadata.changed(annotations={RETRAIN: token}))
    assert run_parameters(asked, RUN)["retrain_token"] == given


def test_the_image_is_told_to_the_export_for_the_lineage():
    assert task(compiled(), "export")["inputs"]["parameters"]["image"]["runtimeValue"]["constant"] == IMAGE
