"""Standard mode: a version is proven on an InferenceService of its own, where no user meets it."""

from __future__ import annotations

import contextlib
import os
import signal
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from sandbox.client import GROUP, Resources
from sandbox.demo.requests import RequestStream
from sandbox.demo.rollout.part import Part
from sandbox.demo.rollout.shares import Share
from sandbox.demo.stage import written
from sandbox.demo.waiting import Body, DemoError

FOURTH = {"epochs": 12, "seed": 1}


@dataclass
class StandardMode(Part):
    """The fourth version's model server is killed as often as it comes up."""

    mode: ClassVar[str] = "Standard"
    resource: ClassVar[str] = "digits"

    def fail(self, stream: RequestStream) -> None:
        """A crash loop, as of a model that needs more memory than its pod may have."""
        title = f"Version 4, training.parameters {written(FOURTH)}: its model server crashes again and again"
        with self._act(title):
            before = len(self.writes.all)
            killer = Killer(self.stage.resources, self.resource, self.screen.say)
            self.stage.watcher.observers.append(killer.observe)
            self.stage.edit("training", parameters=FOURTH)
            self.stage.until_taken_back(4)
            self.stage.watcher.observers.remove(killer.observe)
            self.stage.show(self.stage.until_serves(3))
            if self.written_since(before):
                raise DemoError("what users reach was changed for a version that was never proven")
            self.screen.say("  version 3 went on serving; nothing of it was touched")

    def check(self, stream: RequestStream, found: Sequence[Share]) -> None:
        """No request reaches a version that is being proven."""
        if any(answer.version == 4 for answer in stream.answers):
            raise DemoError("version 4 was never proven, and answered a request all the same")


@dataclass
class Killer:
    """Sends SIGKILL to a candidate's model server whenever it is ready, as the kernel does where memory runs out.

    The sandbox's containers are processes of this machine, and their pods name them.

    Attributes
    ----------
    say
        Is told of each.
    """

    resources: Resources
    name: str
    say: Callable[[str], None]
    _killed: set[str] = field(default_factory=set)

    def observe(self, body: Body, asked: float) -> None:
        """Look for servers that are ready."""
        selector = f"{GROUP}/name={self.name},{GROUP}/role=candidate"
        query = urllib.parse.urlencode({"labelSelector": selector})
        pods = self.resources.rest.call("GET", f"/api/v1/namespaces/{self.resources.namespace}/pods?{query}")
        for pod in pods["items"]:
            for container in pod.get("status", {}).get("containerStatuses") or ():
                if container["ready"] and container["containerID"] not in self._killed:
                    self._kill(pod["metadata"]["name"], container["containerID"])

    def _kill(self, pod: str, container: str) -> None:
        self._killed.add(container)
        self.say(f"  kill -9 {container.removeprefix('process://')}: the model server of {pod}, just ready")
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(container.removeprefix("process://")), signal.SIGKILL)
