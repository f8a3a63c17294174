"""A container as a pod's status tells it: states, restarts, back-off, probes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from sandbox.kserve.rollout import rfc3339
from sandbox.kserve.servers import Exit

BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 10.0, 300.0


def now() -> str:
    return rfc3339(datetime.now(UTC))


@dataclass
class ContainerState:
    """A container's entry in the pod's status."""

    name: str
    image: str
    restarts: int = 0
    ready: bool = False
    container_id: str = ""
    state: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "PodInitializing"}})
    last: dict[str, Any] = field(default_factory=dict)

    def started(self, container_id: str) -> None:
        if "terminated" in self.state:
            self.last = self.state
        if self.last:
            self.restarts += 1
        self.container_id = container_id
        self.state = {"running": {"startedAt": now()}}

    def ended(self, how: Exit, message: bool) -> None:
        started = self.state.get("running", {}).get("startedAt", now())
        said: dict[str, Any] = {"exitCode": how.code, "reason": "Error" if how.code else "Completed"}
        said |= {"startedAt": started, "finishedAt": now(), "containerID": self.container_id}
        if message and how.code and how.log:
            said["message"] = how.log
        self.ready = how.code == 0
        self.state = {"terminated": said}

    def backs_off(self, seconds: float, pod: str) -> None:
        self.last = self.state if "terminated" in self.state else self.last
        message = f"back-off {seconds:g}s restarting failed container={self.name} pod={pod}"
        self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}

    def to_status(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image,
            "containerID": self.container_id,
            "restartCount": self.restarts,
            "ready": self.ready,
            "started": "running" in self.state,
            "state": self.state,
            "lastState": self.last,
        }


def backoff(failures: int, scale: float) -> float:
    """Seconds before the next start after `failures` in a row: none, then 10, 20, 40 ... 300, scaled."""
    if failures < 2:
        return 0.0
    return min(BACKOFF_SECONDS * 2.0 ** (failures - 2), MAX_BACKOFF_SECONDS) * scale


def resumed(spec: dict[str, Any], before: list[dict[str, Any]] | None) -> ContainerState:
    """A container's state; of a pod that an earlier stand-in ran, with its count of restarts going on."""
    state = ContainerState(spec["name"], spec.get("image", ""))
    for row in before or []:
        if row["name"] == state.name and row.get("containerID"):
            state.restarts = int(row.get("restartCount", 0))
            ended = {"exitCode": 255, "reason": "Unknown", "startedAt": now(), "finishedAt": now()}
            state.last = {"terminated": ended}
    return state


async def answers(session: aiohttp.ClientSession, url: str, probe: dict[str, Any]) -> bool:
    """Whether the container passes its readiness probe; ports are not looked at, it has one."""
    seconds = float(probe.get("timeoutSeconds", 1))
    try:
        if asked := probe.get("httpGet"):
            timeout = aiohttp.ClientTimeout(total=max(seconds, 1.0))
            async with session.get(url + asked.get("path", "/"), timeout=timeout) as answer:
                return 200 <= answer.status < 400
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), seconds)
        writer.close()
        await writer.wait_closed()
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
    return True
