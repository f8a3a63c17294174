"""KServe on one machine: plays KServe v0.20 (Standard and Knative mode), the deployment controller and the kubelet."""

from sandbox.kserve.controller import KServe
from sandbox.kserve.fakes import FakeServers
from sandbox.kserve.kubelet import Pace
from sandbox.kserve.servers import ProcessServers

__all__ = ["FakeServers", "KServe", "Pace", "ProcessServers"]
