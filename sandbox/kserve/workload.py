"""What the stand-in holds in memory for one InferenceService: its address, its Deployments' pods, their progress."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlparse

from sandbox.kserve.kubelet import PodRun
from sandbox.kserve.proxy import Address, Endpoints
from sandbox.kserve.rollout import DeploymentFacts, PodView, came_forward


class Pods:
    """The living side of one Deployment."""

    def __init__(self, patience: float = 0.0) -> None:
        self.endpoints = Endpoints(patience)
        self.runs: dict[str, PodRun] = {}
        self.ready = 0
        self.was_ready = False  # ever
        self.applied: tuple[Mapping[str, Any], int] | None = None  # the Deployment and its generation
        self._counts: tuple[int, int, int, str] | None = None
        self._progressed_at: datetime | None = None

    def staying(self) -> list[PodRun]:
        return [run for run in self.runs.values() if run.leaving is None]

    def views(self) -> tuple[PodView, ...]:
        return tuple(run.view for run in self.staying())

    def newest(self, template_hash: str) -> Mapping[str, Any]:
        """Status of the newest pod of a template; empty if there is none."""
        found = [run for run in self.staying() if run.template_hash == template_hash]
        return found[-1].status() if found else {}

    def count_ready(self) -> None:
        """Count as KServe does: pods on their way out are ready until they are gone."""
        self.ready = sum(run.is_ready for run in self.runs.values())

    def progressed_at(self, facts: DeploymentFacts, previous: Mapping[str, Any], now: datetime) -> datetime:
        """When the rollout last came forward; the first time, what the Deployment remembers."""
        counts = facts.counts
        if self._progressed_at is None:
            self._progressed_at = _remembered(previous) or now
        elif came_forward(self._counts, counts):
            self._progressed_at = now
        self._counts = counts
        return self._progressed_at

    def forget_gone(self) -> None:
        self.runs = {
            name: run for name, run in self.runs.items() if run.leaving is None or not run.leaving.done()
        }

    async def leave(self, runs: Iterable[PodRun]) -> None:
        await asyncio.gather(*(asyncio.shield(run.leave()) for run in runs))

    async def halt(self) -> None:
        """Stop every process; objects stay."""
        ends = [run.leaving for run in self.runs.values() if run.leaving is not None]
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
        await asyncio.gather(*(run.halt() for run in self.runs.values()))


class Workload:
    """The living side of one InferenceService (of one uid: a recreated one is another).

    Attributes
    ----------
    address
        Where it answers.
    tags
        Addresses that reach one revision alone, by tag.
    deployments
        The pods, by name of their Deployment: one in Standard mode, one a revision in Knative mode.
    spec
        What the Knative Service was last asked for, and how often it was asked for something else.
    """

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.address = Address()
        self.tags: dict[str, Address] = {}
        self.deployments: dict[str, Pods] = {}
        self.spec: tuple[object, int] | None = None

    async def open(self, status: Mapping[str, Any]) -> None:
        """Listen where the status says that it was before, or anywhere."""
        await self.address.open(port_of(status))

    def pods(self, deployment: str, patience: float = 0.0) -> Pods:
        """Those of one Deployment."""
        return self.deployments.setdefault(deployment, Pods(patience))

    async def tag(self, tag: str, port: int) -> Address:
        """The address of a tag, opened at `port` if it is free."""
        if tag not in self.tags:
            address = Address()
            await address.open(port)
            self.tags[tag] = address
        return self.tags[tag]

    def staying(self) -> list[PodRun]:
        return [run for pods in self.deployments.values() for run in pods.staying()]

    async def leave(self) -> None:
        """End all pods."""
        await asyncio.gather(*(pods.leave(pods.runs.values()) for pods in self.deployments.values()))
        for pods in self.deployments.values():
            pods.forget_gone()

    async def close(self) -> None:
        """Close the addresses."""
        await asyncio.gather(*(one.close() for one in (self.address, *self.tags.values())))

    async def halt(self) -> None:
        """Stop every process and the addresses; objects stay."""
        await asyncio.gather(*(pods.halt() for pods in self.deployments.values()))
        await self.close()


def port_of(holder: Mapping[str, Any]) -> int:
    """The port in an object's ``url``; 0 if it has none."""
    return urlparse(str(holder.get("url", ""))).port or 0


def _remembered(deployment_status: Mapping[str, Any]) -> datetime | None:
    for condition in deployment_status.get("conditions") or []:
        if condition["type"] == "Progressing" and "lastUpdateTime" in condition:
            return datetime.strptime(condition["lastUpdateTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return None
