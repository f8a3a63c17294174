"""Kubernetes in memory, as far as the KFP stand-in uses it."""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import AsyncIterator, Mapping

from sandbox.kfp.clock import now, stamp
from sandbox.kfp.cluster import ClusterError, Manifest, User


def merged(document: Manifest, patch: Manifest) -> Manifest:
    """A JSON merge patch (RFC 7386) applied to a copy."""
    result = copy.deepcopy(document)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            inner = result.get(key)
            result[key] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


class MemoryCluster:
    """Implements `sandbox.kfp.cluster.Cluster`.

    Attributes
    ----------
    users, rights
        Tokens, and (user, verb, resource) that are allowed.
    """

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Manifest] = {}
        self.pods: dict[str, Manifest] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self.accounts = {"default"}
        self.users: dict[str, User] = {}
        self.rights: set[tuple[str, str, str]] = set()
        self._events: asyncio.Queue[tuple[str, Manifest]] = asyncio.Queue()

    async def create_workflow(self, namespace: str, body: Manifest) -> Manifest:
        metadata = body["metadata"]
        name = metadata.get("name") or f"{metadata['generateName']}{uuid.uuid4().hex[:5]}"
        if len(metadata["labels"]["pipeline/runid"]) > 63:
            raise ClusterError(
                422, f'Workflow.argoproj.io "{name}" is invalid: must be no more than 63 characters'
            )
        own = {
            "name": name,
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": stamp(now()),
        }
        return self._store("ADDED", merged(body, {"metadata": own}))

    async def workflow(self, namespace: str, name: str) -> Manifest | None:
        return copy.deepcopy(self.stored.get((namespace, name)))

    async def patch_workflow(self, namespace: str, name: str, patch: Manifest) -> Manifest:
        if (namespace, name) not in self.stored:
            raise ClusterError(404, f'workflows.argoproj.io "{name}" not found')
        return self._store("MODIFIED", merged(self.stored[namespace, name], patch))

    async def delete_workflow(self, namespace: str, name: str) -> None:
        gone = self.stored.pop((namespace, name), None)
        if gone is not None:
            self._events.put_nowait(("DELETED", gone))

    async def workflows(self) -> AsyncIterator[tuple[str, Manifest]]:
        for workflow in list(self.stored.values()):
            yield "MODIFIED", copy.deepcopy(workflow)
        while True:
            yield await self._events.get()

    def _store(self, kind: str, workflow: Manifest) -> Manifest:
        self.stored[workflow["metadata"]["namespace"], workflow["metadata"]["name"]] = workflow
        self._events.put_nowait((kind, copy.deepcopy(workflow)))
        return copy.deepcopy(workflow)

    async def create_pod(self, namespace: str, body: Manifest) -> Manifest:
        if body["metadata"]["name"] in self.pods:
            raise ClusterError(409, "already exists")
        self.pods[body["metadata"]["name"]] = body
        return body

    async def patch_pod_status(self, namespace: str, name: str, status: Manifest) -> None:
        if name in self.pods:
            self.pods[name] = merged(self.pods[name], {"status": status})

    async def delete_pods(self, namespace: str, workflow: str) -> None:
        label = "workflows.argoproj.io/workflow"
        self.pods = {k: p for k, p in self.pods.items() if p["metadata"]["labels"][label] != workflow}

    async def secret(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return self.secrets.get(name)

    async def has_service_account(self, namespace: str, name: str) -> bool:
        return name in self.accounts

    async def ensure_service_account(self, namespace: str, name: str) -> None:
        self.accounts.add(name)

    async def who(self, token: str) -> User | None:
        return self.users.get(token)

    async def may(self, user: User, attributes: Mapping[str, str]) -> tuple[bool, str]:
        return (user.name, attributes["verb"], attributes["resource"]) in self.rights, ""

    async def close(self) -> None:
        return None

    def step_pods(self, task: str) -> list[Manifest]:
        """The pods of a task's attempts, in order."""
        name = "workflows.argoproj.io/node-name"
        return [pod for pod in self.pods.values() if f".{task}(0)." in pod["metadata"]["annotations"][name]]
