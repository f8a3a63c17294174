"""One pod's life: storage initializer, model server, probes, restarts with back-off, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox.kserve.cluster import PODS, ApiError, Cluster
from sandbox.kserve.containers import ContainerState, answers, backoff, now, resumed
from sandbox.kserve.credentials import resolved
from sandbox.kserve.manifests import CONTAINER, HASH_LABEL, REVISION_LABEL, STORAGE_INITIALIZER
from sandbox.kserve.proxy import Endpoints
from sandbox.kserve.rollout import PodView
from sandbox.kserve.servers import Container, Exit, Servers

MANAGER = "kubelet"
HEALTHY_SECONDS = 600.0  # after which a crash starts the back-off anew
PROBE_SECONDS = 0.1
DRAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Pace:
    """How much faster than a cluster the stand-in is.

    Attributes
    ----------
    backoff
        Factor on the restart back-off of 10 to 300 s.
    pre_stop
        Factor on a ``preStop`` sleep. Requests are drained in any case.
    """

    backoff: float = 1.0
    pre_stop: float = 0.1


class PodRun:
    """Runs one Pod object and writes its status.

    Parameters
    ----------
    changed
        Called after every change that the controller should look at.
    """

    def __init__(
        self,
        pod: dict[str, Any],
        model: str,
        *,
        cluster: Cluster,
        servers: Servers,
        endpoints: Endpoints,
        pace: Pace,
        changed: Callable[[], None],
    ) -> None:
        self.object, self._model = pod, model
        self._cluster, self._servers, self._endpoints = cluster, servers, endpoints
        self._pace, self._changed = pace, changed
        spec, before = pod["spec"], pod.get("status") or {}
        self._container_spec = next(c for c in spec["containers"] if c["name"] == CONTAINER)
        self._init_spec = next(c for c in spec["initContainers"] if c["name"] == STORAGE_INITIALIZER)
        self.initializer = resumed(self._init_spec, before.get("initContainerStatuses"))
        self.server = resumed(self._container_spec, before.get("containerStatuses"))
        self._started = now()
        self.container: Container | None = None
        self.leaving: asyncio.Task[None] | None = None
        self._halting = False
        self._life = asyncio.create_task(self._live(), name=f"pod {self.name}")

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.object["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        return str(self.object["metadata"]["namespace"])

    @property
    def template_hash(self) -> str:
        return str(self.object["metadata"]["labels"].get(HASH_LABEL, ""))

    @property
    def revision(self) -> str:
        """Empty in Standard mode."""
        return str(self.object["metadata"]["labels"].get(REVISION_LABEL, ""))

    @property
    def replica_set_uid(self) -> str:
        return str(self.object["metadata"]["ownerReferences"][0]["uid"])

    @property
    def is_ready(self) -> bool:
        return self.server.ready and "running" in self.server.state

    @property
    def view(self) -> PodView:
        return PodView(self.name, self.template_hash, self.is_ready)

    def status(self) -> dict[str, Any]:
        initialized = "terminated" in self.initializer.state and self.initializer.ready
        conditions = {
            "PodScheduled": True,
            "Initialized": initialized,
            "ContainersReady": self.is_ready,
            "Ready": self.is_ready,
        }
        return {
            "phase": "Running" if initialized else "Pending",
            "conditions": [{"type": kind, "status": str(value)} for kind, value in conditions.items()],
            "initContainerStatuses": [self.initializer.to_status()],
            "containerStatuses": [self.server.to_status()],
            "startTime": self._started,
            "hostIP": "127.0.0.1",
            "hostIPs": [{"ip": "127.0.0.1"}],
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
        }

    async def _tell(self) -> None:
        """Write the status, then wake the controller; a pod or a server that is gone stops nothing."""
        with contextlib.suppress(ApiError, aiohttp.ClientError, TimeoutError):
            body = {"status": self.status()}
            await self._cluster.patch(
                PODS, self.namespace, self.name, body=body, manager=MANAGER, subresource="status"
            )
        self._changed()

    async def _live(self) -> None:
        await self._initialize()
        failures = 0
        while True:
            started = time.monotonic()
            how = await self._serve_once()
            if self._halting:
                return
            failures = 1 if time.monotonic() - started > HEALTHY_SECONDS else failures + 1
            message = self._container_spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
            self.server.ended(how, message)
            self.server.ready = False
            await self._tell()
            await self._back_off(self.server, failures)

    async def _initialize(self) -> None:
        failures = 0
        while True:
            variables = await self._variables()
            self.initializer.started(f"init://{self.uid}")
            await self._tell()
            how = await self._servers.initialize(self.uid, self._init_spec["args"][0], variables)
            self.initializer.ended(how, message=True)
            await self._tell()
            if how.code == 0:
                return
            failures += 1
            await self._back_off(self.initializer, failures)

    async def _variables(self) -> dict[str, str]:
        while True:
            try:
                return await resolved(self._cluster, self.namespace, self._init_spec.get("env") or [])
            except (ApiError, aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(1.0)

    async def _back_off(self, container: ContainerState, failures: int) -> None:
        seconds = backoff(failures, self._pace.backoff)
        if seconds:
            container.backs_off(backoff(failures, 1.0), f"{self.name}_{self.namespace}({self.uid})")
            await self._tell()
        await asyncio.sleep(seconds)

    async def _serve_once(self) -> Exit:
        """Start the server, let it serve while its probe succeeds, until it ends."""
        plain = {row["name"]: row["value"] for row in self._container_spec.get("env", []) if "value" in row}
        self.container = await self._servers.serve(self.uid, self._model, plain)
        self.server.started(self.container.container_id)
        await self._tell()
        probing = asyncio.create_task(self._probe(self.container))
        try:
            return await self.container.wait()
        finally:
            probing.cancel()
            self._endpoints.remove(self.uid)
            await self.container.stop()

    async def _probe(self, container: Container) -> None:
        probe = self._container_spec.get("readinessProbe") or {}
        allowed, failed = int(probe.get("failureThreshold", 3)), 0
        async with aiohttp.ClientSession() as session:
            while True:
                url = container.url
                answered = url is not None and await answers(session, url, probe)
                failed = 0 if answered else failed + 1
                if answered and not self.server.ready and url is not None:
                    self._endpoints.add(self.uid, url, self.name)
                    await self._turned(True)
                elif not answered and self.server.ready and failed >= allowed:
                    self._endpoints.remove(self.uid)
                    await self._turned(False)
                # Quick until ready; then as often as asked, since nothing else is done for it.
                await asyncio.sleep(
                    float(probe.get("periodSeconds", 10)) if self.server.ready else PROBE_SECONDS
                )

    async def _turned(self, ready: bool) -> None:
        self.server.ready = ready
        await self._tell()

    def leave(self) -> asyncio.Task[None]:
        """Begin the pod's end, once: out of the address, drained, preStop, SIGTERM, Pod object deleted."""
        if self.leaving is None:
            self._endpoints.remove(self.uid)
            self.leaving = asyncio.create_task(self._leave(), name=f"end of pod {self.name}")
        return self.leaving

    async def _leave(self) -> None:
        with contextlib.suppress(ApiError, aiohttp.ClientError, TimeoutError):
            await self._cluster.delete(PODS, self.namespace, self.name)  # it says Terminating from here on
        self._changed()
        await self._endpoints.drained(self.uid, DRAIN_SECONDS)
        if self.is_ready:
            await asyncio.sleep(self._pre_stop_seconds() * self._pace.pre_stop)
        await self.halt()
        await self._servers.forget(self.uid)
        with contextlib.suppress(ApiError, aiohttp.ClientError, TimeoutError):
            await self._cluster.delete(PODS, self.namespace, self.name, grace=0)
        self._changed()

    def _pre_stop_seconds(self) -> float:
        hook = ((self._container_spec.get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {}
        return float(hook.get("seconds", 0))

    async def halt(self) -> None:
        """Stop the processes and leave the Pod object as it is, as a node does that goes away."""
        self._halting = True
        self._endpoints.remove(self.uid)
        if self.container is not None:
            await self.container.stop()
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
