"""Where the control plane's programs come from, in order; each is looked for by itself.

1. The folder `$KUBEBUILDER_ASSETS`, taken as it is. It often lacks the controller manager.
2. The cache folder.
3. Kubernetes' release, where the network allows, checked against a known checksum; into the cache folder.
4. A build from Go modules, into the cache folder: minutes, once.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.controlplane import release
from sandbox.controlplane.cache import cache_folder, keep, kept, locked
from sandbox.controlplane.golang import Go
from sandbox.controlplane.versions import (
    API_SERVER,
    CONTROLLER_MANAGER,
    ETCD,
    KUBERNETES_VERSION,
    PROGRAMS,
)


@dataclass(frozen=True)
class Binaries:
    """The three programs of a control plane."""

    etcd: Path
    api_server: Path
    controller_manager: Path


def print_progress(line: str) -> None:
    print(f"control plane: {line}", file=sys.stderr, flush=True)


def find_or_build(say: Callable[[str], None] = print_progress) -> Binaries:
    """The programs, from the first place that has each; built where no place has it.

    Raises
    ------
    GoError
        If one has to be built and cannot be.
    """
    found = find()
    if missing := [name for name in PROGRAMS if name not in found]:
        with locked(binaries_folder(), say):
            found = find()  # another process may have made them meanwhile
            missing = [name for name in PROGRAMS if name not in found]
            if missing:
                _make(missing, say)
        found = find()
    return Binaries(found[ETCD], found[API_SERVER], found[CONTROLLER_MANAGER])


def find() -> Mapping[str, Path]:
    """The programs that are at hand without doing anything."""
    places = ((name, file) for name in PROGRAMS for file in (_from_kubebuilder(name), _from_cache(name)))
    found: dict[str, Path] = {}
    for name, file in places:
        if file is not None:
            found.setdefault(name, file)
    return found


def binaries_folder() -> Path:
    """The part of the cache folder for this version on this kind of machine."""
    return cache_folder() / "controlplane" / f"v{KUBERNETES_VERSION}-{sys.platform}-{_machine()}"


def _machine() -> str:
    """This machine's architecture, as Go calls it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _from_kubebuilder(name: str) -> Path | None:
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    file = Path(folder or ".", name).absolute()
    return file if folder and os.access(file, os.X_OK) else None


def _from_cache(name: str) -> Path | None:
    file = binaries_folder() / name
    return file if kept(file) else None


def _make(names: list[str], say: Callable[[str], None]) -> None:
    say(f"getting {', '.join(names)} of Kubernetes {KUBERNETES_VERSION}, once")
    with tempfile.TemporaryDirectory(prefix=".making-", dir=binaries_folder()) as scratch:
        folder = Path(scratch)
        had = release.download(names, folder, _machine(), say) if sys.platform == "linux" else []
        if to_build := [name for name in names if name not in had]:
            Go.find().build(to_build, folder, say)
        for name in names:
            keep(folder / name, binaries_folder() / name)
    say(f"kept in {binaries_folder()}")
