"""The examples of the documentation in the sandbox, by the commands that stand there, word for word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.api.test_sandbox import ROOT, Up, sandbox

pytestmark = pytest.mark.campaign

COMMAND_SECONDS = 600.0


def commands(page: str, words: str) -> list[str]:
    """The lines of the page's one block for a shell in which these words stand."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if words in block]
    return found.splitlines()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with sandbox(tmp_path_factory.mktemp("s") / "b") as running:
        yield running


def typed(up: Up, command: str) -> str:
    environment = {**os.environ, "KUBECONFIG": str(up.kubeconfig)}
    line = command.replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    print(f"$ {command}\n{done.stdout}{done.stderr}", flush=True)
    assert done.returncode == 0, f"the sandbox says\n{up.said}"
    return done.stdout


def test_a_recipe_of_ones_own_is_served(up: Up) -> None:
    *steps, uninstall = commands("examples/own-recipe/README.md", "nearest-centroid")
    try:
        said = [typed(up, command) for command in steps]
    finally:
        typed(up, uninstall)
    assert re.fullmatch(r"(a handwritten \d: the model says \d \([\d.]+%\)\n){3}", said[-1])
    right = re.findall(r"a handwritten (\d): the model says (\d)", said[-1])
    assert sum(truth == answer for truth, answer in right) >= 2


def test_a_table_is_served(up: Up) -> None:
    said = [typed(up, command) for command in commands("docs/trainer.md", "flowers.yaml")]
    assert "flowers: " in said[1]
    # Of the first row, the likeliest is the first of the species in the order of their names: setosa.
    assert re.search(r"^ *0 +0 ", said[-1], re.MULTILINE), said[-1]
