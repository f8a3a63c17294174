"""The trainer's image: its four steps as a bare user, nothing writable but /tmp and what a step is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from requirements import sbom
from sandbox.s3 import S3Server
from tests.api.operator_path.storage import ACCESS_KEY, SECRET_KEY, Storage, new_bucket
from tests.image import confinement
from tests.image.conftest import Rooms
from tests.image.images import Image
from tests.image.test_operator_image import INSTALLED
from tests.unit.operator_pipeline import builders
from tests.unit.trainer.builders import idx, pictures
from tests.unit.trainer.test_command_line import wheel
from trainandserve.pipeline.options import ENVIRONMENT

TRAINER = ["python3", "-m", "trainer"]
RECIPE = ["--entrypoint", "trainer.recipes.image_classifier"]
RECIPE += ["--parameters", '{"network": "dense", "epochs": 1, "hiddenUnits": 8}']


def test_it_holds_the_packages_of_its_bill(trainer_image: Image, rooms: Rooms) -> None:
    done = confinement.run(trainer_image, ["python3", "-c", INSTALLED], rooms())
    assert done.returncode == 0, done.stderr
    held = json.loads(done.stdout)
    bill = {one["name"]: one["version"] for one in json.loads(sbom.bill("trainer"))["components"]}
    assert bill.items() <= held.items()
    assert set(held) - set(bill) <= {"pip"}  # it installs spec.training.packages
    print(f"\ntrainer's image: {trainer_image.size():.0f} MB of files")


def test_started_by_hand_it_says_how_it_is_used(trainer_image: Image, rooms: Rooms) -> None:
    done = confinement.run(trainer_image, [*trainer_image.command, *trainer_image.arguments], rooms())
    assert done.returncode == 0, done.stderr
    assert "python -m trainer train" in done.stdout


@pytest.fixture
def storage(bucket: S3Server, tmp_path: Path) -> Storage:
    return new_bucket(bucket, f"images-{abs(hash(tmp_path))}")


def access(storage: Storage) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_ENDPOINT_URL": f"http://{storage.endpoint}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def mnist(storage: Storage) -> str:
    """A little data as MNIST's files in the bucket; its address."""
    for part, count in (("train", 64), ("t10k", 32)):
        storage.put("data/", f"{part}-images-idx3-ubyte", idx(pictures(count)))
        storage.put("data/", f"{part}-labels-idx1-ubyte", idx(pictures(count)[:, 0, 0] % 10))
    return storage.uri("data/")


def shared_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)  # a pod's volume, by its fsGroup
    return folder


def test_its_steps_take_data_to_a_version_in_the_bucket(
    trainer_image: Image, rooms: Rooms, storage: Storage, tmp_path: Path
) -> None:
    shared = {"/steps": shared_folder(tmp_path)}
    run = ["--version", "1", "--uid", "u", "--run-id", "r", "--image", "trainer:check"]
    steps = {
        "download": ["--uri", mnist(storage), "--output", "/steps/data"],
        "train": ["--data", "/steps/data", "--model", "/steps/model", *RECIPE],
        "evaluate": [
            *["--data", "/steps/data", "--model", "/steps/model"],
            *["--output", "/steps/evaluation.json", "--report", "/steps/report.html", *RECIPE],
        ],
        "export": [
            *["--model", "/steps/model", "--evaluation", "/steps/evaluation.json", "--data", "/steps/data"],
            *["--destination", storage.uri("models/vision/digits/1-r/"), *run],
        ],
    }
    for step, options in steps.items():
        done = confinement.run(
            trainer_image,
            [*TRAINER, step, *options],
            rooms(),
            environment={**ENVIRONMENT, **access(storage)},
            shared=shared,
            writable="/tmp",
        )
        assert done.returncode == 0, f"{step}: {done.stderr}"
    result: dict[str, Any] = json.loads(storage.get("models/vision/digits/1-r/result.json"))
    assert result["version"] == 1 and "accuracy" in result["metrics"]


def test_packages_of_the_users_own_are_installed_beside_what_it_holds(
    trainer_image: Image, rooms: Rooms, storage: Storage, tmp_path: Path
) -> None:
    wheel(tmp_path / "wheels")
    folder = shared_folder(tmp_path)
    own = ["--entrypoint", "ownrecipe.model", "--packages", '["ownrecipe==1.0"]']
    for command in (
        ["download", "--uri", mnist(storage), "--output", "/steps/data"],
        ["train", "--data", "/steps/data", "--model", "/steps/model", *own],
    ):
        done = confinement.run(
            trainer_image,
            [*TRAINER, *command],
            rooms(),
            environment={**ENVIRONMENT, **access(storage), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"},
            mounts={"/wheels": tmp_path / "wheels"},
            shared={"/steps": folder},
            writable="/tmp",
        )
        assert done.returncode == 0, done.stderr
    assert "hello from my own package" in done.stdout


def test_kubeflow_pipelines_own_executor_starts_a_step(
    trainer_image: Image, rooms: Rooms, storage: Storage, tmp_path: Path
) -> None:
    """With the command of the compiled pipeline, as the launcher in a step's pod starts it."""
    folder = shared_folder(tmp_path)
    container = builders.container(builders.compiled(), "download")
    outputs = {
        name: {"artifacts": [{"name": name, "type": {"schemaTitle": kind}, "uri": f"/steps/{name}"}]}
        for name, kind in (("data", "system.Dataset"), ("listing", "system.Artifact"))
    }
    order = {
        "inputs": {"parameterValues": {"uri": mnist(storage), "digest": ""}},
        "outputs": {"artifacts": outputs, "outputFile": "/steps/output_metadata.json"},
    }
    words = [one.replace("{{$}}", json.dumps(order)) for one in (*container["command"], *container["args"])]
    done = confinement.run(
        trainer_image,
        words,
        rooms(),
        environment={**ENVIRONMENT, **access(storage)},
        shared={"/steps": folder},
        writable="/tmp",
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "data" / ".data.json").exists() and (folder / "listing" / ".data.json").exists()
