"""`python -m sandbox` as a user meets it: what it says, that there may be two, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.client import Resources
from sandbox.processes import ChildProcess

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
UP_SECONDS = 120.0
EXAMPLE = str(ROOT / "examples" / "digits.yaml")


@dataclass
class Up:
    """A sandbox that is up."""

    child: ChildProcess
    kubeconfig: Path

    @property
    def said(self) -> str:
        return self.child.output()

    @property
    def folder(self) -> Path:
        return self.kubeconfig.parent


@contextlib.contextmanager
def sandbox(folder: Path, *arguments: str) -> Iterator[Up]:
    environment = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "sandbox", *arguments]
    folder.mkdir()
    log = folder.with_suffix(".log")
    child = ChildProcess.start("sandbox", command, log, env=environment, cwd=ROOT, grace=30)
    try:
        found = child.wait_for_line(r"  export KUBECONFIG=(\S+)", UP_SECONDS)
        child.wait_for_line(r"  \S+ -m sandbox.client get .*", UP_SECONDS)
        yield Up(child, Path(found[1]))
    finally:
        child.stop()


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes whose environment or command line names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            # A zombie has neither; one that just ended cannot be read.
            if str(folder).encode() in told and int(process.name) != os.getpid():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def client(up: Up, *arguments: str) -> str:
    environment = {**os.environ, "KUBECONFIG": str(up.kubeconfig)}
    command = [sys.executable, "-m", "sandbox.client", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_two_sandboxes_come_up_side_by_side_and_leave_nothing_behind(tmp_path):
    with sandbox(tmp_path / "one") as one, sandbox(tmp_path / "two", "--single-user", "--no-operator") as two:
        assert processes_of(tmp_path / "one") and processes_of(tmp_path / "two")
        assert client(one, "apply", EXAMPLE) == "trainandserve.trainandserve.io/digits applied\n"
        assert client(one, "get").splitlines()[1].startswith("digits")
        assert client(two, "get") == "No resources found\n"
        assert "namespace   vision," in one.said and "namespace   kubeflow," in two.said
        assert "operator.env" in two.said and not list((two.folder / "logs").glob("operator.log"))
        keys = re.findall(r"SECRET_ACCESS_KEY='?([^'\n]+)", (one.folder / "s3.env").read_text())
        assert len(keys) == 1 and keys[0] not in one.said
        assert (one.folder / "s3.env").stat().st_mode & 0o077 == 0
        assert Resources.from_kubeconfig(one.kubeconfig).get("digits")["metadata"]["namespace"] == "vision"

        os.kill(one.child.pid, signal.SIGINT)
        os.kill(two.child.pid, signal.SIGTERM)

        assert one.child.wait(90) == 130
        assert two.child.wait(90) == 143
        assert processes_of(tmp_path / "one") == processes_of(tmp_path / "two") == []
        assert not list((tmp_path / "one").iterdir()) and not list((tmp_path / "two").iterdir())


def program_of(up: Up, words: str) -> int:
    """The process id of the part of a sandbox with these words in its command line."""
    command = ["ps", "-o", "pid=,args=", "--ppid", str(up.child.pid)]
    children = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    [found] = [line.split()[0] for line in children.splitlines() if words in line]
    return int(found)


def test_an_operator_that_is_killed_is_started_again_and_any_other_part_ends_the_rest(tmp_path):
    with sandbox(tmp_path / "one") as up:
        first = program_of(up, "trainandserve run")
        assert f"operator {first} (started again if it ends)" in up.said
        os.kill(first, signal.SIGKILL)
        said = r"The operator ended with exit code -9; started again, process (\d+)\."
        second = int(up.child.wait_for_line(said, 30)[1])
        os.kill(second, 0)  # it is there
        assert second != first

        os.kill(program_of(up, "sandbox.kserve"), signal.SIGKILL)

        assert up.child.wait(90) == 1
        assert "The sandbox ended: kserve ended with exit code -9; the end of" in up.said
        assert "KServe stand-in is running" in up.said.partition("The sandbox ended")[2]
        assert f"The logs are in {up.folder}" in up.said
        left = {file.name for file in up.folder.rglob("*") if file.is_file()}
        assert "operator.log" in left and not left & {"s3.env", "kubeconfig", "kfp-token", "operator.env"}
        assert processes_of(tmp_path / "one") == []
