"""Every line of the threat model names tests, and those are there and are run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text()
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def threats() -> list[str]:
    """The rows of every table of threats."""
    tables = re.findall(r"^\| Threat \|.*?\n\| --- .*?\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [row for table in tables for row in table.splitlines()]


def named() -> list[tuple[str, str]]:
    return sorted(set(TEST.findall(PAGE)))


def test_the_threats_are_found() -> None:
    assert len(threats()) > 40 and len(named()) > 50


@pytest.mark.parametrize("row", threats(), ids=lambda row: row.split("|")[1].strip())
def test_a_threat_has_something_against_it_and_a_test_for_that(row: str) -> None:
    threat, against, tests = (cell.strip() for cell in row.strip("|").split("|"))
    assert threat and against
    assert TEST.fullmatch(tests.split(", ")[0]), tests
    assert all(TEST.fullmatch(one) for one in tests.split(", ")), tests


@pytest.mark.parametrize(("file", "name"), named(), ids=lambda part: part)
def test_a_test_that_is_named_is_there_and_not_left_out(file: str, name: str) -> None:
    functions = [
        node
        for node in ast.parse((ROOT / file).read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    assert Path(file).name.startswith("test_")  # pytest's own rule for what it collects
    assert functions, f"docs/security.md names {file}::{name}, which is not there"
    marks = [ast.unparse(mark) for mark in functions[-1].decorator_list]
    assert not [mark for mark in marks if "skip" in mark or "xfail" in mark or "campaign" in mark]


@pytest.mark.campaign  # it imports everything; the test above looks at the same by reading
def test_pytest_collects_all_that_is_named() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
    ]
    ids = [f"{file}::{name}" for file, name in named()]
    done = subprocess.run([*command, *ids], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    collected = {re.split(r"[\[ ]", line)[0] for line in done.stdout.splitlines() if "::" in line}
    assert collected == set(ids)
