"""Kubernetes events about a resource: what `kubectl describe` shows below its status."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from uuid import uuid4

from .gateways.errors import GatewayError
from .gateways.kubernetes import Kubernetes
from .plan import Note
from .resource import API_VERSION, KIND, TrainAndServe

logger = logging.getLogger(__name__)

_LIMIT = 1024
"""Longest message that the API server takes."""


async def send(kubernetes: Kubernetes, resource: TrainAndServe, note: Note) -> None:
    """Send one event; a failure is logged and changes nothing: the status says the same."""
    namespace, name = resource.key
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{uuid4().hex[:16]}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": name,
            "namespace": namespace,
            "uid": resource.metadata.uid,
            "resourceVersion": resource.metadata.resource_version,
        },
        "type": note.type,
        "reason": note.reason,
        "message": note.message[:_LIMIT],
        "source": {"component": "trainandserve"},
        "reportingComponent": "trainandserve",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await kubernetes.create(f"/api/v1/namespaces/{namespace}/events", body)
    except GatewayError as error:
        logger.warning("event %s could not be sent: %s", note.reason, error.message)
