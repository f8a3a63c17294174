"""What runs a pod's containers: the interface, and real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandbox.kserve import model_server, storage
from sandbox.kserve.forks import ForkedProcess, Main, prepare

POLL_SECONDS = 0.05
GRACE_SECONDS = 5.0
MAX_LOG = 2048  # bytes of a log that become a termination message, as in Kubernetes


@dataclass(frozen=True)
class Exit:
    """How a container ended.

    Attributes
    ----------
    code
        Exit code; 128 + number for a signal.
    log
        The end of its output.
    """

    code: int
    log: str = ""


class Container(Protocol):
    """A running model server."""

    @property
    def container_id(self) -> str: ...

    @property
    def url(self) -> str | None:
        """Where it will listen, once that is known; None before."""

    async def wait(self) -> Exit:
        """Wait until it has ended, for whatever reason."""

    async def stop(self) -> None:
        """SIGTERM, a grace, SIGKILL. Again is harmless."""

    def kill(self) -> None:
        """SIGKILL, as tests do it: `wait` then says 137."""


class Servers(Protocol):
    """Runs the two containers of a predictor's pod."""

    async def initialize(self, pod: str, uri: str, environment: Mapping[str, str]) -> Exit:
        """Run the storage initializer of `pod` (a uid) into an empty folder; an exit code of 0 is success."""

    async def serve(self, pod: str, model: str, environment: Mapping[str, str]) -> Container:
        """Start the model server on what `initialize` brought."""

    async def forget(self, pod: str) -> None:
        """Remove what the pod left on disk."""

    async def close(self) -> None:
        """Release what is held for all pods."""


class Folders:
    """A folder for every pod, in a working directory that is removed if it was made here."""

    def __init__(self, workdir: Path | None) -> None:
        self._made = workdir is None
        self._root = None if workdir is None else workdir / "pods"

    def pod(self, pod: str) -> Path:
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="kserve-"))
        return self._root / pod

    def emptied(self, pod: str) -> Path:
        folder = self.pod(pod) / "models"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def remove(self, pod: str) -> None:
        shutil.rmtree(self.pod(pod), ignore_errors=True)

    def close(self) -> None:
        if self._made and self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None


def container_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Our own environment without its S3 access, and with what the container is given."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AWS_", "S3_")) and key != "awsAnonymousCredential"
    }
    closed = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONUNBUFFERED": "1",
    }
    return inherited | closed | dict(given)


class ProcessContainer:
    """A model server in a process of its own."""

    def __init__(self, child: ForkedProcess, port_file: Path) -> None:
        self._child, self._port_file = child, port_file

    @property
    def container_id(self) -> str:
        return f"process://{self._child.pid}"

    @property
    def url(self) -> str | None:
        with contextlib.suppress(FileNotFoundError):
            return f"http://127.0.0.1:{self._port_file.read_text()}"
        return None

    async def wait(self) -> Exit:
        return await _ended(self._child)

    async def stop(self) -> None:
        await asyncio.to_thread(self._child.stop)

    def kill(self) -> None:
        self._child.kill()


async def _ended(child: ForkedProcess) -> Exit:
    while (code := child.exit_code) is None:  # noqa: ASYNC110 - a process has no event to wait for
        await asyncio.sleep(POLL_SECONDS)
    return Exit(code if code >= 0 else 128 - code, _last(child.output()))


def _last(output: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", output)[-MAX_LOG:]


class ProcessServers:
    """The storage initializer and KServe's Python server as processes. Logs are kept per pod in `workdir`."""

    def __init__(self, workdir: Path | None = None) -> None:
        self._folders = Folders(workdir)
        self._children: set[ForkedProcess] = set()
        prepare()  # until the first pod comes, the imports are done

    async def _start(
        self, pod: str, name: str, main: Main, arguments: list[str], given: Mapping[str, str]
    ) -> ForkedProcess:
        log = self._folders.pod(pod) / f"{name}.log"
        environment = container_environment(given)
        child = await asyncio.to_thread(ForkedProcess.start, main, arguments, log, environment, GRACE_SECONDS)
        self._children = {one for one in self._children if one.alive} | {child}
        return child

    async def initialize(self, pod: str, uri: str, environment: Mapping[str, str]) -> Exit:
        folder = self._folders.emptied(pod)
        child = await self._start(pod, "storage", storage.main, [uri, str(folder)], environment)
        try:
            return await _ended(child)
        finally:
            await asyncio.to_thread(child.stop)

    async def serve(self, pod: str, model: str, environment: Mapping[str, str]) -> ProcessContainer:
        port_file = self._folders.pod(pod) / "port"
        port_file.unlink(missing_ok=True)
        models = self._folders.pod(pod) / "models"
        arguments = [model, str(models), str(port_file)]
        child = await self._start(pod, "model_server", model_server.main, arguments, environment)
        return ProcessContainer(child, port_file)

    async def forget(self, pod: str) -> None:
        await asyncio.to_thread(self._folders.remove, pod)

    async def close(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(child.stop) for child in self._children))
        self._folders.close()
