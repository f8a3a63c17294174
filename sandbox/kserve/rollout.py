"""The deployment controller's decisions: which pods to start and stop, and what the Deployment says. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SURGE = UNAVAILABLE = 0.25


@dataclass(frozen=True)
class PodView:
    """A pod that is not going away."""

    name: str
    template_hash: str
    ready: bool


@dataclass(frozen=True)
class Rollout:
    """Pods of the wanted template to create, and pods to delete, by name."""

    create: int
    delete: tuple[str, ...]


def decide(pods: Sequence[PodView], wanted: str, replicas: int) -> Rollout:
    """One step of a rolling update with 25% surge (rounded up) and 25% unavailable (rounded down).

    Old pods that are not ready go first; old pods that serve go only as new ones become ready.
    """
    new = [pod for pod in pods if pod.template_hash == wanted]
    old = [pod for pod in pods if pod.template_hash != wanted]
    surge, unavailable = math.ceil(replicas * SURGE), math.floor(replicas * UNAVAILABLE)
    create = max(0, min(replicas - len(new), replicas + surge - len(pods)))
    if len(new) > replicas:
        spare = sorted(new, key=lambda pod: pod.ready)[: len(new) - replicas]
        return Rollout(0, tuple(pod.name for pod in spare))
    may_go = len(pods) - (replicas - unavailable) - sum(not pod.ready for pod in new)
    unhealthy = [pod for pod in old if not pod.ready][: max(0, may_go)]
    ready = sum(pod.ready for pod in pods)
    healthy = [pod for pod in old if pod.ready][: max(0, ready - (replicas - unavailable))]
    return Rollout(create, tuple(pod.name for pod in [*unhealthy, *healthy]))


def rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class DeploymentFacts:
    """What a Deployment's status is made of.

    Attributes
    ----------
    progressed_at
        When the rollout last came forward.
    deadline
        Seconds without progress after which it says so.
    create_failure
        Why the last pod could not be created.
    """

    generation: int
    replicas: int
    wanted: str
    replica_set: str
    pods: tuple[PodView, ...]
    progressed_at: datetime
    deadline: float
    create_failure: str | None = None

    @property
    def updated(self) -> int:
        return sum(pod.template_hash == self.wanted for pod in self.pods)

    @property
    def ready(self) -> int:
        return sum(pod.ready for pod in self.pods)

    @property
    def complete(self) -> bool:
        return self.updated == self.replicas == len(self.pods) == self.ready

    @property
    def counts(self) -> tuple[int, int, int, str]:
        """What changes when a rollout comes forward."""
        old = len(self.pods) - self.updated
        return (self.updated, self.ready, -old, self.wanted)

    def overdue(self, now: datetime) -> bool:
        return not self.complete and (now - self.progressed_at).total_seconds() >= self.deadline


def came_forward(before: tuple[int, int, int, str] | None, after: tuple[int, int, int, str]) -> bool:
    """Whether a rollout made progress: another template, more new or ready pods, fewer old ones."""
    if before is None or before[3] != after[3]:
        return True
    return any(now > then for then, now in zip(before[:3], after[:3], strict=True))


def deployment_status(facts: DeploymentFacts, previous: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The status as the deployment controller writes it: counts of zero are absent."""
    total, ready = len(facts.pods), facts.ready
    unavailable = max(0, max(total, facts.replicas) - ready)
    counts = {
        "replicas": total,
        "updatedReplicas": facts.updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": unavailable,
    }
    found: dict[str, Any] = {"observedGeneration": facts.generation}
    found |= {name: count for name, count in counts.items() if count}
    found["conditions"] = _conditions(facts, previous.get("conditions") or [], now)
    return found


def _conditions(
    facts: DeploymentFacts, previous: Sequence[Mapping[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    wanted = [_available(facts), _progressing(facts, now)]
    if facts.create_failure:
        wanted.append(_condition("ReplicaFailure", True, "FailedCreate", facts.create_failure))
    before = {condition["type"]: condition for condition in previous}
    return [_stamped(condition, before.get(condition["type"]), facts, now) for condition in wanted]


def _condition(kind: str, status: bool, reason: str, message: str) -> dict[str, Any]:
    return {"type": kind, "status": str(status), "reason": reason, "message": message}


def _available(facts: DeploymentFacts) -> dict[str, Any]:
    if facts.ready >= facts.replicas - math.floor(facts.replicas * UNAVAILABLE):
        return _condition(
            "Available", True, "MinimumReplicasAvailable", "Deployment has minimum availability."
        )
    return _condition(
        "Available", False, "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    )


def _progressing(facts: DeploymentFacts, now: datetime) -> dict[str, Any]:
    subject = f'ReplicaSet "{facts.replica_set}"'
    if facts.complete:
        return _condition(
            "Progressing", True, "NewReplicaSetAvailable", f"{subject} has successfully progressed."
        )
    if facts.overdue(now):
        return _condition(
            "Progressing", False, "ProgressDeadlineExceeded", f"{subject} has timed out progressing."
        )
    return _condition("Progressing", True, "ReplicaSetUpdated", f"{subject} is progressing.")


def _stamped(
    condition: dict[str, Any], before: Mapping[str, Any] | None, facts: DeploymentFacts, now: datetime
) -> dict[str, Any]:
    times = {"lastTransitionTime": rfc3339(now), "lastUpdateTime": rfc3339(now)}
    if before is not None:
        if before["status"] == condition["status"]:
            times["lastTransitionTime"] = before["lastTransitionTime"]
        if all(before.get(key) == value for key, value in condition.items()):
            times["lastUpdateTime"] = before["lastUpdateTime"]
    if condition["type"] == "Progressing" and condition["reason"] == "ReplicaSetUpdated":
        times["lastUpdateTime"] = rfc3339(facts.progressed_at)
    return condition | times
