"""The command line as a pipeline or a shell sees it: real processes, their exit codes and what they print."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sandbox.digits import held_out, write_digits
from tests.unit.trainer.builders import pictures

ROOT = Path(__file__).parents[3]


def trainer(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "trainer", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_and_download_need_no_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys, trainer.__main__ as t, trainer.steps.download, trainer.steps.export, trainer.s3\n"
        "import trainer.steps.train, trainer.steps.evaluate, trainer.recipes.image_classifier\n"
        "assert not {'tensorflow', 'keras', 'kfp', 'kubernetes'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("step", ["", "download", "train", "evaluate", "export", "record"])
def test_every_step_has_help(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    from trainer.__main__ import main

    with pytest.raises(SystemExit) as left:
        main([step, "--help"] if step else ["--help"])
    assert left.value.code == 0
    assert "usage: python -m trainer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required: STEP"),
        (["fly"], "there is no step fly; there are download, train, evaluate, export"),
        (["trian"], "there is no step trian; did you mean train?"),
        (["train", "--data", "d", "--mdoel", "m"], "there is no option --mdoel; did you mean --model?"),
        (["download", "--uri", "x"], "required: --output"),
        (
            ["train", "--data", "d", "--model", "m", "--entrypoint", "e", "--parameters", "epochs=5"],
            "is not a JSON object",
        ),
        (
            ["train", "--data", "d", "--model", "m", "--entrypoint", "e", "--packages", "[1]"],
            "is not a JSON list of texts",
        ),
        (
            ["train", "--data", "d", "--model", "m", "--entrypoint", "e", "--packages", '["-r/etc/passwd"]'],
            "is not a requirement",
        ),
        (["download", "--uri", "nowhere", "--output", "o"], "there is no file or folder nowhere"),
        (
            ["train", "--data", "d", "--model", "s3://b/m", "--entrypoint", "e"],
            "s3://b/m is an address where a path on this machine is meant",
        ),
        (
            ["evaluate", "--data", "gs://b/x", "--model", "m", "--entrypoint", "e", "--output", "o"],
            "gs://b/x: this",
        ),
        (
            ["evaluate", "--data", "d", "--output", "o", "--entrypoint", "e"],
            "--model --model-uri is required",
        ),
        (
            ["evaluate", "--model-uri", "m", "--output", "o", "--entrypoint", "e"],
            "give --data or --evaluation-data",
        ),
        (["download", "--uri", "gs://b/x", "--output", "o"], "this kind of address is not supported"),
    ],
)
def test_wrong_arguments_are_told_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainer.__main__ import main

    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


def test_wrong_input_leaves_one_line_on_stderr_and_2(tmp_path: Path) -> None:
    done = trainer("download", "--uri", "nowhere", "--output", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "out").exists()


def test_anything_else_is_1_with_a_traceback_that_holds_no_secret(tmp_path: Path) -> None:
    (tmp_path / "exploding.py").write_text(
        "import os\nraise RuntimeError(os.environ['AWS_SECRET_ACCESS_KEY'])\n"
    )
    done = trainer(
        *["train", "--data", ".", "--model", "m", "--entrypoint", "exploding"],
        cwd=tmp_path,
        PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}",
        AWS_SECRET_ACCESS_KEY="planted-secret-key",
    )
    assert done.returncode == 1
    assert "RuntimeError: ***" in done.stderr
    assert "planted" not in done.stdout + done.stderr


def few_pictures(folder: Path) -> None:
    folder.mkdir()
    np.savez(folder / "d.npz", images=pictures(60), labels=np.arange(60) % 3)


TRAIN = (
    *("train", "--data", "data", "--model", "m", "--entrypoint", "trainer.recipes.image_classifier"),
    *("--parameters", '{"network": "dense", "epochs": 2}'),
)


def test_training_leaves_nothing_but_progress_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from trainer.__main__ import main

    few_pictures(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    code, (said, errors) = main(TRAIN), capfd.readouterr()
    assert (code, errors) == (0, "")
    assert "epoch 1/2  loss " in said
    assert "epoch 2/2  loss " in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "m"]


@pytest.mark.slow
def test_a_process_of_its_own_leaves_nothing_but_progress_behind_either(tmp_path: Path) -> None:
    few_pictures(tmp_path / "data")
    done = trainer(*TRAIN, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "epoch 1/2  loss " in done.stdout
    assert "epoch 2/2  loss " in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "m"]


def wheel(folder: Path) -> Path:
    """A user's package, made by hand: pip needs no build tools and no network to install it."""
    folder.mkdir()
    recipe = (
        "import greeting\n"
        "def train(data, parameters, model_dir, progress):\n"
        "    progress.say(greeting.WORDS)\n"
        "    (model_dir / 'saved_model.pb').write_bytes(b'model')\n"
        "def evaluate(model_dir, data):\n    return {'accuracy': 1.0}\n"
    )
    path = folder / "ownrecipe-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ownrecipe/__init__.py", "")
        archive.writestr("ownrecipe/model.py", recipe)
        archive.writestr("greeting.py", "WORDS = 'hello from my own package'\n")
        archive.writestr(
            "ownrecipe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ownrecipe\nVersion: 1.0\n"
        )
        archive.writestr(
            "ownrecipe-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("ownrecipe-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def quiet_pip(tmp_path: Path) -> dict[str, str]:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels"), "TMPDIR": str(temporary)}


@pytest.mark.slow
def test_own_packages_come_from_where_pips_settings_say(tmp_path: Path, quiet_pip: dict[str, str]) -> None:
    wheel(tmp_path / "wheels")
    few_pictures(tmp_path / "data")
    done = trainer(
        *["train", "--data", "data", "--model", "m", "--entrypoint", "ownrecipe.model"],
        *["--packages", '["ownrecipe==1.0"]'],
        cwd=tmp_path,
        **quiet_pip,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "hello from my own package" in done.stdout
    assert (tmp_path / "m" / "saved_model.pb").exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_package_that_cannot_be_installed_is_told(tmp_path: Path, quiet_pip: dict[str, str]) -> None:
    (tmp_path / "wheels").mkdir()
    done = trainer(
        *["train", "--data", "d", "--model", "m", "--entrypoint", "x", "--packages", '["no-such-thing==1"]'],
        cwd=tmp_path,
        **quiet_pip,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("packages: pip could not install no-such-thing==1: ")
    assert done.stderr.count("\n") == 1
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_digits_are_the_same_bytes_each_time_and_more_data_is_judged_on_the_same_images(
    tmp_path: Path,
) -> None:
    for name, augment in (("one", 0), ("two", 0), ("more", 1)):
        write_digits(tmp_path / name, seed=4, augment=augment)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 4
    assert all(
        (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files
    )
    images, labels = held_out(tmp_path / "one")
    more, same = held_out(tmp_path / "more")
    assert images.shape == (359, 28, 28)
    assert (images == more).all()
    assert (labels == same).all()
    assert images.max() > 200
    name = "train-images-idx3-ubyte.gz"
    assert (tmp_path / "one" / name).read_bytes() != (tmp_path / "more" / name).read_bytes()
