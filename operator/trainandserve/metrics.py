"""Prometheus metrics of the operator."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from . import reasons
from .plan import Action, Note
from .resource import TrainAndServe

_TIMES = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)

PASSES = Counter("trainandserve_passes_total", "Passes over resources, by how they ended.", ["result"])
PASS_SECONDS = Histogram("trainandserve_pass_seconds", "Time that a pass took, in seconds.")
ACTIONS = Counter("trainandserve_actions_total", "Effects, by kind and how they ended.", ["action", "result"])
WRITES = Counter("trainandserve_writes_total", "Writes of a resource's own status.", ["what"])
NOTES = Counter("trainandserve_events_total", "Kubernetes events sent, by reason.", ["reason"])
QUEUE = Gauge("trainandserve_queue_depth", "Resources that wait for a pass.")
QUEUE_AGE = Gauge(
    "trainandserve_queue_oldest_seconds", "How long the resource that waits longest has waited for a pass."
)
LEADING = Gauge("trainandserve_leading", "1 while this process holds the lease.")
RESOURCES = Gauge("trainandserve_resources", "Resources, by phase.", ["phase"])
CONDITIONS = Gauge(
    "trainandserve_conditions",
    "Resources, by what a condition of theirs says.",
    ["type", "status", "reason"],
)
APPLY_TO_RUN = Histogram(
    "trainandserve_apply_to_run_seconds",
    "From the creation of a resource to its first run, in seconds.",
    buckets=_TIMES,
)
RUN_TO_SERVED = Histogram(
    "trainandserve_run_to_served_seconds",
    "From the end of a run to its version proven to serve, in seconds.",
    buckets=_TIMES,
)

__all__ = ["REGISTRY"]


def acted(action: Action, result: str) -> None:
    """Count an effect."""
    ACTIONS.labels(type(action).__name__, result).inc()


def written(what: str) -> None:
    """Count a write of a status."""
    WRITES.labels(what).inc()


def noted(resource: TrainAndServe, note: Note) -> None:
    """Count an event, and take the two times that users wait for."""
    NOTES.labels(note.reason).inc()
    run, served = resource.status.run, resource.status.served
    created = resource.metadata.creation_timestamp
    if (
        note.reason == reasons.RUN_STARTED
        and run
        and run.started_at
        and created
        and run.version == 1
        and run.attempt == 1
    ):
        APPLY_TO_RUN.observe((run.started_at - created).total_seconds())
    if (
        note.reason == reasons.VERSION_SERVED
        and run
        and served
        and run.finished_at
        and run.id == served.run_id
        and served.since
    ):
        RUN_TO_SERVED.observe((served.since - run.finished_at).total_seconds())
