"""Watches the API server directly and checks, at every revision, what must hold whatever goes wrong.

Revisions of all objects of one API server are numbers of one row, so that what was stored before what can be told although
each kind is watched apart. The invariants are those that can be seen from outside:

- a version is one run's: its run id, uri and digest never change, and an id never stands for another attempt;
- a run is not forgotten before it ended;
- observedGeneration never falls;
- what an InferenceService serves was accepted in a status that was stored earlier, and what users reach was proven
  without them before, where another version served;
- the operator owns no field by anything but its apply;
- when the finalizer goes, no InferenceService is owned by the resource any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.harness.api import OURS, SERVICES, Api, ApiRefused, Json, until

MANAGER = "trainandserve"
UNDER_WAY = ("Submitting", "Running", "Stopping")


@dataclass(frozen=True)
class Event:
    """One revision of one object."""

    revision: int
    kind: str
    deleted: bool
    body: Json

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])

    @property
    def status(self) -> Json:
        found: Json = self.body.get("status") or {}
        return found


class Recorder:
    """Every revision of the resources and InferenceServices of one namespace."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._paths = {
            "TrainAndServe": OURS.format(namespace=namespace),
            "InferenceService": SERVICES.format(namespace=namespace),
        }
        self._events: list[Event] = []

    @classmethod
    @asynccontextmanager
    async def watching(cls, api: Api, namespace: str) -> AsyncIterator[Recorder]:
        recorder = cls(api, namespace)
        watches = [
            asyncio.create_task(recorder._watch(kind, path), name=f"record {kind}")
            for kind, path in recorder._paths.items()
        ]
        try:
            yield recorder
        finally:
            for watch in watches:
                watch.cancel()
            for watch in watches:
                with contextlib.suppress(asyncio.CancelledError):
                    await watch

    async def _watch(self, kind: str, path: str) -> None:
        version = await self._begin(path)
        while True:  # a server, or what stands before it, ends a watch after some time
            async for what, body in self._api.watch(path, version):
                assert what != "ERROR", f"the watch of {kind} from {version} on: {body}"
                version = body["metadata"]["resourceVersion"]
                self._events.append(Event(int(version), kind, what == "DELETED", body))

    async def _begin(self, path: str) -> str:
        """The version to watch from. An API server that just learned of a kind may ask for patience (429)."""
        while True:
            try:
                return str((await self._api.call("GET", path))["metadata"]["resourceVersion"])
            except ApiRefused as refused:
                if refused.status != 429:
                    raise
            await asyncio.sleep(0.2)

    async def caught_up(self) -> None:
        """Wait until every revision up to now is recorded: those of all objects that are there."""
        wanted = {
            (kind, one["metadata"]["uid"]): int(one["metadata"]["resourceVersion"])
            for kind, path in self._paths.items()
            for one in await self._api.items(path)
        }

        def seen() -> bool:
            known = {(event.kind, event.uid): event.revision for event in self._events}
            return all(known.get(one, 0) >= revision for one, revision in wanted.items())

        await until(seen)

    # --- What was seen --------------------------------------------------------------------------------------------

    def of(self, kind: str, name: str | None = None) -> list[Event]:
        """The revisions of one kind, oldest first."""
        found = [event for event in self._events if event.kind == kind and name in (None, event.name)]
        return sorted(found, key=lambda event: event.revision)

    def statuses(self, name: str) -> list[Json]:
        """The different statuses of a resource, oldest first."""
        found: list[Json] = []
        for event in self.of("TrainAndServe", name):
            if not event.deleted and (not found or found[-1] != event.status):
                found.append(event.status)
        return found

    def phases(self, name: str) -> list[str]:
        """The phases of a resource in their order, each once in a row."""
        found: list[str] = []
        for status in self.statuses(name):
            if status.get("phase") and found[-1:] != [status["phase"]]:
                found.append(status["phase"])
        return found

    def services_made(self, name: str) -> int:
        """How many InferenceServices of that name there ever were."""
        return len({event.uid for event in self.of("InferenceService", name)})

    # --- What must hold -------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Fail with every violation."""
        await self.caught_up()
        assert not (found := list(self.violations())), "\n".join(found)

    def violations(self) -> Iterator[str]:
        yield from self._versions()
        for uid, events in self._by_uid("TrainAndServe").items():
            yield from _generations(events)
            yield from _runs(events)
            yield from self._finalizer(uid, events)
        for event in self.of("InferenceService"):
            yield from self._accepted(event)
            yield from _fields(event)

    def _by_uid(self, kind: str) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = defaultdict(list)
        for event in self.of(kind):
            found[event.uid].append(event)
        return found

    def _versions(self) -> Iterator[str]:
        """What was once said of a run stays so; one id is one attempt at one version of one resource."""
        known: dict[tuple[str, str], tuple[int, Any]] = {}
        for event in self.of("TrainAndServe"):
            for run_id, fact, value in _facts(event):
                revision, before = known.setdefault((run_id, fact), (event.revision, value))
                if before != value:
                    words = f"{fact} of run {run_id} was {before} at {revision}"
                    yield f"{event.name}@{event.revision}: {words} and is {value}"

    def _accepted(self, event: Event) -> Iterator[str]:
        if event.deleted or not _applied_model(event.body):
            return  # of somebody else, or edited by somebody else a moment ago
        uri = event.body["spec"]["predictor"]["model"]["storageUri"]
        earlier = [e for e in self.of("TrainAndServe", _resource(event)) if e.revision < event.revision]
        if not any(_accepts(e.status, uri) for e in earlier):
            yield f"InferenceService {event.name}@{event.revision}: {uri} was not accepted before"
        if event.body["spec"]["predictor"].get("canaryTrafficPercent") == 0:
            return  # in Knative mode, without users
        if event.name == _resource(event) and not any(_before_users(e.status, uri) for e in earlier):
            yield f"InferenceService {event.name}@{event.revision}: {uri} was not proven without users before"

    def _finalizer(self, uid: str, events: list[Event]) -> Iterator[str]:
        gone = next((event for event in events if event.deleted), None)
        if gone is None:
            return
        last: dict[str, Event] = {}
        for event in self.of("InferenceService"):
            if _resource(event) == gone.name and event.revision < gone.revision:
                last[event.uid] = event
        for event in last.values():
            if not event.deleted and uid in _owners(event.body):
                yield f"{gone.name}@{gone.revision}: gone while its InferenceService is there"


