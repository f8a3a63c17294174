"""An operator's process before these tests' control plane, with the rights of manifests/rbac.yaml and no others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.credentials import write_kubeconfig
from tests.api.operator_path.forked import ForkedOperator
from tests.harness.process import OperatorProcess
from tests.harness.proxy import Proxy

NAMESPACE, ACCOUNT = "trainandserve", "trainandserve"


def start(
    plane: ControlPlane, token: str, proxy: Proxy, folder: Path, settings: Mapping[str, str]
) -> OperatorProcess:
    """Start an operator that reaches the API server through a proxy."""
    kubeconfig = folder / "kubeconfig"
    write_kubeconfig(
        kubeconfig, server=proxy.url, ca_file=plane.ca_file, token=token, user=ACCOUNT, namespace="default"
    )
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TAS_"))}
    environment = {**own, "KUBECONFIG": str(kubeconfig), **settings}
    return OperatorProcess(ForkedOperator.start(folder / "operator.log", environment), proxy)
