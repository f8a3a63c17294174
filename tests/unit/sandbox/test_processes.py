from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.processes import ChildProcess, ProcessError, ProcessStack

ROOT = Path(__file__).parents[3]

IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
WRITES_ITS_NAME_AT_SIGTERM = """
import pathlib, signal, sys, time
def leave(*_):
    with open(sys.argv[1], "a") as order: order.write(sys.argv[2])
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
time.sleep(600)
"""
STARTS_A_GRANDCHILD_AND_LEAVES = """
import subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("grandchild", grandchild.pid, flush=True)
"""
STARTS_A_CHILD_AND_WAITS = """
import sys, time
from pathlib import Path
from sandbox.processes import ProcessStack
with ProcessStack() as stack:
    child = stack.start("child", ["sleep", "600"], Path(sys.argv[1]))
    print(child.pid, flush=True)
    time.sleep(600)
"""


def python(script: str, *arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-c", script, *arguments]


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_writes_to_its_log_and_says_how_it_ended(tmp_path: Path) -> None:
    child = ChildProcess.start(
        "child", ["sh", "-c", "echo out; echo err >&2; exit 3"], tmp_path / "a" / "log"
    )
    assert child.wait(60) == 3
    assert not child.alive
    assert child.output() == "out\nerr\n"
    child.stop()
    assert child.exit_code == 3


def test_a_second_start_appends_to_the_log_and_shows_only_its_own_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("first", "second"):
        child = ChildProcess.start("child", ["echo", word], log)
        child.wait(60)
        child.stop()
        assert child.output() == f"{word}\n"
    assert log.read_text() == "first\nsecond\n"


def test_a_child_gets_the_environment_and_folder_it_is_given_and_no_other(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "SECRET": "value"}
    child = ChildProcess.start(
        "child", ["sh", "-c", "pwd; env"], tmp_path / "log", env=environment, cwd=tmp_path
    )
    child.wait(60)
    child.stop()
    lines = child.output().splitlines()
    assert lines[0] == str(tmp_path)
    assert "SECRET=value" in lines
    assert not any(line.startswith("HOME=") for line in lines)


def test_a_program_that_does_not_exist_shows_as_one_that_ended_at_once(tmp_path: Path) -> None:
    with ProcessStack() as stack:
        child = stack.start("child", ["/no/such/program"], tmp_path / "log")
        with pytest.raises(ProcessError, match=r"child ended with exit code 1 .*\n.*/no/such/program"):
            child.wait_until(lambda: False, 10)


def test_one_that_ends_before_it_is_ready_is_an_error_with_the_tail_of_its_log(tmp_path: Path) -> None:
    with ProcessStack() as stack:
        child = stack.start("child", ["sh", "-c", "seq 100; echo no space left; exit 7"], tmp_path / "log")
        with pytest.raises(ProcessError) as failed:
            child.wait_until(lambda: False, 10)
    assert "ended with exit code 7" in str(failed.value)
    assert str(failed.value).endswith("\n99\n100\nno space left")
    assert "\n50\n" not in str(failed.value)


def test_one_that_is_not_ready_in_time_is_an_error(tmp_path: Path) -> None:
    with ProcessStack() as stack:
        child = stack.start("child", ["sleep", "600"], tmp_path / "log")
        with pytest.raises(ProcessError, match=r"was not ready after 0\.1 s"):
            child.wait_until(lambda: False, 0.1)


def test_a_line_is_waited_for_until_it_is_whole(tmp_path: Path) -> None:
    with ProcessStack() as stack:
        script = "printf 'port 80'; sleep 0.2; printf '80\\n'; sleep 600"
        child = stack.start("child", ["sh", "-c", script], tmp_path / "log")
        assert child.wait_for_line(r"port (\d+)", 60)[1] == "8080"


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = ChildProcess.start("child", python(IGNORES_SIGTERM), tmp_path / "log", grace=0.2)
    child.wait_for_line("ready", 60)
    child.stop()
    assert child.exit_code == -signal.SIGKILL
    assert not running(child.pid)


def test_what_a_child_started_goes_with_it_even_if_the_child_went_first(tmp_path: Path) -> None:
    child = ChildProcess.start("child", python(STARTS_A_GRANDCHILD_AND_LEAVES), tmp_path / "log")
    grandchild = int(child.wait_for_line(r"grandchild (\d+)", 60)[1])
    child.wait(60)
    assert running(grandchild)
    child.stop()
    eventually(lambda: not running(grandchild))


def test_programs_stop_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    order = tmp_path / "order"
    with ProcessStack() as stack:
        for name in "abc":
            child = stack.start(name, python(WRITES_ITS_NAME_AT_SIGTERM, order, name), tmp_path / name)
            child.wait_for_line("ready", 60)
    assert order.read_text() == "cba"


def test_a_start_that_fails_leaves_nothing_running(tmp_path: Path) -> None:
    def start_two() -> None:
        with ProcessStack() as stack:
            pids.append(stack.start("first", ["sleep", "600"], tmp_path / "first").pid)
            second = stack.start("second", ["false"], tmp_path / "second")
            second.wait_until(lambda: False, 10)

    pids: list[int] = []
    with pytest.raises(ProcessError, match="second"):
        start_two()
    assert not running(pids[0])


def test_a_stack_notices_a_program_that_has_ended(tmp_path: Path) -> None:
    with ProcessStack() as stack:
        stack.start("lasting", ["sleep", "600"], tmp_path / "lasting")
        stack.check()
        ended = stack.start("short", ["true"], tmp_path / "short")
        ended.wait(60)
        with pytest.raises(ProcessError, match="short ended with exit code 0"):
            stack.check()


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    child = ChildProcess.start("child", ["sleep", "600"], tmp_path / "log")
    child.stop()
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    with ProcessStack() as stack:
        thread = threading.Thread(target=stack.start, args=("child", ["sleep", "600"], tmp_path / "log"))
        thread.start()
        thread.join()
        other = stack.start("other", ["sleep", "0.3"], tmp_path / "other")
        other.wait(60)
        with pytest.raises(ProcessError, match="other"):  # and not the one before it in the stack
            stack.check()


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    command = python(STARTS_A_CHILD_AND_WAITS, tmp_path / "log")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        eventually(lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes()[:6])
        parent.kill()
    eventually(lambda: not running(child))
