"""The versions that the sandbox's control plane is made of; go/go.mod requires the same."""

from __future__ import annotations

KUBERNETES_VERSION = "1.34.4"
OLDEST_GO = (1, 24)  # the go line of go/go.mod

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
PROGRAMS = (ETCD, API_SERVER, CONTROLLER_MANAGER)
