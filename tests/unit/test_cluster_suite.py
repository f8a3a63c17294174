"""The suite for a whole cluster, where there is none: skipped at once, with the reason; and it needs nothing of the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "tests" / "cluster"

_WITHOUT_SANDBOX = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sandbox":
            raise ImportError("the suite imports " + name)

sys.meta_path.insert(0, Refused())
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_without_a_cluster_every_case_is_skipped_and_says_what_is_missing(tmp_path: Path) -> None:
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("TAS_", "PYTEST_")) and k != "KUBECONFIG"
    }
    command = [
        sys.executable,
        "-c",
        _WITHOUT_SANDBOX,
        str(SUITE),
        "-m",
        "e2e",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cases = sum(file.read_text().count("\nasync def test_") for file in SUITE.glob("test_*.py"))
    [last] = [line for line in done.stdout.splitlines() if " skipped in " in line]
    skipped = int(last.strip("= ").split()[0])
    assert skipped >= cases > 5, done.stdout
    for missing in ("TAS_E2E_STORAGE", "TAS_E2E_KFP_ENDPOINT", "KUBECONFIG"):
        assert missing in done.stdout, done.stdout
