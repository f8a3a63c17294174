"""What answers ``/api/v1/query`` on one machine: a Prometheus where there is one, else a stand-in for a part of it."""

from sandbox.prometheus.server import Monitor

__all__ = ["Monitor"]
