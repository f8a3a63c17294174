"""Every check, one line a stage with its time, and what is wrong below a stage that fails.

    .venv/bin/python .ci/checks.py [STAGE…]

All stages run, whatever fails before; the exit code is 1 if one failed. The tests come last and are shown while they run. Those that
are marked slow are left to the build server, which says CI=true.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 3
# What no committed file may say. Requirement files name no index, and nothing names a folder of somebody's machine.
PATHS = re.compile(
    rf"(?<![\w.])(?:/home/(?!somebody)\w+|/root|/Users/\w+)/|{re.escape(str(ROOT))}\b|{re.escape(str(Path.home()))}/"
)
INDEXES = re.compile(
    r"^\s*(?:--(?:extra-)?index-url|--find-links|--trusted-host|-i\b|-f\b)|https?://", re.MULTILINE
)

Found = str
"""What is wrong; empty if nothing is."""


def _tool(*command: str) -> Found:
    """Run a module or program of the environment; its output if it fails."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return (
        "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"
    )


def _python(*arguments: str) -> Callable[[], Found]:
    return lambda: _tool(sys.executable, "-m", *arguments)


def imports() -> Found:
    return _tool(str(Path(sys.executable).with_name("lint-imports")), "--no-logo")


def crd_drift() -> Found:
    """Whether the definition in crds/ is what the models make."""
    done = subprocess.run(
        [sys.executable, "-m", "trainandserve", "crd"], cwd=ROOT, capture_output=True, check=False
    )
    if done.returncode != 0:
        return done.stderr.decode()
    same = done.stdout == (ROOT / "crds" / "trainandserves.yaml").read_bytes()
    return "" if same else "crds/trainandserves.yaml is not what the models say: run make crds, and commit it"


def files() -> Found:
    """Whether a committed file names a package index or a path of somebody's machine."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return f"git ls-files: {listed.stderr.strip()}"
    wrong = []
    for name in filter(None, listed.stdout.split("\0")):
        try:
            text = (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        patterns = [PATHS, INDEXES] if re.fullmatch(r"requirements/.*\.(txt|in)", name) else [PATHS]
        for pattern in patterns:
            wrong += [
                f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found.group().strip()}"
                for found in pattern.finditer(text)
            ]
    return "\n".join(wrong)


def tests() -> Found:
    """Run pytest, shown as it goes; it is a failure too if no test was executed."""
    with tempfile.TemporaryDirectory(prefix="trainandserve-checks-") as scratch:
        report = Path(scratch, "report.xml")
        command = [sys.executable, "-m", "pytest", "tests", "-q", "-n", str(WORKERS), "--dist", "worksteal"]
        if os.environ.get("CI") != "true":
            print("         without the slow ones: CI=true make test runs them too", flush=True)
            command += ["-m", "not campaign and not e2e and not slow"]
        code = subprocess.run(
            [*command, f"--junitxml={report}"], cwd=ROOT, check=False, stdin=subprocess.DEVNULL
        ).returncode
        if code != 0:
            return f"pytest ended with exit code {code}"
        suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - pytest's own
        executed = sum(int(suite.get("tests", 0)) - int(suite.get("skipped", 0)) for suite in suites)
    return "" if executed > 0 else "no test was executed"


STAGES: dict[str, Callable[[], Found]] = {
    "format": _python("ruff", "format", "--check", "--quiet", "--diff", "."),
    "lint": _python("ruff", "check", "--quiet", "."),
    "types": _python("mypy", "-p", "trainandserve", "-p", "trainer", "-p", "sandbox"),
    "imports": imports,
    "crds": crd_drift,
    "files": files,
    "tests": tests,
}


def main(names: list[str]) -> int:
    """Run the stages of these names, or all; 1 if one failed."""
    if unknown := set(names) - set(STAGES):
        print(f"no such stage: {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or STAGES:
        started = time.monotonic()
        if name == "tests":
            print("tests    …", flush=True)
        wrong = STAGES[name]()
        print(f"{name:8} {'FAILED' if wrong else 'ok':6} {time.monotonic() - started:6.1f} s", flush=True)
        if wrong:
            failed.append(name)
            print("\n".join(f"    {line}" for line in wrong.splitlines()), flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
