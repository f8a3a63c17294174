"""Does the bucket say of every version what the status says?"""

from __future__ import annotations

from datetime import datetime

from ..hashes import digest
from ..observation import Observation
from ..plan import Plan, WriteRecord
from ..resource import HistoryEntry, Status
from .history import revised
from .run import active


def record(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Write the record of each version whose story has changed, beside its model; last of all, so that it holds up nothing.

    Which records are written is stored, so that a resource at rest is not looked at. To save a write of the status, that is
    stored together with something else, or once nothing is under way.
    """
    status = with_time_of_proof(plan.status)
    marked = status.changed(history=[_marked(seen, entry) for entry in status.history])
    due = [entry for entry in marked.history if entry.recorded != told(entry)]
    if status != seen.resource.status or not _under_way(status):
        status = marked
    return plan.then(*(WriteRecord(entry, told(entry)) for entry in due), status=status)


def told(entry: HistoryEntry) -> str:
    """Digest of everything that an entry says."""
    return digest(entry.changed(recorded=None).dump())


def with_time_of_proof(status: Status) -> Status:
    """The history with the time at which what serves was proven."""
    served = status.served
    if served is None or served.since is None or served.run_id is None:
        return status
    return revised(status, served.run_id, served_at=served.since)


def _marked(seen: Observation, entry: HistoryEntry) -> HistoryEntry:
    written = seen.recorded.get(entry.run_id)
    return entry.changed(recorded=written) if written == told(entry) else entry


def _under_way(status: Status) -> bool:
    served = status.served
    rolling = served is not None and served.target is not None and served.target.run_id != served.run_id
    return active(status) or rolling