def _applied_model(body: Json) -> bool:
    """Whether the model that an InferenceService names is the operator's word."""
    for entry in body["metadata"].get("managedFields", ()):
        spec = entry.get("fieldsV1", {}).get("f:spec", {})
        if entry["manager"] == MANAGER and "f:storageUri" in spec.get("f:predictor", {}).get("f:model", {}):
            return True
    return False


def _owners(body: Json) -> list[str]:
    return [one["uid"] for one in body["metadata"].get("ownerReferences", ())]


def _accepts(status: Json, uri: str) -> bool:
    candidate, served = status.get("candidate") or {}, status.get("served") or {}
    verdict = candidate.get("verdict") or {}
    if verdict.get("accepted") and candidate.get("uri") == uri:
        return True
    return (served.get("target") or {}).get("uri") == uri


def _resource(event: Event) -> str:
    """Name of the resource that an InferenceService is of."""
    found: str = (event.body["metadata"].get("labels") or {}).get("trainandserve.io/name", event.name)
    return found


def _before_users(status: Json, uri: str) -> bool:
    """Whether a version may be before users: it serves, or its turn has come in the rollout."""
    served, rollout = status.get("served") or {}, status.get("rollout") or {}
    if served.get("uri") == uri:
        return True
    return (served.get("target") or {}).get("uri") == uri and rollout.get("stage") != "Proving"


def _facts(event: Event) -> Iterator[tuple[str, str, Any]]:
    """Run id, name of the fact and its value, wherever the status speaks of a run."""
    status = event.status
    served = status.get("served") or {}
    if run := status.get("run"):
        yield run["id"], "attempt", (event.uid, run["version"], run["attempt"])
    spoken = [status.get("candidate"), served, served.get("target"), *status.get("history", ())]
    for one in spoken:
        if one and one.get("runId"):
            for fact in ("version", "uri", "resultDigest"):
                yield one["runId"], fact, one.get(fact)


def _generations(events: list[Event]) -> Iterator[str]:
    before = 0
    for event in events:
        now = event.status.get("observedGeneration")
        if not event.status:  # somebody took the status away
            before = 0
        elif now is not None and now < before:
            yield f"{event.name}@{event.revision}: observedGeneration fell from {before} to {now}"
        before = now or before


def _runs(events: list[Event]) -> Iterator[str]:
    """A run that is under way is in the status until it is said how it ended; the last version number never falls."""
    run: Json = {}
    version = 0
    for event in events:
        if not event.status:
            run, version = {}, 0
            continue
        now = event.status.get("run") or {}
        if run.get("state") in UNDER_WAY and now.get("id") != run["id"]:
            yield f"{event.name}@{event.revision}: run {run['id']} was {run['state']} and is forgotten"
        if (last := event.status.get("lastVersion") or 0) < version:
            yield f"{event.name}@{event.revision}: lastVersion fell from {version} to {last}"
        run, version = now, max(version, last)


def _fields(event: Event) -> Iterator[str]:
    for entry in event.body["metadata"].get("managedFields", ()):
        owned = set(entry.get("fieldsV1", {}))
        if entry["manager"] == MANAGER and entry["operation"] != "Apply" and owned - {"f:metadata"}:
            yield f"InferenceService {event.name}@{event.revision}: {MANAGER} owns {owned} by {entry['operation']}"
