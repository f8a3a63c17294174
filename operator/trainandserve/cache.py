"""What the watches brought: the newest known state of every object, by key.

An object never goes back: an event that was overtaken by the answer to one of our own writes is dropped. resourceVersions
of one kind are compared as numbers, as the API server's own storage orders them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from .inference_service import is_our_apply
from .names import INFERENCE_SERVICE_LABEL, KFP_RUN_LABEL, OWNER, REVISION, RUN_ID, SOURCE_URI
from .observation import Deployment, Workflow
from .resource import TrainAndServe

Key = tuple[str, str]
"""Namespace and name of a TrainAndServe."""

Body = Mapping[str, Any]


def _version(body: Body) -> int:
    try:
        return int(body["metadata"].get("resourceVersion") or 0)
    except ValueError:
        return 0


def _without_foreign_fields(body: Body) -> Body:
    """The body without managedFields, which are as large as all the rest; only what we applied ourselves is read here."""
    metadata = dict(body["metadata"])
    if ours := [entry for entry in metadata.pop("managedFields", None) or () if is_our_apply(entry)]:
        metadata["managedFields"] = ours
    return {**body, "metadata": metadata}


class Store:
    """The newest bodies of one kind."""

    def __init__(self) -> None:
        self._bodies: dict[Key, Body] = {}

    def put(self, key: Key, body: Body) -> bool:
        """Take a body unless a newer one is known, of the same object or of its successor; whether it was taken."""
        known = self._bodies.get(key)
        if known is not None and _version(known) > _version(body):
            return False
        self._bodies[key] = _without_foreign_fields(body)
        return True

    def drop(self, key: Key, uid: str | None = None) -> None:
        """Forget an object; with a uid, only that one and not its successor of the same name."""
        known = self._bodies.get(key)
        if known is not None and (uid is None or known["metadata"].get("uid") == uid):
            del self._bodies[key]

    def missing(self, listed: set[Key], version: int) -> list[Key]:
        """Keys that a whole list of this version lacks, and that were not seen later than it."""
        return [key for key, body in self._bodies.items() if key not in listed and _version(body) <= version]

    def get(self, key: Key) -> Body | None:
        """The newest known body."""
        return self._bodies.get(key)

    def keys(self) -> list[Key]:
        """All keys."""
        return list(self._bodies)


class Cache:
    """All that the watches know."""

    def __init__(self) -> None:
        self.resources = Store()
        self.inference_services = Store()
        self.deployments = Store()
        self._parsed: dict[Key, tuple[int, TrainAndServe | ValidationError]] = {}
        self._workflows: dict[str, dict[Key, Workflow]] = defaultdict(dict)
        self._runs: dict[str, Key] = {}
        self._runs_of: dict[Key, set[str]] = {}

    def put_resource(self, key: Key, body: Body) -> None:
        """Take a resource, and remember whose its runs are."""
        if not self.resources.put(key, body):
            return
        status = body.get("status") or {}
        runs = [
            (status.get("run") or {}).get("id"),
            *(one.get("id") for one in status.get("abandoned") or ()),
        ]
        self._remember_runs(key, {run for run in runs if run})

    def drop_resource(self, key: Key, uid: str | None = None) -> None:
        """Forget a resource and its runs."""
        self.resources.drop(key, uid)
        if self.resources.get(key) is None:
            self._parsed.pop(key, None)
            self._remember_runs(key, set())

    def _remember_runs(self, key: Key, runs: set[str]) -> None:
        for run in self._runs_of.pop(key, set()) - runs:
            self._runs.pop(run, None)
        if runs:
            self._runs_of[key] = runs
            self._runs.update(dict.fromkeys(runs, key))

    def owner_of_run(self, run_id: str) -> Key | None:
        """The resource that a run belongs to."""
        return self._runs.get(run_id)

    def resource(self, key: Key) -> TrainAndServe | ValidationError | None:
        """The resource; the error where its specification is none that this operator understands."""
        body = self.resources.get(key)
        if body is None:
            self._parsed.pop(key, None)
            return None
        known = self._parsed.get(key)
        if known is None or known[0] != id(body):
            known = (id(body), parse(body))
            self._parsed[key] = known
        return known[1]

    def all_resources(self) -> Iterator[TrainAndServe]:
        """Every resource that can be read."""
        for key in self.resources.keys():  # noqa: SIM118 - a copy: the store may change meanwhile
            if isinstance(found := self.resource(key), TrainAndServe):
                yield found

    def deployment(self, key: Key) -> Deployment | None:
        """The Deployment behind the InferenceService of that key, or the revision."""
        body = self.deployments.get(key)
        return deployment(body) if body is not None else None

    # --- Workflows ------------------------------------------------------------------------------------------------

    def put_workflow(self, metadata: Body) -> str:
        """Take a Workflow's metadata; the id of its run."""
        found = workflow(metadata)
        self._workflows[found.run_id][(found.namespace, found.name)] = found
        return found.run_id

    def drop_workflow(self, metadata: Body) -> str:
        """Forget a Workflow; the id of its run."""
        found = workflow(metadata)
        flows = self._workflows.get(found.run_id, {})
        flows.pop((found.namespace, found.name), None)
        if not flows:
            self._workflows.pop(found.run_id, None)
        return found.run_id

    def replace_workflows(self, items: Sequence[Body]) -> None:
        """Take a whole list of Workflows."""
        self._workflows.clear()
        for item in items:
            self.put_workflow(item["metadata"])

    def workflows(self, run_id: str) -> tuple[Workflow, ...]:
        """The Workflows of a run."""
        return tuple(self._workflows.get(run_id, {}).values())


def parse(body: Body) -> TrainAndServe | ValidationError:
    """Read a resource; the error instead where it cannot be read."""
    try:
        return TrainAndServe.model_validate(body)
    except ValidationError as error:
        return error


def workflow(metadata: Body) -> Workflow:
    """A Workflow from its metadata."""
    labels = metadata.get("labels") or {}
    return Workflow(
        metadata["namespace"],
        metadata["name"],
        labels.get(KFP_RUN_LABEL, ""),
        labels.get("workflows.argoproj.io/phase", ""),
    )


def deployment(body: Body) -> Deployment:
    """A Deployment, as far as it proves what is served."""
    template = body["spec"].get("template", {}).get("metadata", {}).get("annotations") or {}
    status = body.get("status") or {}
    failed = [one for one in status.get("conditions") or () if one.get("type") == "ReplicaFailure"]
    owners = body["metadata"].get("ownerReferences") or ()
    return Deployment(
        run_id=template.get(RUN_ID),
        source_uri=template.get(SOURCE_URI),
        generation=body["metadata"].get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        desired=body["spec"].get("replicas", 1),
        replicas=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        name=body["metadata"].get("name", ""),
        owner=next((one["uid"] for one in owners if one["kind"] == "InferenceService"), None),
        refusal=next((str(one.get("message")) for one in failed if one.get("status") == "True"), None),
    )


def owner_of_deployment(body: Body) -> Key | None:
    """What a Deployment stands behind: an InferenceService, by KServe's label; in Knative mode one of its revisions."""
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    name = labels.get(REVISION) or labels.get(INFERENCE_SERVICE_LABEL)
    return (metadata["namespace"], name) if name else None


def resource_of(body: Body) -> Key | None:
    """The resource that an InferenceService belongs to, or a Deployment: KServe hands our label on to it."""
    metadata = body["metadata"]
    name = (metadata.get("labels") or {}).get(OWNER)
    return (metadata["namespace"], name) if name else None
