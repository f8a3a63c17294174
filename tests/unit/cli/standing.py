"""A command with everything around it: a cluster of dictionaries, a fixed time, a screen of a known width."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.builders import NOW, UID, Situation
from trainandserve.cli.applying import Application
from trainandserve.cli.cluster import Where
from trainandserve.cli.errors import CliError, NotFound
from trainandserve.cli.program import main
from trainandserve.cli.session import Surroundings

Json = dict[str, Any]
LATER = NOW + timedelta(minutes=4)


def body(situation: Situation, **metadata: Any) -> Json:
    """A resource as the API server has it."""
    found = situation.resource.dump()
    found["apiVersion"], found["kind"] = "trainandserve.io/v1alpha1", "TrainAndServe"
    found["spec"] = situation.resource.spec.as_set()
    found["metadata"] |= metadata
    return found


@dataclass
class FakeCluster:
    """The API server as far as commands ask it; `writes` are the patches that it stored."""

    bodies: dict[str, Json]
    namespace: str = "vision"
    writes: list[tuple[str, Json]] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)
    asked: list[Where] = field(default_factory=list)
    others: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    """Objects by path and selector."""
    texts: dict[str, str] = field(default_factory=dict)
    queries: list[Json] = field(default_factory=list)
    proxied: dict[str, Callable[[Any], Any]] = field(default_factory=dict)

    def get(self, name: str) -> Json:
        if name not in self.bodies:
            raise NotFound(f'trainandserves.trainandserve.io "{name}" not found')
        return copy.deepcopy(self.bodies[name])

    def all(self, *, all_namespaces: bool = False) -> list[Json]:
        return [copy.deepcopy(one) for one in self.bodies.values()]

    def patch(self, name: str, patch: Json, *, dry_run: bool = False) -> Json:
        changed = merged(self.get(name), patch)
        if not dry_run:
            self.writes.append((name, patch))
            self.bodies[name] = changed
        return changed

    def would_apply(self, name: str, apply: Application) -> Json:
        self.applications.append(apply)
        return merged(self.bodies.get(name) or {"metadata": {"uid": UID}}, apply.body)

    def items(self, path: str, selector: str) -> list[Json]:
        return self.others.get((path, selector), [])

    def lines(self, path: str, query: Mapping[str, str], *, endless: bool = False) -> Iterator[str]:
        if path not in self.texts:
            raise CliError("the API server answers 400: container is waiting to start")
        self.queries.append(dict(query))
        yield from self.texts[path].splitlines()

    def request(self, method: str, path: str, *, body: Any = None) -> Any:
        answer = self.proxied.get(path)
        if answer is None:
            raise CliError(f"the API server answers 503: nothing answers at {path}")
        return answer(body)


def merged(before: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    found = dict(before) if isinstance(before, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


@dataclass(frozen=True)
class Answer:
    """What a command left."""

    code: int
    out: str
    err: str


@dataclass
class Shell:
    """Runs commands before a cluster."""

    capsys: pytest.CaptureFixture[str]
    cluster: FakeCluster
    width: int = 80
    now: datetime = LATER

    def __call__(self, *arguments: str) -> Answer:
        def connect(where: Where) -> Any:
            self.cluster.asked.append(where)
            return self.cluster

        code = main(list(arguments), Surroundings(connect, lambda: self.now, self.width))
        out, err = self.capsys.readouterr()
        return Answer(code, out, err)
