"""What the stand-in needs of Kubernetes; `kubernetes.py` is the real thing, unit tests bring their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Manifest = dict[str, Any]


class ClusterError(Exception):
    """The API server refused.

    Attributes
    ----------
    status
        HTTP status.
    message
        The `message` of the Status object.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True)
class User:
    name: str
    groups: tuple[str, ...] = ()


class Cluster(Protocol):
    """Calls raise ClusterError; what is absent reads as None, and deleting it is fine."""

    async def create_workflow(self, namespace: str, body: Manifest) -> Manifest: ...

    async def workflow(self, namespace: str, name: str) -> Manifest | None: ...

    async def patch_workflow(self, namespace: str, name: str, patch: Manifest) -> Manifest:
        """Merge patch."""

    async def delete_workflow(self, namespace: str, name: str) -> None: ...

    def workflows(self) -> AsyncIterator[tuple[str, Manifest]]:
        """Without end: ADDED, MODIFIED or DELETED, and the Workflow; only those with a run id."""

    async def create_pod(self, namespace: str, body: Manifest) -> Manifest: ...

    async def patch_pod_status(self, namespace: str, name: str, status: Manifest) -> None: ...

    async def delete_pods(self, namespace: str, workflow: str) -> None:
        """Delete the pods of a Workflow at once: no kubelet is there to end them."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, str] | None: ...

    async def has_service_account(self, namespace: str, name: str) -> bool: ...

    async def ensure_service_account(self, namespace: str, name: str) -> None: ...

    async def who(self, token: str) -> User | None:
        """TokenReview for KFP's audience; None: not authenticated."""

    async def may(self, user: User, attributes: Mapping[str, str]) -> tuple[bool, str]:
        """SubjectAccessReview: allowed or not, and the reason given."""

    async def close(self) -> None: ...
