"""A namespace of a cluster as its user sees it: what is in it, and waiting for what the operator says."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.api import APPLY, MERGE, OURS, SERVICES, WORKFLOWS, Api, Json, until
from trainandserve.decide.record import told as what_is_told
from trainandserve.resource import HistoryEntry


class Namespace:
    """One namespace.

    Attributes
    ----------
    seconds
        How long to wait where a call does not say it (`until` waits a multiple).
    every
        Seconds between two looks.
    """

    seconds = 30.0
    every = 0.04

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    # --- Objects --------------------------------------------------------------------------------------------------

    def path(self, kind: str, name: str = "") -> str:
        return kind.format(namespace=self.namespace) + (f"/{name}" if name else "")

    async def items(self, kind: str) -> list[Json]:
        return await self.api.items(self.path(kind))

    async def create(self, plural: str, body: Json) -> Json:
        return await self.api.call("POST", f"/api/v1/namespaces/{self.namespace}/{plural}", body)

    async def applied(self, body: Json) -> Json:
        """Apply a resource on the server's side, as `kubectl apply --server-side` does."""
        path = self.path(OURS, body["metadata"]["name"])
        query = "fieldManager=kubectl&force=true&fieldValidation=Strict"
        return await self.api.call("PATCH", f"{path}?{query}", body, APPLY)

    async def patch(self, name: str, body: Json, kind: str = OURS) -> Json:
        return await self.api.call("PATCH", self.path(kind, name), body, MERGE)

    async def retrain(self, name: str, token: str) -> None:
        await self.patch(name, {"metadata": {"annotations": {"trainandserve.io/retrain": token}}})

    async def delete(self, name: str, kind: str = OURS) -> None:
        await self.api.call("DELETE", self.path(kind, name))

    async def gone(self, name: str, kind: str = OURS, seconds: float | None = None) -> None:
        async def absent() -> bool:
            return await self.api.get(self.path(kind, name)) is None

        await until(absent, seconds or self.seconds, lambda: self.api.get(self.path(kind, name)), self.every)

    # --- What is seen ---------------------------------------------------------------------------------------------

    async def resource(self, name: str) -> Json:
        return await self.api.call("GET", self.path(OURS, name))

    async def status(self, name: str) -> Json:
        return (await self.resource(name)).get("status") or {}

    async def service(self, name: str) -> Json | None:
        return await self.api.get(self.path(SERVICES, name))

    async def workflows(self) -> list[Json]:
        return await self.items(WORKFLOWS)

    async def events(self, name: str) -> list[Json]:
        """The operator's events about a resource, oldest first."""
        found = await self.api.items(f"/api/v1/namespaces/{self.namespace}/events")
        ours = [e for e in found if e["involvedObject"]["kind"] == "TrainAndServe"]
        ours = [e for e in ours if e["involvedObject"]["name"] == name]
        return sorted(ours, key=lambda event: int(event["metadata"]["resourceVersion"]))

    async def reasons(self, name: str) -> list[str]:
        return [event["reason"] for event in await self.events(name)]

    async def status_with(
        self, name: str, holds: Callable[[Json], bool], seconds: float | None = None
    ) -> Json:
        """Wait for a status of which something is true; the status."""

        async def found() -> Json | None:
            status = await self.status(name)
            return status if holds(status) else None

        status: Json = await until(found, seconds or self.seconds, lambda: self.status(name), self.every)
        return status

    async def settles(self, name: str, seconds: float | None = None, **conditions: str) -> Json:
        """Wait for conditions, each ``Ready="True/Serving"``; an empty text waits until there is none. The status."""

        def holds(status: Json) -> bool:
            found = told(status)
            return all(_fits(found.get(kind, ""), wanted) for kind, wanted in conditions.items())

        return await self.status_with(name, holds, seconds)

    async def serves(self, name: str, version: int, seconds: float | None = None) -> Json:
        """Wait until a version is proven to serve, nothing is under way and its record is written; the status."""

        def holds(status: Json) -> bool:
            return served(status) == version and status["phase"] == "Serving" and recorded(status)

        return await self.status_with(name, holds, seconds)


def told(status: Json) -> dict[str, str]:
    """Conditions as ``{"Ready": "True/Serving"}``."""
    return {one["type"]: f"{one['status']}/{one['reason']}" for one in status.get("conditions", ())}


def message(status: Json, kind: str) -> str:
    return next((str(one["message"]) for one in status.get("conditions", ()) if one["type"] == kind), "")


def served(status: Json) -> int | None:
    """The version that is proven to serve."""
    found: int | None = (status.get("served") or {}).get("version")
    return found


def recorded(status: Json) -> bool:
    """Whether the records of all versions are written, and that is noted: then nothing is written any more."""
    entries = [HistoryEntry.model_validate(entry) for entry in status.get("history", ())]
    return all(entry.recorded == what_is_told(entry) for entry in entries)


def _fits(found: str, wanted: str) -> bool:
    return found == wanted or (bool(wanted) and "/" not in wanted and found.startswith(f"{wanted}/"))
