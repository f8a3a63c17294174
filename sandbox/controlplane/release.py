"""Kubernetes' own release binaries, where the network lets us have them.

Only of the API server and the controller manager: etcd is released elsewhere, and built in half a minute.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import tarfile
import time
import urllib.request
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO

from sandbox.controlplane.versions import API_SERVER, CONTROLLER_MANAGER, KUBERNETES_VERSION

URL = f"https://dl.k8s.io/v{KUBERNETES_VERSION}/kubernetes-server-linux-{{machine}}.tar.gz"
# By machine, as CHANGELOG-1.34.md of kubernetes/kubernetes lists them.
SHA512 = {
    "amd64": "65c75e81e3ea488f6d42b493cad64d7577ddfa1e5372037a1c841ac069039997"
    "d359b5b2f2d44e7665bf04c48ed0065cf9d4c9801b1e63bb6a1b099ef00d4863",
    "arm64": "a1fad7060ed67b5634f32f3256a295179dd887dab5c82b8550c2eb62c69df34c"
    "fbb311c8f93e7608d558eba32b9e2ddc23976db39e512fd747cc6bf9b4c1765f",
}
TIMEOUT_SECONDS = 4.0  # to connect, and of silence: a build is the other way
PROGRESS_SECONDS = 5.0
CHUNK_BYTES = 1 << 20


def download(names: Collection[str], folder: Path, machine: str, say: Callable[[str], None]) -> list[str]:
    """Put those of the programs `names` into `folder` that the release holds.

    Returns
    -------
    list of str
        Their names; empty if there is no release for this machine, it cannot be had, or it is not the one whose
        checksum is known. `say` has been told why.
    """
    wanted = [name for name in names if name in (API_SERVER, CONTROLLER_MANAGER)]
    if not wanted or machine not in SHA512:
        return []
    archive = folder / "release.tar.gz"
    try:
        checksum = _fetch(URL.format(machine=machine), archive, say)
        if checksum != SHA512[machine]:
            say(f"the downloaded release has the SHA-512 {checksum}, expected {SHA512[machine]}: not used")
            return []
        return _extract(archive, wanted, folder)
    except (OSError, http.client.HTTPException, tarfile.TarError, EOFError) as error:
        say(f"no release binaries ({error})")
        return []
    finally:
        archive.unlink(missing_ok=True)


def _fetch(url: str, archive: Path, say: Callable[[str], None]) -> str:
    """Save `url` as `archive` and return its SHA-512."""
    digest = hashlib.sha512()
    opened = urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS)  # noqa: S310 - URL is https
    with opened as answer, archive.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        said = time.monotonic()
        while chunk := answer.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
            if time.monotonic() - said >= PROGRESS_SECONDS:
                said = time.monotonic()
                say(f"downloading {url}: {file.tell() >> 20} of {total >> 20} MiB")
    return digest.hexdigest()


def _extract(archive: Path, names: Collection[str], folder: Path) -> list[str]:
    places = {f"kubernetes/server/bin/{name}": name for name in names}
    found = []
    with tarfile.open(archive) as release:
        for member in release:
            content: IO[bytes] | None = release.extractfile(member) if member.name in places else None
            if content:
                file = folder / places[member.name]
                with content, file.open("wb") as program:
                    shutil.copyfileobj(content, program)
                file.chmod(0o755)
                found.append(file.name)
    return found
