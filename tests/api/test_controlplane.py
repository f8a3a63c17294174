from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import Rest, RestError
from sandbox.crds import argo_crds, install_crds


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + 3 * seconds  # for what never comes; a busy machine is no failure
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def exists(rest: Rest, path: str) -> bool:
    try:
        rest.call("GET", path)
    except RestError as error:
        assert error.status == 404
        return False
    return True


def config_map(name: str, owner: dict[str, Any] | None = None) -> dict[str, Any]:
    owners = []
    if owner:
        names = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
        owners = [names | {"uid": owner["metadata"]["uid"]}]
    return {"metadata": {"name": name, "ownerReferences": owners}}


def create_workflow(plane: ControlPlane, namespace: str, name: str) -> dict[str, Any]:
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": {}}
    created: dict[str, Any] = plane.rest.call(
        "POST", f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows", body
    )
    return created


def test_the_server_says_the_version_that_it_is(plane: ControlPlane) -> None:
    assert plane.rest.call("GET", "/version")["gitVersion"] == "v1.34.4"


def test_the_kubeconfig_is_private_and_makes_its_reader_cluster_admin(plane: ControlPlane) -> None:
    assert plane.kubeconfig.stat().st_mode & 0o777 == 0o600
    review = {"spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}}}
    rest = Rest.from_kubeconfig(plane.kubeconfig)
    answer = rest.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert answer["status"]["allowed"]


def test_no_secret_is_on_a_command_line(plane: ControlPlane) -> None:
    lines = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if _readable(file)]
    assert any(b"kube-apiserver" in line for line in lines)
    assert not any(plane.token.encode() in line for line in lines)


def _readable(file: Path) -> bool:
    try:
        file.read_bytes()
    except OSError:
        return False
    return True


def test_an_object_goes_when_its_owner_goes(plane: ControlPlane, namespace: str) -> None:
    folder = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = plane.rest.call("POST", folder, config_map("owner"))
    plane.rest.call("POST", folder, config_map("owned", owner | {"apiVersion": "v1", "kind": "ConfigMap"}))
    plane.rest.call("DELETE", f"{folder}/owner")
    eventually(lambda: not exists(plane.rest, f"{folder}/owned"))


def test_an_object_goes_when_the_custom_resource_that_owns_it_goes(
    plane: ControlPlane, namespace: str
) -> None:
    folder = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = create_workflow(plane, namespace, "owner")
    plane.rest.call("POST", folder, config_map("owned", owner))
    plane.rest.call("DELETE", f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows/owner")
    eventually(lambda: not exists(plane.rest, f"{folder}/owned"))


def test_a_deleted_namespace_goes_with_all_that_is_in_it(plane: ControlPlane) -> None:
    namespace = "/api/v1/namespaces/leaving"
    plane.rest.call("POST", "/api/v1/namespaces", {"metadata": {"name": "leaving"}})
    plane.rest.call("POST", f"{namespace}/configmaps", config_map("content"))
    create_workflow(plane, "leaving", "content")
    plane.rest.call("DELETE", namespace)
    eventually(lambda: not exists(plane.rest, namespace))


def test_a_service_account_can_do_only_what_it_is_allowed(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    plane.rest.call(
        "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "reader"}}
    )
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    plane.rest.call("POST", f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    binding = {"metadata": {"name": "reader"}, "subjects": [subject], "roleRef": role}
    plane.rest.call("POST", f"{rbac}/rolebindings", binding)
    kubeconfig = plane.kubeconfig_for_service_account(namespace, "reader", tmp_path / "reader.kubeconfig")

    reader = Rest.from_kubeconfig(kubeconfig)

    eventually(lambda: reader.answers(f"/api/v1/namespaces/{namespace}/configmaps"))
    for path in (f"/api/v1/namespaces/{namespace}/secrets", "/api/v1/configmaps"):
        with pytest.raises(RestError) as refused:
            reader.call("GET", path)
        assert refused.value.status == 403
    assert kubeconfig.stat().st_mode & 0o777 == 0o600


def test_a_caller_without_a_valid_token_is_refused(plane: ControlPlane) -> None:
    with pytest.raises(RestError) as refused:
        Rest(plane.server, "invented", plane.ca_file.read_text()).call("GET", "/api/v1/namespaces")
    assert refused.value.status == 401


def test_pod_security_is_enforced(plane: ControlPlane) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    plane.rest.call("POST", "/api/v1/namespaces", {"metadata": {"name": "restricted", "labels": labels}})
    eventually(lambda: exists(plane.rest, "/api/v1/namespaces/restricted/serviceaccounts/default"))
    container = {"name": "root", "image": "image", "securityContext": {"privileged": True}}
    with pytest.raises(RestError, match="violates PodSecurity"):
        plane.rest.call(
            "POST",
            "/api/v1/namespaces/restricted/pods",
            {"metadata": {"name": "root"}, "spec": {"containers": [container]}},
        )


@pytest.mark.slow
def test_a_second_plane_beside_the_first_one_is_another_one_and_keeps_its_objects_over_restarts(
    plane: ControlPlane, tmp_path: Path
) -> None:
    folder = tmp_path / "with a space"
    log = folder / "audit.jsonl"
    path = "/api/v1/namespaces/default/configmaps"
    with ControlPlane.started(folder, audit_log=log) as second:
        assert second.server != plane.server
        install_crds(second.kubeconfig, argo_crds())
        install_crds(second.kubeconfig, argo_crds())  # again is harmless
        second.rest.call("POST", path, config_map("kept"))
        assert not exists(plane.rest, f"{path}/kept")

        server = second.server
        second.restart_apiserver()

        assert second.server == server
        assert exists(second.rest, f"{path}/kept")
        second.check()

    assert _audited(log, "create", "configmaps") == ["admin"]
    with ControlPlane.started(folder) as again:
        assert exists(again.rest, f"{path}/kept")


def _audited(log: Path, verb: str, resource: str) -> list[str]:
    events = [json.loads(line) for line in log.read_text().splitlines()]
    chosen = [each for each in events if each["verb"] == verb]
    return [each["user"]["username"] for each in chosen if each["objectRef"]["resource"] == resource]


@pytest.mark.slow
@pytest.mark.parametrize(
    "ending", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda each: each.name
)
def test_nothing_is_left_running_when_the_program_is_ended(ending: signal.Signals, tmp_path: Path) -> None:
    """Also where a shell put it into the background, with SIGINT ignored."""
    in_background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    command = [sys.executable, "-m", "sandbox.controlplane", "--directory", str(tmp_path / "plane")]
    with (tmp_path / "out").open("wb") as out:
        program = subprocess.Popen(
            [*in_background, *command], stdout=out, stderr=out, cwd=Path(__file__).parents[2]
        )
    try:
        eventually(lambda: "kubeconfig" in (tmp_path / "out").read_text(), 60.0)
        running = _children(program.pid)
        assert len(running) == 3
        os.kill(program.pid, ending)
        program.wait(60)
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in running))
    finally:
        program.kill()
        program.wait()


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
