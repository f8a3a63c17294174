import sys

import pytest

from sandbox import setup
from sandbox.session import keep_logs, working_folder


def test_pins_are_split_by_package_and_keep_their_checksums():
    text = "first==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nSecond==2 ; python_version < '3.12' \\\n    --hash=sha256:cc\n"

    assert setup.pins(text) == [
        ("first", "first==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb"),
        ("second", "Second==2 ; python_version < '3.12' \\\n    --hash=sha256:cc"),
    ]


def test_what_is_installed_first_is_pinned():
    names = [name for name, _ in setup.pins(setup.REQUIREMENTS.read_text())]

    assert all(names.count(name) == 1 for name in setup.FIRST)


def test_pips_output_becomes_a_few_words():
    output = "Collecting a==1\n  Downloading https://x/a-1.whl (2 MB)\nCollecting b==2\n"

    assert setup.pip_progress(output, 3) == "2 of 3 found, downloading a-1.whl (2 MB)"
    assert setup.pip_progress(output + "Installing collected packages: a, b\n", 3) == "unpacking"


def test_another_python_or_place_makes_another_environment(monkeypatch):
    before = setup.wanted_stamp()
    monkeypatch.setattr(sys, "version", "3.12.99 (main)")

    assert setup.wanted_stamp() != before


def test_a_python_without_venv_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(setup, "STAMP", tmp_path / "stamp")
    monkeypatch.setitem(sys.modules, "ensurepip", None)

    with pytest.raises(setup.SetupError, match="apt-get install python3-venv"):
        setup.make_environment(lambda: None)


def test_no_fitting_python_is_told_by_name(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(setup.shutil, "which", lambda name: None)

    with pytest.raises(setup.SetupError, match=r"CPython 3.11 to 3.13 is needed"):
        setup.check_python()


def test_after_a_failure_only_logs_are_kept(tmp_path):
    for name in (
        "logs/operator.log",
        "kfp/logs/run/train.txt",
        "kserve/pods/a/model.log",
        "kfp-token",
        "etcd/x/db",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    keep_logs(tmp_path)

    kept = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file())
    assert kept == ["kfp/logs/run/train.txt", "kserve/pods/a/model.log", "logs/operator.log"]
    assert not (tmp_path / "etcd").exists()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, SystemExit])
def test_the_folder_goes_with_the_program(error):
    def use():
        with working_folder("test") as folder:
            (folder / "file").write_text("x")
            places.append(folder)
            if error:
                raise error

    places = []
    if error:
        with pytest.raises(error):
            use()
    else:
        use()

    assert not places[0].exists()


def test_after_a_failure_the_place_of_the_logs_is_said(capsys):
    with pytest.raises(ValueError), working_folder("test") as folder:
        (folder / "operator.log").write_text("x")
        raise ValueError

    assert str(folder) in capsys.readouterr().err
    (folder / "operator.log").unlink()
    folder.rmdir()
