"""What a decision says: the status to store, then the effects, the events and when to look again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from .resource import HistoryEntry, Run, Status, Target


@dataclass(frozen=True)
class AddFinalizer:
    """Hold the resource's deletion until the operator has cleaned up."""


@dataclass(frozen=True)
class RemoveFinalizer:
    """Let the resource go: always the last effect."""


@dataclass(frozen=True)
class SubmitRun:
    """POST the run, once: only by the pass whose own write stored it as Submitting."""

    run: Run


@dataclass(frozen=True)
class TerminateRun:
    """Ask Kubeflow Pipelines to stop a run; harmless when repeated."""

    id: str


@dataclass(frozen=True)
class DeleteWorkflow:
    """Delete a Workflow that has no run behind it."""

    namespace: str
    name: str


@dataclass(frozen=True)
class ApplyInferenceService:
    """Server-side apply of what is to be served, from the resourceVersion that was seen (empty: it was absent)."""

    target: Target
    resource_version: str
    canary: int | None = None
    """In Knative mode, the percentage of the requests that it is to get; None: all."""


@dataclass(frozen=True)
class DeleteInferenceService:
    """Delete our InferenceService."""


@dataclass(frozen=True)
class ApplyCandidateService:
    """Server-side apply of the second InferenceService, on which a version is proven without users."""

    target: Target
    resource_version: str


@dataclass(frozen=True)
class DeleteCandidateService:
    """Delete our second InferenceService."""


@dataclass(frozen=True)
class ReleaseInferenceService:
    """Take our owner reference off, so that the InferenceService outlives the resource."""


@dataclass(frozen=True)
class DeleteVersions:
    """Delete what the resource wrote into its storage."""


@dataclass(frozen=True)
class DeleteVersion:
    """Delete what one attempt of ours at a version wrote; its result first, so that it never looks complete."""

    version: int
    run_id: str
    prefix: str


@dataclass(frozen=True)
class WriteRecord:
    """Write a version's record beside its model; `digest` is that of what the entry says."""

    entry: HistoryEntry
    digest: str


Action: TypeAlias = (
    AddFinalizer
    | RemoveFinalizer
    | SubmitRun
    | TerminateRun
    | DeleteWorkflow
    | ApplyInferenceService
    | DeleteInferenceService
    | ApplyCandidateService
    | DeleteCandidateService
    | ReleaseInferenceService
    | DeleteVersions
    | DeleteVersion
    | WriteRecord
)


@dataclass(frozen=True)
class Note:
    """A Kubernetes event, sent after the status that it speaks of was stored."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """The answer of a decision.

    `wake` is when to look again without an event; `again` asks for another look with a growing pause, for what is missing
    outside and says nothing when it comes.
    """

    status: Status
    actions: tuple[Action, ...] = ()
    notes: tuple[Note, ...] = ()
    wake: datetime | None = None
    again: bool = False

    def then(
        self,
        *actions: Action,
        status: Status | None = None,
        notes: tuple[Note, ...] = (),
        wake: datetime | None = None,
        again: bool = False,
    ) -> Plan:
        """This plan with more of it: the earlier time to wake wins."""
        wakes = [moment for moment in (self.wake, wake) if moment is not None]
        return replace(
            self,
            status=status if status is not None else self.status,
            actions=(*self.actions, *actions),
            notes=(*self.notes, *notes),
            wake=min(wakes, default=None),
            again=self.again or again,
        )
