"""The images that the Dockerfile makes, by buildah, and their root folders.

Where no registry of images answers, Debian's own packages make the base: the same release, the same minor version of Python.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PREFIX = "localhost/trainandserve-check"
DEBIAN = "bookworm"
PACKAGES = ("python3", "python3-venv", "python3-pip", "ca-certificates")
_PIP_CONF, _PIP_CA = "TRAINANDSERVE_IMAGE_PIP_CONF", "TRAINANDSERVE_IMAGE_PIP_CA"


@dataclass(frozen=True)
class Image:
    """An image with its files.

    Attributes
    ----------
    root
        The folder that a container of it begins with.
    """

    name: str
    root: Path
    user: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: dict[str, str]
    folder: str

    def size(self) -> float:
        """All files together, in MB."""
        done = _run("du", "--summarize", "--block-size=1", "--one-file-system", str(self.root))
        return int(done.split()[0]) / 1e6


def why_not() -> str:
    """Why no image can be made here; empty if one can."""
    if os.geteuid() != 0:
        return "mounts need root"
    missing = [name for name in ("buildah", "debootstrap", "unshare", "setpriv") if not shutil.which(name)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def base() -> str:
    """The Dockerfile's own base if its registry answers, else one of Debian's packages."""
    text = (ROOT / "Dockerfile").read_text()
    named = next(line.removeprefix("ARG BASE=") for line in text.splitlines() if line.startswith("ARG BASE="))
    if _silent("buildah", "pull", "--quiet", "--policy", "missing", f"docker.io/library/{named}"):
        return named
    made = f"{PREFIX}/base:{DEBIAN}"
    if not _silent("buildah", "inspect", "--type", "image", made):
        _make_base(made)
    return made


def _make_base(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="trainandserve-base-") as folder:
        root = Path(folder, "root")
        _run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", DEBIAN, str(root))
        for left in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(root / left, ignore_errors=True)
        container = _run("buildah", "from", "scratch")
        try:
            _run("buildah", "add", "--quiet", container, str(root), "/")
            _run("buildah", "config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", container)
            _run("buildah", "commit", "--quiet", container, name)
        finally:
            _run("buildah", "rm", container)


def build(target: str, on: str) -> str:
    """Make an image by `make image`'s own program; its name."""
    command = [sys.executable, str(ROOT / ".ci" / "image.py"), "--prefix", PREFIX, "--tag", "check"]
    command += ["--base", on, "--target", target]
    for option, variable in (("--pip-conf", _PIP_CONF), ("--pip-ca", _PIP_CA)):
        command += [option, os.environ[variable]] if variable in os.environ else []
    subprocess.run(command, check=True, env=os.environ | {"DOCKER_HOST": "unix:///nowhere"})
    return f"{PREFIX}/{target}:check"


@contextlib.contextmanager
def opened(name: str) -> Iterator[Image]:
    """An image's files, as long as they are needed."""
    config: dict[str, Any] = json.loads(_run("buildah", "inspect", "--type", "image", name))["OCIv1"][
        "config"
    ]
    container = _run("buildah", "from", "--pull-never", name)
    try:
        root = Path(_run("buildah", "mount", container))
        yield Image(
            name=name,
            root=root,
            user=config["User"],
            command=tuple(config.get("Entrypoint", ())),
            arguments=tuple(config.get("Cmd", ())),
            environment=dict(one.split("=", 1) for one in config["Env"]),
            folder=config.get("WorkingDir") or "/",
        )
    finally:
        _run("buildah", "rm", container)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _silent(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
