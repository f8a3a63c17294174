"""One active operator: a Lease says which.

The lease is judged by this process's own clock alone: a holder that has said nothing for its whole duration, counted from
when its last word was seen here, is gone (as client-go does it; clocks of two machines may differ).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from .gateways.errors import Conflict, GatewayError
from .gateways.kubernetes import Kubernetes
from .settings import Settings

logger = logging.getLogger(__name__)

_MARGIN = 0.5
"""Seconds before the end of the lease from which on it counts as lost: what was begun must be able to end."""

_TRIES = 3
"""How many tries at renewing fit into the lease, each cut off in time for the next: one lost answer must not cost it."""


class Leader:
    """This process's part in the election."""

    def __init__(
        self, kubernetes: Kubernetes, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kubernetes = kubernetes
        self._name = settings.lease_name
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{settings.lease_namespace}/leases"
        self._path = f"{self._collection}/{self._name}"
        self._duration = settings.lease_duration.total_seconds()
        self._renewal = settings.lease_renewal.total_seconds()
        self._clock = clock
        self._held_until = 0.0
        self._lease: dict[str, Any] | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        self.identity = f"{socket.gethostname()}_{os.getpid()}_{uuid4().hex[:8]}"

    def leading(self) -> bool:
        """Whether the lease is still held, by this process's clock. Asked before every effect."""
        return self._clock() < self._held_until - _MARGIN

    async def acquire(self) -> None:
        """Wait until the lease is held."""
        while not await self._try():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(min(self._renewal, self._duration / 5))
        logger.info("this operator (%s) leads", self.identity)

    async def keep(self) -> None:
        """Renew until it fails for so long that the lease is lost; then return."""
        pause = self._renewal
        while self.leading():
            await asyncio.sleep(pause)
            renewed = await self._try()
            pause = self._renewal if renewed else min(self._renewal, self._duration / _TRIES / 2)
            if (
                not renewed
                and self._lease is not None
                and self._holder(self._lease) not in ("", self.identity)
            ):
                break
        self._held_until = 0.0
        logger.error("the lease was lost: this operator ends, another one acts")

    async def release(self) -> None:
        """Give the lease back, so that another operator takes over at once."""
        if not self.leading() or self._lease is None:
            return
        self._held_until = 0.0
        lease = {
            **self._lease,
            "spec": {**self._lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1},
        }
        try:
            await self._kubernetes.replace(self._path, lease)
        except GatewayError as error:
            logger.warning("the lease could not be given back, it runs out by itself: %s", error.message)

    async def _try(self) -> bool:
        """Take or renew the lease if that is allowed now; whether it is held then."""
        asked = self._clock()
        try:
            async with asyncio.timeout(self._duration / _TRIES):
                written = await self._write()
        except Conflict:
            return False
        except GatewayError as error:
            logger.warning("the lease could not be renewed: %s", error.message)
            return False
        except TimeoutError:
            logger.warning("the lease could not be renewed: no answer within %.1f s", self._duration / _TRIES)
            return False
        if written is None:
            return False
        self._lease = written
        self._held_until = asked + self._duration
        return True

    async def _write(self) -> dict[str, Any] | None:
        """The lease with this process as its holder; None where another one may not be overruled."""
        lease = await self._kubernetes.get(self._path)
        if lease is None:
            return await self._kubernetes.create(self._collection, self._first())
        if self._may_take(lease):
            return await self._kubernetes.replace(self._path, self._renewed(lease))
        self._lease = lease
        return None

    def _may_take(self, lease: dict[str, Any]) -> bool:
        holder = self._holder(lease)
        if holder in ("", self.identity):
            return True
        word = str(lease["metadata"]["resourceVersion"])
        if self._seen[0] != word:
            self._seen = (word, self._clock())
        duration = lease["spec"].get("leaseDurationSeconds") or self._duration
        return self._clock() > self._seen[1] + float(duration)

    @staticmethod
    def _holder(lease: dict[str, Any]) -> str:
        return str(lease.get("spec", {}).get("holderIdentity") or "")

    def _first(self) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": self._spec({}),
        }

    def _renewed(self, lease: dict[str, Any]) -> dict[str, Any]:
        return {**lease, "spec": self._spec(lease.get("spec") or {})}

    def _spec(self, before: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        same = before.get("holderIdentity") == self.identity
        transitions = int(before.get("leaseTransitions") or 0)
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, int(self._duration)),
            "acquireTime": before.get("acquireTime") if same else now,
            "renewTime": now,
            "leaseTransitions": transitions if same or not before else transitions + 1,
        }
