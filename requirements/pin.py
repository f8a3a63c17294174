"""Resolve the `.in` files beside this one into `.txt` files: every package pinned, with checksums, for CPython 3.11 and newer.

    make pins [ARGS=--upgrade]

A version that is pinned stays unless `--upgrade` is given or an `.in` file forbids it. All files name the same
versions: the others take theirs from dev.txt. Which index is asked is the user's own setting, and the
files name none. Needs nothing but Python; the resolver (uv) is installed into a folder that is removed again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST_PYTHON = "3.11"


def main() -> int:
    """Write the files; whatever pip or uv returns if it fails."""
    with tempfile.TemporaryDirectory(prefix="trainandserve-pins-") as scratch:
        python = Path(scratch, "venv", "bin", "python")
        try:
            subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", "uv"], check=True)
            for name in ("dev", "operator", "cli", "trainer", "build"):
                constraints = [] if name == "dev" else ["--constraints", "dev.txt"]
                _compile(python, name, [*constraints, *sys.argv[1:]])
        except subprocess.CalledProcessError as error:
            return error.returncode
    return 0


def _compile(python: Path, name: str, options: list[str]) -> None:
    command = [str(python), "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--python-version", OLDEST_PYTHON, "--no-header", "--no-annotate", "--no-emit-index-url"]
    command += ["--no-emit-find-links", f"{name}.in", "--output-file", f"{name}.txt", *options]
    environment = {**os.environ, **_index_of_pip(python)}
    subprocess.run(command, cwd=HERE, env=environment, check=True)
    print(f"requirements/{name}.txt is written", flush=True)


def _index_of_pip(python: Path) -> dict[str, str]:
    """What pip is told about indexes, said to uv, which does not read pip's settings."""
    told = {}
    for key, variable in (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")):
        for section in ("install", "global", ":env:"):
            found = subprocess.run(
                [str(python), "-m", "pip", "config", "get", f"{section}.{key}"],
                check=False,
                capture_output=True,
                text=True,
            )
            if found.returncode == 0 and variable not in os.environ:
                told[variable] = found.stdout.strip()
    return told


if __name__ == "__main__":
    sys.exit(main())
