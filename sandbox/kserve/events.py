"""Events about an InferenceService: for some failures the only place that tells."""

from __future__ import annotations

import contextlib

from sandbox.kserve import manifests
from sandbox.kserve.cluster import EVENTS, ApiError, Cluster
from sandbox.kserve.containers import now
from sandbox.kserve.spec import GROUP, VERSION, InferenceService

MANAGER = "manager"


async def warn(cluster: Cluster, isvc: InferenceService, reason: str, message: str) -> None:
    """A Warning about the InferenceService; not repeated (a real one counts repetitions)."""
    name = f"{isvc.name}.{manifests.template_hash({'uid': isvc.uid, 'reason': reason, 'message': message})}"
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": isvc.namespace},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "source": {"component": "v1beta1Controllers"},
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "count": 1,
        "involvedObject": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "InferenceService",
            "name": isvc.name,
            "namespace": isvc.namespace,
            "uid": isvc.uid,
        },
    }
    with contextlib.suppress(ApiError):
        await cluster.create(EVENTS, body, MANAGER)
