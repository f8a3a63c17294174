"""A small resource with what a test wants to say about it, its compiled pipeline, and a trainer that only records."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from trainandserve.pipeline import CompiledPipeline, PipelineInputs, compile_pipeline
from trainandserve.resource import TrainAndServe
from trainandserve.storage_access import StorageAccess

UID = "7b0e8a52-3f5f-4d0c-9a53-0d4f6a3c2b11"
IMAGE = "registry.example/python-trainer:1"
DATA = StorageAccess("data-keys", "http://data.example:9000")
HELD_OUT = StorageAccess("held-out-keys", "http://held-out.example:9000", "eu-west-1", verify_ssl=False)
STORAGE = StorageAccess("storage-keys", "https://storage.example", virtual_bucket=True)
INPUTS = PipelineInputs(IMAGE, DATA, HELD_OUT, STORAGE)

FAKE_TRAINER = """
import json, os, sys
from pathlib import Path
step, *rest = sys.argv[1:]
options = dict(item.split("=", 1) for item in rest)
with open(os.environ["RECORD"], "a") as file:
    kept = ("AWS_", "S3_", "HOME", "aws", "PYTHONUNBUFFERED", "TF_CPP")
    env = {k: v for k, v in os.environ.items() if k.startswith(kept)}
    file.write(json.dumps({"step": step, "options": options, "env": env}) + "\\n")
print("progress of", step, "1/1")
if os.environ.get("KILL") == step:
    os.kill(os.getpid(), 9)
if os.environ.get("FAIL") == step:
    sys.exit(print("DataChanged: the bucket holds other data than planned.", file=sys.stderr) or 2)
def write(folder, name, text):
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / name).write_text(text)
if step == "download":
    write(options["--output"], ".data.json", json.dumps({"uri": options["--uri"]}))
    write(options["--output"] + "/sub", "images", "x")
if step == "train":
    assert (Path(options["--data"]) / "sub/images").exists()
    write(options["--model"], "saved_model.pb", "model")
if step == "evaluate":
    assert "--model-uri" in options or (Path(options["--model"]) / "saved_model.pb").exists()
    assert all((Path(options[name]) / "sub/images").exists() for name in ("--data", "--evaluation-data") if name in options)
    found = {"metrics": {"accuracy": 0.98, "loss": None}, "samples": 360}
    if "--incumbent-version" in options:
        found["incumbent"] = {"version": 2, "uri": options["--incumbent-uri"], "metrics": {"accuracy": 0.97}}
    roc = {"fpr": [0, 0.1, 1], "tpr": [0, 0.9, 1], "thresholds": [1.0, 0.5, 0.0]}
    confusion = {"names": ["cat", "dog"], "matrix": [[170, 4], [3, 183]]}
    found["report"] = {"candidate": {"roc": [roc], "confusion": confusion}}
    Path(options["--output"]).write_text(json.dumps(found))
    Path(options["--report"]).write_text("<!doctype html>")
if step == "export":
    listings = [options[name] for name in ("--data", "--evaluation-data") if name in options]
    assert [os.listdir(folder) for folder in listings] == [[".data.json"]] * len(listings)
if step in ("export", "record"):
    assert json.loads(Path(options["--evaluation"]).read_text())["samples"] == 360
"""


def resource(
    *, evaluation: dict[str, Any] | None = None, name: str = "mnist", **training: Any
) -> TrainAndServe:
    """A resource with these fields of ``spec.training``."""
    spec: dict[str, Any] = {"data": {"uri": "s3://datasets/mnist/"}, "storage": {"uri": "s3://models/"}}
    if training:
        spec["training"] = training
    if evaluation:
        spec["evaluation"] = evaluation
    metadata = {"name": name, "namespace": "vision", "uid": UID}
    return TrainAndServe.model_validate({"metadata": metadata, "spec": spec})


def compiled(*, only_evaluates: bool = False, **fields: Any) -> CompiledPipeline:
    """The pipeline of such a resource."""
    return compile_pipeline(resource(**fields), INPUTS, only_evaluates=only_evaluates)


def task(pipeline: CompiledPipeline, step: str) -> dict[str, Any]:
    """A step as the pipeline's graph has it."""
    found: dict[str, Any] = pipeline.pipeline_spec["root"]["dag"]["tasks"][step]
    return found


def container(pipeline: CompiledPipeline, step: str) -> dict[str, Any]:
    """A step's container."""
    found: dict[str, Any] = pipeline.pipeline_spec["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
    return found


def pod(pipeline: CompiledPipeline, step: str) -> dict[str, Any]:
    """What only Kubernetes understands of a step."""
    if pipeline.platform_spec is None:
        return {}
    executors = pipeline.platform_spec["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    found: dict[str, Any] = executors.get(f"exec-{step}", {})
    return found


def environment(pipeline: CompiledPipeline, step: str) -> dict[str, str]:
    """Environment variables of a step that are set by value."""
    return {entry["name"]: entry["value"] for entry in container(pipeline, step)["env"]}


class Shell:
    """A folder with the recording trainer, and programs run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record.jsonl"
        (folder / "trainer").mkdir()
        (folder / "trainer" / "__init__.py").touch()
        (folder / "trainer" / "__main__.py").write_text(FAKE_TRAINER)
        # KFP's local runner does not quote the path of Python, which may hold a blank.
        (folder / "environment").symlink_to(Path(sys.prefix))

    def run(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program that finds the recording trainer; output and errors together, as in a pod's log."""
        added = {
            "PYTHONPATH": str(self.folder),
            "RECORD": str(self.record),
            "TMPDIR": str(self.folder),
            **environment,
        }
        return subprocess.run(
            [self.folder / "environment" / "bin" / "python", "-c", program, *arguments],
            check=False,
            cwd=self.folder,
            env={**os.environ, **added},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )

    def calls(self) -> list[dict[str, Any]]:
        """What the trainer was started with, in order."""
        return [json.loads(line) for line in self.record.read_text().splitlines()]
