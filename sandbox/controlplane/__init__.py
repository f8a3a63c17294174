"""A real Kubernetes control plane on one machine, without Docker: etcd, API server, four controllers."""

from sandbox.controlplane.binaries import Binaries, find_or_build
from sandbox.controlplane.plane import ControlPlane

__all__ = ["Binaries", "ControlPlane", "find_or_build"]
