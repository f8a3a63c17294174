from __future__ import annotations

import json
import socket
import stat
import sys
from pathlib import Path

import pytest

from sandbox.controlplane import plane as plane_module
from sandbox.controlplane.binaries import Binaries
from sandbox.controlplane.credentials import ADMIN, CONTROLLERS, Credentials, write_kubeconfig
from sandbox.controlplane.plane import ControlPlane
from sandbox.controlplane.rest import Rest
from sandbox.processes import ProcessError, ProcessStack

LISTENS = """
import socket, sys, time
with socket.socket() as listener:
    try:
        listener.bind(("127.0.0.1", int(sys.argv[1])))
    except OSError as error:
        sys.exit(f"listen tcp: bind: {error.strerror.lower()}")
    listener.listen()
    time.sleep(600)
"""


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def listener(port: int) -> list[str]:
    return [sys.executable, "-c", LISTENS, str(port)]


def make(tmp_path: Path, stack: ProcessStack) -> ControlPlane:
    return ControlPlane(tmp_path, Binaries(Path("e"), Path("a"), Path("c")), stack, None, ())


def test_a_port_that_was_taken_in_between_is_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken, ProcessStack() as stack:
        taken.bind(("127.0.0.1", 0))
        ports = iter([taken.getsockname()[1], taken.getsockname()[1], plane_module.free_port()])
        monkeypatch.setattr(plane_module, "free_port", lambda: next(ports))
        child, port = make(tmp_path, stack)._run("program", listener, answers, 0)
        assert port != taken.getsockname()[1]
        assert child.alive
        stack.check()  # the failed attempts are off the stack


def test_a_wanted_port_that_stays_taken_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as taken, ProcessStack() as stack:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ProcessError, match="address already in use"):
            make(tmp_path, stack)._run("program", listener, lambda port: False, taken.getsockname()[1])


def test_another_failure_is_not_tried_again(tmp_path: Path) -> None:
    with ProcessStack() as stack:
        with pytest.raises(ProcessError, match="bad flag"):
            make(tmp_path, stack)._run(
                "program", lambda port: ["sh", "-c", "echo bad flag; exit 1"], lambda port: False, 0
            )
    assert (tmp_path / "logs" / "program.log").read_text() == "bad flag\n"


def test_a_plane_whose_store_does_not_start_says_why(tmp_path: Path) -> None:
    broken = Binaries(Path("/no/such/etcd"), Path("/no/such/api-server"), Path("/no/such/controllers"))
    with pytest.raises(ProcessError, match=r"etcd ended(.|\n)*cannot start /no/such/etcd"):
        with ControlPlane.started(tmp_path, binaries=broken):
            pass


def test_credentials_are_private_and_stay_the_same(tmp_path: Path) -> None:
    first = Credentials.in_folder(tmp_path / "credentials")
    secret = [first.server_key, first.service_account_key, first.token_file]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in secret)
    assert stat.S_IMODE(first.folder.stat().st_mode) == 0o700
    before = (first.token(ADMIN), first.ca_file.read_bytes())
    again = Credentials.in_folder(tmp_path / "credentials")
    assert (again.token(ADMIN), again.ca_file.read_bytes()) == before
    assert again.token(CONTROLLERS) != again.token(ADMIN)


def test_a_kubeconfig_is_read_back_as_written_and_private(tmp_path: Path) -> None:
    ca_file = Credentials.in_folder(tmp_path / "credentials").ca_file
    file = tmp_path / "some" / "kubeconfig"
    write_kubeconfig(
        file, server="https://127.0.0.1:1", ca_file=ca_file, token="hidden", user="u", namespace="n"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Rest.from_kubeconfig(file) == Rest("https://127.0.0.1:1", "hidden", ca_file.read_text())
    assert "hidden" not in repr(Rest.from_kubeconfig(file))
    assert json.loads(file.read_text())["contexts"][0]["context"]["namespace"] == "n"


def test_a_kubeconfig_without_a_token_is_refused(tmp_path: Path) -> None:
    config = {"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}]}
    config |= {"clusters": [{"name": "k", "cluster": {}}], "users": [{"name": "u", "user": {}}]}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="holds no token"):
        Rest.from_kubeconfig(tmp_path / "kubeconfig")
