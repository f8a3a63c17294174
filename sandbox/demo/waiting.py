"""Waiting for what the operator does, with its own words as progress and, if it takes too long, as the error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.client import Resources, condition, is_seen
from sandbox.demo.screen import Screen

POLL_SECONDS = 0.25
Body = Mapping[str, Any]


class DemoError(RuntimeError):
    """The demo did not go as it must; the message says where and what the operator says about it."""


@dataclass(frozen=True)
class Watcher:
    """Looks at one resource again and again.

    Attributes
    ----------
    check
        Raises if a part of the platform has ended: then there is nothing to wait for.
    observers
        Are shown the resource every time that it is looked at, and the moment before it was asked for (seconds of the monotonic clock).
    """

    resources: Resources
    name: str
    screen: Screen
    check: Callable[[], None]
    observers: list[Callable[[Body, float], None]] = field(default_factory=list)

    def until(self, what: str, reached: Callable[[Body], bool], timeout: float) -> Body:
        """Wait until the resource's status is as `reached` wants it, and return the resource.

        Parameters
        ----------
        what
            For the error: "version 2 serves".
        timeout
            Seconds.

        Raises
        ------
        DemoError
            If it takes longer, or the operator says that it has stalled.
        ProcessError
            If a part of the platform ends.
        """
        since = self.screen.seconds
        while True:
            asked = time.monotonic()
            body = self.resources.get(self.name)
            for observer in self.observers:
                observer(body, asked)
            status = body.get("status", {})
            if is_seen(body) and reached(status):
                return body
            self.screen.progress(progress(status), since)
            if is_seen(body) and (stalled := condition(status, "Stalled")).get("status") == "True":
                raise DemoError(f"waited until {what}, but the operator gave up: {stalled['message']}")
            if self.screen.seconds - since > timeout:
                raise DemoError(
                    f"after {timeout:.0f} s not yet: {what}. The operator says:\n{findings(status)}"
                )
            self.check()
            time.sleep(POLL_SECONDS)


def serves(version: int) -> Callable[[Body], bool]:
    """Whether this version is proven to serve, and nothing is to do."""

    def reached(status: Body) -> bool:
        ready = condition(status, "Ready").get("status") == "True"
        return ready and status.get("phase") == "Serving" and status["served"].get("version") == version

    return reached


def judged(version: int) -> Callable[[Body], bool]:
    """Whether there is a verdict on this version."""

    def reached(status: Body) -> bool:
        candidate = status.get("candidate") or {}
        return candidate.get("version") == version and bool(candidate.get("verdict"))

    return reached


def taken_back(version: int) -> Callable[[Body], bool]:
    """Whether this version was accepted, and then could not be served; raises DemoError where it came to another end."""

    def reached(status: Body) -> bool:
        candidate = status.get("candidate") or {}
        verdict = candidate.get("verdict") or {}
        if (status.get("served") or {}).get("version") == version:
            raise DemoError(f"version {version} was to fail in service, and was proven to serve")
        if candidate.get("version") != version or not verdict or verdict["accepted"]:
            return False
        if verdict["reason"] != "FailedToServe":
            raise DemoError(
                f"version {version} was to fail in service, and was rejected: {verdict['message']}"
            )
        return True

    return reached


def progress(status: Body) -> str:
    """Where the resource is, in one line."""
    run = status.get("run") or {}
    if status.get("phase") in ("Training", "Queued") and run:
        step = f": {run['step']}" if run.get("step") else ""
        done = f", {run['progress']} steps done" if "/" in (run.get("progress") or "") else ""
        trouble = f"; {run['message']}" if run.get("message") else ""
        return f"{status['phase']}  version {run['version']}{step}{done}{trouble}"
    words = condition(status, "Reconciling") or condition(status, "Ready")
    return f"{status.get('phase', 'Pending')}  {words.get('message', 'not seen by the operator yet')}"


def findings(status: Body) -> str:
    """All conditions, one line each."""
    lines = [
        f"  {c['type']}={c['status']} {c['reason']}: {c['message']}" for c in status.get("conditions", [])
    ]
    return "\n".join(lines) or "  nothing: it has not seen the resource"
