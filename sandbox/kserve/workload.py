"""What the stand-in holds in memory for one InferenceService: its address, its running pods, its progress."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlparse

from sandbox.kserve.kubelet import PodRun
from sandbox.kserve.proxy import Address
from sandbox.kserve.rollout import DeploymentFacts, PodView, came_forward


class Workload:
    """The living side of one InferenceService (of one uid: a recreated one is another)."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.address = Address()
        self.pods: dict[str, PodRun] = {}
        self.ready_pods = 0
        self.applied: tuple[Mapping[str, Any], int] | None = None  # the Deployment and its generation
        self._counts: tuple[int, int, int, str] | None = None
        self._progressed_at: datetime | None = None

    async def open(self, status: Mapping[str, Any]) -> None:
        """Listen where the status says that it was before, or anywhere."""
        await self.address.open(urlparse(str(status.get("url", ""))).port or 0)

    def staying(self) -> list[PodRun]:
        return [run for run in self.pods.values() if run.leaving is None]

    def views(self) -> tuple[PodView, ...]:
        return tuple(run.view for run in self.staying())

    def newest(self, template_hash: str) -> Mapping[str, Any]:
        """Status of the newest pod of a template; empty if there is none."""
        found = [run for run in self.staying() if run.template_hash == template_hash]
        return found[-1].status() if found else {}

    def count_ready(self) -> None:
        """Count as KServe does: pods on their way out are ready until they are gone."""
        self.ready_pods = sum(run.is_ready for run in self.pods.values())

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
        self.pods = {
            name: run for name, run in self.pods.items() if run.leaving is None or not run.leaving.done()
        }

    async def leave(self, pods: Iterable[PodRun]) -> None:
        await asyncio.gather(*(asyncio.shield(run.leave()) for run in pods))

    async def halt(self) -> None:
        """Stop every process and the address; objects stay."""
        ends = [run.leaving for run in self.pods.values() if run.leaving is not None]
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
        await asyncio.gather(*(run.halt() for run in self.pods.values()))
        await self.address.close()


def _remembered(deployment_status: Mapping[str, Any]) -> datetime | None:
    for condition in deployment_status.get("conditions") or []:
        if condition["type"] == "Progressing" and "lastUpdateTime" in condition:
            return datetime.strptime(condition["lastUpdateTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return None
