"""What is kept of past versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .. import reasons
from ..resource import Candidate, HistoryEntry, Status, TrainAndServe

_DEFAULT_HISTORY = 10


def remember(resource: TrainAndServe, status: Status, now: datetime) -> Status:
    """Put the candidate, as it was judged, at the head of the history."""
    candidate = status.candidate
    if candidate is None or candidate.verdict is None:
        return status
    entry = HistoryEntry(
        version=candidate.version,
        run_id=candidate.run_id,
        uri=candidate.uri,
        verdict=candidate.verdict.reason,
        metrics=candidate.metrics,
        data_digest=candidate.data_digest,
        result_digest=candidate.result_digest,
        at=now,
    )
    others = [one for one in status.history if one.run_id != candidate.run_id]
    return status.changed(history=[entry, *others][: resource.spec.history_limit or _DEFAULT_HISTORY])


def overtaken(status: Status, waited: Candidate) -> Status:
    """The history with a version that waited for approval marked as overtaken: it is not asked for any more."""
    return revised(status, waited.run_id, verdict=reasons.SUPERSEDED)


def revised(status: Status, run_id: str, **fields: Any) -> Status:
    """The history with one version's entry changed."""
    return status.changed(
        history=[one.changed(**fields) if one.run_id == run_id else one for one in status.history]
    )
