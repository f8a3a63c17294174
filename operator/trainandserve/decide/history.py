"""What is kept of past versions."""

from __future__ import annotations

from typing import Any

from .. import reasons
from ..resource import Candidate, HistoryEntry, Status, TrainAndServe, Verdict

_DEFAULT_HISTORY = 10
GOOD = (reasons.ACCEPTED, reasons.APPROVED)
"""Verdicts of versions that may be served."""

_OF_THE_RUN = ("attempt", "trigger", "run_url", "pipeline_digest", "submitted_at", "finished_at")


def remember(resource: TrainAndServe, status: Status) -> Status:
    """Put the candidate, as it was judged, at the head of the history."""
    candidate = status.candidate
    if candidate is None or candidate.verdict is None:
        return status
    entry = _entry(status, candidate, candidate.verdict)
    others = [one for one in status.history if one.run_id != candidate.run_id]
    return status.changed(history=_within([entry, *others], history_limit(resource)))


def history_limit(resource: TrainAndServe) -> int:
    """How many versions the history holds."""
    return resource.spec.history_limit or _DEFAULT_HISTORY


def entry_of(status: Status, run_id: str) -> HistoryEntry | None:
    """What the history holds of the version that a run made; None where nothing is known of it."""
    return next((one for one in status.history if one.run_id == run_id), None)


def _entry(status: Status, candidate: Candidate, verdict: Verdict) -> HistoryEntry:
    """What is known of the candidate: from its verdict, from its run while that is the last one, else from before."""
    before = entry_of(status, candidate.run_id)
    entry = HistoryEntry(
        version=candidate.version,
        run_id=candidate.run_id,
        uri=candidate.uri,
        result_digest=candidate.result_digest,
        training_hash=candidate.training_hash,
        data_digest=candidate.data_digest,
        metrics=candidate.metrics,
        samples=candidate.samples,
        incumbent=candidate.incumbent.version if candidate.incumbent else None,
        evaluation=candidate.evaluation,
        verdict=verdict.reason,
        message=verdict.message,
        checks=verdict.checks,
        analysis=verdict.analysis or (before.analysis if before else None),
        gate_hash=verdict.gate_hash,
        at=verdict.at,
        approved_at=verdict.approved_at,
        served_at=before.served_at if before else None,
        recorded=before.recorded if before else None,
    )
    run = status.run
    if run is not None and run.id == candidate.run_id:
        return entry.changed(
            attempt=run.attempt,
            trigger=run.reason,
            run_url=run.url,
            pipeline_digest=run.pipeline_digest,
            submitted_at=run.submitted_at,
            finished_at=run.finished_at,
        )
    return entry.changed(**{name: getattr(before, name) for name in _OF_THE_RUN}) if before else entry


def _within(entries: list[HistoryEntry], limit: int) -> list[HistoryEntry]:
    """The newest entries; the newest good one is not pushed out by any number of bad ones, for a pin may end."""
    kept, rest = entries[:limit], entries[limit:]
    good = next((one for one in rest if one.verdict in GOOD), None)
    if good is None or limit < 2 or any(one.verdict in GOOD for one in kept):
        return kept
    return [*kept[:-1], good]


def overtaken(status: Status, waited: Candidate) -> Status:
    """The history with a version that waited for approval marked as overtaken: it is not asked for any more."""
    return revised(status, waited.run_id, verdict=reasons.SUPERSEDED)


def unservable(status: Status, run_id: str, why: str) -> Status:
    """The status that remembers of a version that it could not be served: by its history, and by the pin that asked for it."""
    status = revised(status, run_id, verdict=reasons.FAILED_TO_SERVE, message=why[:2048])
    if status.pin is not None and status.pin.run_id == run_id:
        status = status.changed(pin=status.pin.changed(failed=why[:2048]))
    return status


def revised(status: Status, run_id: str, **fields: Any) -> Status:
    """The history with one version's entry changed."""
    return status.changed(
        history=[one.changed(**fields) if one.run_id == run_id else one for one in status.history]
    )
