"""A version that was exported is evaluated again: from where it lies, beside another version, without being made again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.builders import CLASSIFIER, Bucket, Trained
from trainer import saved_model
from trainer.__main__ import main
from trainer.steps import export, record
from trainer.steps.export import Version

VERSION = Version(3, "some-uid", "made-by", training_hash="abc")


def exported(trained: Trained, destination: str) -> str:
    export.run(trained.model, trained.evaluation, trained.data, destination, VERSION)
    return f"{destination}model/"


def again(trained: Trained, uri: str, folder: Path, *more: str) -> int:
    arguments = ["--data", str(trained.data), "--model-uri", uri, "--entrypoint", CLASSIFIER]
    arguments += ["--output", str(folder / "again.json"), "--report", str(folder / "again.html")]
    return main(["evaluate", *arguments, *more])


def recorded(folder: Path, destination: str, run: str = "second", *more: str) -> int:
    identity = ["--version", "3", "--uid", "some-uid", "--run-id", run, "--evaluates", "made-by"]
    arguments = ["--evaluation", str(folder / "again.json"), "--destination", destination]
    return main(["record", *arguments, *identity, "--training-hash", "abc", *more])


def loaded(content: bytes | str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content)
    return found


def test_a_version_is_evaluated_from_the_bucket_and_its_own_result_stays(
    trained: Trained, bucket: Bucket, tmp_path: Path
) -> None:
    prefix = f"{bucket.uri}vision/digits/3-made/"
    uri = exported(trained, prefix)
    before = {key: bucket.get(key) for key in bucket.keys("vision/")}
    digest = sha256(before["vision/digits/3-made/result.json"]).hexdigest()
    other = ["--incumbent-version", "2", "--incumbent-uri", uri]
    assert again(trained, uri, tmp_path, "--result-digest", digest, *other) == 0
    place = f"{prefix}evaluations/second/"
    assert recorded(tmp_path, place, "second", "--data", str(trained.data), "--result-digest", digest) == 0

    assert {key: bucket.get(key) for key in before} == before
    found = loaded(bucket.get("vision/digits/3-made/evaluations/second/evaluation.json"))
    told = loaded(before["vision/digits/3-made/result.json"])
    same = [name for name in told["metrics"] if not name.startswith("latency")]
    assert [found["metrics"][name] for name in same] == [told["metrics"][name] for name in same]
    assert [found["incumbent"]["metrics"][name] for name in same] == [found["metrics"][name] for name in same]
    assert (found["samples"], found["incumbent"]["version"]) == (359, 2)
    names = ("version", "uid", "runId", "evaluates", "trainingHash", "resultDigest")
    assert [found[name] for name in names] == [3, "some-uid", "second", "made-by", "abc", digest]
    assert found["data"] == told["data"]
    assert b"Version 3" in bucket.get("vision/digits/3-made/evaluations/second/report.html")


def test_what_a_run_has_recorded_stays_and_another_runs_place_is_refused(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(trained.evaluation, tmp_path / "again.json")
    place = f"{tmp_path}/evaluations/second/"
    assert recorded(tmp_path, place) == 0
    file = Path(place) / record.NAME
    before = file.read_bytes()
    other = loaded((tmp_path / "again.json").read_text())
    other["metrics"]["latency_ms"] = 99.0
    (tmp_path / "again.json").write_text(json.dumps(other))
    assert recorded(tmp_path, place) == 0
    assert recorded(tmp_path, place, "third") == 2
    assert "already holds another evaluation.json" in capsys.readouterr().err
    assert file.read_bytes() == before


def _other_bytes(version: Path) -> None:
    path = version / "model" / "3" / "saved_model.pb"
    path.write_bytes(path.read_bytes() + b"\n")


def _file_gone(version: Path) -> None:
    (version / "model" / "3" / "variables" / "variables.index").unlink()


def _file_more(version: Path) -> None:
    (version / "model" / "3" / "more").touch()


def _result_gone(version: Path) -> None:
    (version / "result.json").unlink()


def _result_broken(version: Path) -> None:
    (version / "result.json").write_text('{"manifest": [1]}')


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_other_bytes, "ModelChanged: .*saved_model.pb is not what its result lists"),
        (_file_gone, "ModelChanged: .*variables.index is missing"),
        (_file_more, "ModelChanged: .*model/3/more is not what its result lists"),
        (_result_gone, "ModelChanged: .* holds no result.json"),
        (_result_broken, "result.json is no result file"),
    ],
)
def test_a_version_that_is_not_what_its_result_says_is_not_evaluated(
    change: Callable[[Path], None],
    sentence: str,
    trained: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uri = exported(trained, f"{tmp_path}/3-made/")
    change(tmp_path / "3-made")
    assert again(trained, uri, tmp_path) == 2
    told = capsys.readouterr().err
    assert re.search(sentence, told)
    assert told.count("\n") == 1
    assert not (tmp_path / "again.json").exists()


def test_another_result_than_was_judged_is_refused(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = exported(trained, f"{tmp_path}/3-made/")
    assert again(trained, uri, tmp_path, "--result-digest", "0" * 64) == 2
    assert "is not the one that was judged" in capsys.readouterr().err


def test_a_version_without_what_servers_ask_for_is_named_by_its_address(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tf = saved_model.tensorflow()
    tf.saved_model.save(tf.Module(), str(tmp_path / "model"))
    uri = exported(replace(trained, model=tmp_path / "model"), f"{tmp_path}/3-made/")
    assert again(trained, uri, tmp_path) == 2
    assert f"the model in {uri}3 has no signature" in capsys.readouterr().err
