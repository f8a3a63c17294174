"""The command lines of the control plane's programs; no secret is in one, all of those are in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.controlplane.credentials import CONTROLLERS as CONTROLLERS_USER
from sandbox.controlplane.credentials import Credentials

LOOPBACK = "127.0.0.1"
CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
)
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": ["system:apiserver", "system:anonymous", CONTROLLERS_USER]},
        {"level": "Metadata"},
    ],
}


def etcd(program: Path, data: Path, port: int, peer_port: int) -> list[str]:
    """A store of one member, which need not survive a power cut."""
    client, peer = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{peer_port}"
    return [
        str(program),
        f"--data-dir={data}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
    ]


def api_server(program: Path, credentials: Credentials, port: int, etcd_port: int) -> list[str]:
    """An API server with RBAC, static tokens, the default admission and one more.

    OwnerReferencesPermissionEnforcement is off by default and on in OpenShift and others: who blocks the deletion of an owner needs a
    right on that owner's finalizers.
    """
    return [
        str(program),
        f"--etcd-servers=http://{LOOPBACK}:{etcd_port}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--tls-cert-file={credentials.server_certificate}",
        f"--tls-private-key-file={credentials.server_key}",
        f"--token-auth-file={credentials.token_file}",
        "--authorization-mode=RBAC",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        "--allow-privileged=true",  # as clusters do; the admission of PodSecurity decides
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={credentials.service_account_key}",
        f"--service-account-signing-key-file={credentials.service_account_key}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
    ]


def audit(log: Path, folder: Path, resources: Sequence[str] = ()) -> list[str]:
    """What the API server needs besides to write `log`; its policy goes into `folder`.

    Parameters
    ----------
    resources
        Of the core group; requests for others are not written. Empty: all are.
    """
    policy = folder / "audit-policy.json"
    *others, last = AUDIT_POLICY["rules"]
    if resources:
        last = {**last, "resources": [{"group": "", "resources": list(resources)}]}
    policy.write_text(json.dumps(AUDIT_POLICY | {"rules": [*others, last]}))
    return [f"--audit-log-path={log}", f"--audit-policy-file={policy}"]


def controller_manager(program: Path, credentials: Credentials, kubeconfig: Path, port: int) -> list[str]:
    """The controllers that tests and stand-ins rely on; the stand-ins play the others."""
    return [
        str(program),
        f"--controllers={','.join(CONTROLLERS)}",
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--tls-cert-file={credentials.server_certificate}",
        f"--tls-private-key-file={credentials.server_key}",
        f"--root-ca-file={credentials.ca_file}",
    ]
