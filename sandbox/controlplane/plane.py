"""One control plane: etcd, the API server and four of Kubernetes' controllers, on loopback, in one folder."""

from __future__ import annotations

import contextlib
import functools
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sandbox.controlplane import commands
from sandbox.controlplane.binaries import Binaries, find_or_build
from sandbox.controlplane.credentials import ADMIN, CONTROLLERS, Credentials, write_kubeconfig
from sandbox.controlplane.custom_resources import install
from sandbox.controlplane.rest import Rest
from sandbox.processes import ChildProcess, ProcessError, ProcessStack

START_SECONDS = 60.0
# The API server has stored all it will within milliseconds of SIGTERM, then lingers for idle connections; the
# controllers and the store hold nothing that a kill would lose.
STOP_SECONDS = 1.0
PORT_ATTEMPTS = 5
PORT_TAKEN = "address already in use"


def free_port() -> int:
    """A loopback port that was free a moment ago; another process may take it before its user does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ControlPlane:
    """A running control plane; made by `ControlPlane.started`.

    Attributes
    ----------
    kubeconfig
        A file that makes its reader cluster-admin.
    server
        URL of the API server.
    token
        The admin's bearer token.
    ca_file
        What signed the API server's certificate (PEM).
    logs
        The folder of the programs' logs.
    audit_log
        Who asked for what; None where it is not written.
    store
        URL of etcd, which asks nobody who they are: for putting in what an earlier release stored.
    """

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        stack: ProcessStack,
        audit_log: Path | None,
        audited: Sequence[str],
    ) -> None:
        self._folder = folder
        self._binaries = binaries
        self._stack = stack
        self.audit_log = audit_log
        self._audited = audited
        self._credentials = Credentials.in_folder(folder / "credentials")
        self.kubeconfig = folder / "kubeconfig"
        self.logs = folder / "logs"
        self.ca_file = self._credentials.ca_file
        self.token = self._credentials.token(ADMIN)
        self.server = ""
        self.store = ""

    @classmethod
    @contextlib.contextmanager
    def started(
        cls,
        directory: Path,
        *,
        audit_log: Path | None = None,
        audited: Sequence[str] = (),
        crds: Iterable[dict[str, Any]] = (),
        port: int = 0,
        binaries: Binaries | None = None,
    ) -> Iterator[ControlPlane]:
        """Start a control plane in `directory`, and stop it at the end of the `with` block.

        A directory that has served before keeps its objects, credentials and (if given) port.

        Parameters
        ----------
        audit_log
            Where the API server writes one JSON line per request (who, what, answer; no bodies); off if None.
        audited
            Resources of the core group, requests for which are written there; all requests if empty.
        crds
            Custom resource definitions to install before the controllers start. The garbage collector looks
            for new kinds only every 30 s, so those installed later are not collected at once.
        port
            The API server's; any free one if 0.
        binaries
            The programs; found, or built, if None.

        Raises
        ------
        ProcessError
            If a program does not start, with the tail of its log.
        GoError
            If the programs have to be built and cannot be.
        """
        folder = directory.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessStack() as stack:
            log = audit_log and audit_log.absolute()
            plane = cls(folder, binaries or find_or_build(), stack, log, audited)
            try:
                plane._start(list(crds), port)
                yield plane
            finally:
                stack.stop()

    @property
    def rest(self) -> Rest:
        """Plain calls as the admin."""
        return Rest(self.server, self.token, self.ca_file.read_text())

    def check(self) -> None:
        """Raise ProcessError if one of its programs has ended."""
        self._stack.check()

    def restart_apiserver(self) -> None:
        """Stop the API server and start it again on the same port; the store and its objects stay."""
        self._stack.drop(self._api_server)
        self._start_api_server(self._api_port)

    def kubeconfig_for_service_account(
        self, namespace: str, name: str, path: Path, *, expiration_seconds: int = 24 * 3600
    ) -> Path:
        """Write a kubeconfig (mode 0600) that acts as a service account, and return its path.

        Raises
        ------
        RestError
            If there is no such service account (404).
        """
        token = self.rest.call(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": expiration_seconds},
            },
        )["status"]["token"]
        self._write_kubeconfig(path, name, token, namespace)
        return path

    def _start(self, crds: Sequence[dict[str, Any]], port: int) -> None:
        self._start_etcd()
        self._start_api_server(port)
        self._write_kubeconfig(self.kubeconfig, ADMIN)
        install(self.rest, crds)
        self._start_controller_manager()

    def _write_kubeconfig(
        self, file: Path, user: str, token: str | None = None, namespace: str = "default"
    ) -> None:
        token = token or self._credentials.token(user)
        write_kubeconfig(
            file, server=self.server, ca_file=self.ca_file, token=token, user=user, namespace=namespace
        )

    def _start_etcd(self) -> None:
        def command(port: int) -> list[str]:
            return commands.etcd(self._binaries.etcd, self._folder / "etcd", port, free_port())

        def listening(port: int) -> bool:
            return Rest(f"http://127.0.0.1:{port}").answers("/readyz")

        _, port = self._run("etcd", command, listening, 0)
        self._etcd_port = port
        self.store = f"http://127.0.0.1:{port}"

    def _start_api_server(self, wanted_port: int) -> None:
        audit = commands.audit(self.audit_log, self._folder, self._audited) if self.audit_log else []

        def command(port: int) -> list[str]:
            program = self._binaries.api_server
            return commands.api_server(program, self._credentials, port, self._etcd_port) + audit

        def ready(port: int) -> bool:
            self.server = f"https://127.0.0.1:{port}"
            return self.rest.answers("/readyz")

        self._api_server, self._api_port = self._run("kube-apiserver", command, ready, wanted_port)

    def _start_controller_manager(self) -> None:
        kubeconfig = self._folder / "controller-manager.kubeconfig"
        self._write_kubeconfig(kubeconfig, CONTROLLERS)

        def command(port: int) -> list[str]:
            return commands.controller_manager(
                self._binaries.controller_manager,
                self._credentials,
                kubeconfig,
                port,
            )

        def ready(port: int) -> bool:
            health = Rest(f"https://127.0.0.1:{port}", ca=self.ca_file.read_text())
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            return health.answers("/healthz") and self.rest.answers(account)

        self._run("kube-controller-manager", command, ready, 0)

    def _run(
        self, name: str, command: Callable[[int], list[str]], ready: Callable[[int], bool], wanted_port: int
    ) -> tuple[ChildProcess, int]:
        """Start a program that listens on `wanted_port`, or on a free one, and wait until it is ready.

        A port that somebody took between its choice and its use: another one, or the wanted one once more.
        """
        for attempt in range(1, PORT_ATTEMPTS + 1):
            port = wanted_port or free_port()
            child = self._stack.start(
                name,
                command(port),
                self.logs / f"{name}.log",
                grace=STOP_SECONDS,
                on_parent_death=signal.SIGKILL,
            )
            try:
                child.wait_until(functools.partial(ready, port), START_SECONDS)
            except ProcessError:
                if PORT_TAKEN not in child.output() or attempt == PORT_ATTEMPTS:
                    raise
                self._stack.drop(child)
            else:
                return child, port
        raise AssertionError("the last attempt returns or raises")
