"""Six acts on one resource, the same in both modes of KServe but for the fourth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

from sandbox.demo.requests import RequestStream
from sandbox.demo.rollout import shares, versions
from sandbox.demo.rollout.shares import NEVER, Share, Steps
from sandbox.demo.rollout.versions import Versions
from sandbox.demo.rollout.writes import Write, Writes
from sandbox.demo.screen import Screen
from sandbox.demo.stage import Stage, example, indented, written
from sandbox.demo.waiting import DemoError
from sandbox.platform import Platform

FIRST = {"epochs": 3}
WORSE = {"epochs": 1}
BETTER = {"epochs": 12}
LEAST_REQUESTS = 2_000
ACT_SECONDS = 900.0
"""An act may hold a training and a canary, on a machine that has other work."""

BOUNDS = [{"name": "accuracy", "min": 0.8, "maxRegression": 0.01}]


@dataclass
class Part(ABC):
    """Version 1; a worse one; a better one; one that fails in service; version 1 again by a pin; and the pin's end.

    Attributes
    ----------
    mode
        What the operator is told of KServe.
    resource
        Name of the TrainAndServe.
    serving
        Its section `serving`.
    rate
        Prediction requests a second, from the first version on.
    """

    mode: ClassVar[str]
    resource: ClassVar[str]
    serving: ClassVar[Mapping[str, Any]] = {}

    running: Platform
    screen: Screen
    rate: float

    def __post_init__(self) -> None:
        body = example()
        body["metadata"]["name"] = self.resource
        body["spec"]["training"]["parameters"] = dict(FIRST)
        body["spec"]["evaluation"]["metrics"] = BOUNDS
        body["spec"] |= {"serving": dict(self.serving)} if self.serving else {}
        self.stage = Stage(self.running, self.screen, body, seconds=ACT_SECONDS)
        self.steps = Steps(self.percentages)
        self.stage.watcher.observers.append(self.steps.observe)
        self.writes = Writes(self.stage.resources, self.resource)

    @property
    def percentages(self) -> Sequence[int]:
        """The steps of its canary."""
        found: Sequence[int] = self.serving.get("rollout", {}).get("steps", ())
        return found

    def play(self) -> None:
        """Play all acts.

        Raises
        ------
        DemoError
            If one does not end as it must; after the last act, where a request failed or went where none should.
        """
        stage = self.stage
        with self._act("Version 1, on real handwriting"):
            url = self._first_version()
        stream = stage.stream(url, self.rate, Versions(stage.resources).of)
        with stream:
            with self._act(f"A worse version 2: training.parameters {written(WORSE)}"):
                self._worse_version()
            with self._act(f"A better version 3: training.parameters {written(BETTER)}"):
                stage.edit("training", parameters=BETTER)
                stage.show(stage.until_serves(3))
            self.fail(stream)
            with self._act("A person pins version 1: serving.pinnedVersion: 1"):
                stage.edit("serving", pinnedVersion=1)
                stage.until_serves(1)
                stage.get()
            with self._act("The pin is taken away"):
                stage.edit("serving", pinnedVersion=None)
                stage.until_serves(3)
                stage.get()
        self._settle(stream)

    @abstractmethod
    def fail(self, stream: RequestStream) -> None:
        """The act of version 4, which is accepted and then fails."""

    @abstractmethod
    def check(self, stream: RequestStream, found: Sequence[Share]) -> None:
        """Raise DemoError where more than the requests' success is wrong, after the last act."""

    def written_since(self, count: int) -> tuple[Write, ...]:
        """What was asked of KServe after so many writes, which is printed."""
        found = self.writes.all[count:]
        for write in found:
            self.screen.say(f"  asked of KServe: {write}")
        return found

    def _act(self, title: str) -> Any:
        return self.screen.act(f"{self.mode} mode. {title}")

    def _first_version(self) -> str:
        self.stage.upload()
        text = yaml.safe_dump(self.stage.body, sort_keys=False, default_flow_style=None)
        self.screen.say("\n".join(f"  | {line}" for line in text.splitlines()))
        self.writes.start()
        return self.stage.first_version()

    def _worse_version(self) -> None:
        before = len(self.writes.all)
        self.stage.edit("training", parameters=WORSE)
        self.stage.until_rejected(2)
        self.stage.show(self.stage.until_serves(1))
        if self.written_since(before):
            raise DemoError("a rejected version changed what KServe was asked for")

    def _settle(self, stream: RequestStream) -> None:
        """Print what became of the requests, and hold it to what must be."""
        found = [Share.of(step, stream.answers) for step in self.steps.all]
        self.screen.say(f"\nThe stream in {self.mode} mode: {stream.summary()}\n")
        self.screen.say(indented(versions.table(stream.answers, (1, 2, 3, 4))))
        if empty := [share.step for share in found if not share.count]:
            raise DemoError(f"no request was seen in a step of a canary: {empty[0]}")
        if found:
            self.screen.say("\n" + indented(shares.table(found)))
        self.stage.describe()
        check_requests(stream)
        self.check(stream, found)
        if far := [share for share in found if not share.inside(NEVER)]:
            share = far[0]
            raise DemoError(
                f"version {share.step.version} answered {share.hits} of {share.count} requests where {share.step.asked}% were "
                f"asked for: outside {NEVER:.2%} of what chance does"
            )


def check_requests(stream: RequestStream) -> None:
    """Hold the requests to what must be in either mode.

    Raises
    ------
    DemoError
        If one failed, there were few, or one was answered by a version that users were not to meet.
    """
    if stream.failures:
        raise DemoError(f"{len(stream.failures)} of {stream.sent} prediction requests failed; 0 may")
    if stream.sent < LEAST_REQUESTS:
        raise DemoError(f"{stream.sent} requests say too little: {LEAST_REQUESTS} at least")
    by = {answer.version for answer in stream.answers}
    if None in by:
        raise DemoError("a request was answered by a pod of which nobody knows the version")
    if 2 in by:
        raise DemoError("version 2 was rejected, and answered a request all the same")
    if missing := {1, 3} - by:
        raise DemoError(f"no request was answered by version {missing.pop()}")
