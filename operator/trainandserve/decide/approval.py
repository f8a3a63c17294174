"""Was a version that waits for a person approved?"""

from __future__ import annotations

from datetime import datetime

from .. import reasons
from ..hashes import bounded
from ..names import APPROVE
from ..observation import Observation
from ..plan import Note, Plan
from ..resource import Candidate, Status, Verdict
from .history import remember

_HELD = (reasons.AWAITING_APPROVAL, reasons.INCONCLUSIVE)


def held(verdict: Verdict | None) -> bool:
    """Whether a verdict says neither yes nor no: it is for a person to say."""
    return verdict is not None and not verdict.accepted and verdict.reason in _HELD


def awaiting(status: Status) -> Candidate | None:
    """The version that waits for a person; None where none does.

    One that serves, or is to be served, waits for nobody, whatever an edit of the bounds made of its verdict.
    """
    candidate, served = status.candidate, status.served
    if candidate is None or not held(candidate.verdict) or in_use(status, candidate.run_id):
        return None
    return candidate if served is None or served.run_id != candidate.run_id else None


def in_use(status: Status, run_id: str) -> bool:
    """Whether a version serves or is to be served."""
    served = status.served
    return served is not None and run_id in (served.run_id, served.target.run_id if served.target else None)


def token(candidate: Candidate) -> str:
    """What the annotation must say to approve this version with just this result: ``<version>@<first 8 of the digest>``.

    The digest is that of the file with the numbers that a person looks at: the result, or the evaluation that came after it.
    """
    return f"{candidate.version}@{candidate.evidence.removeprefix('sha256:')[:8]}"


def asking(candidate: Candidate) -> str:
    """What a person is to write, to the letter."""
    return f'it waits for approval: set the annotation {APPROVE}: "{token(candidate)}"'


def approve(seen: Observation, plan: Plan, now: datetime) -> Plan:
    """Take the annotation for a yes to the version that waits; one for anything else does nothing, and that is said once."""
    asked = seen.resource.metadata.annotations.get(APPROVE)
    if asked is None:
        return plan
    waits = awaiting(plan.status)
    if waits is not None and asked == token(waits):
        return _approved(seen, plan, waits, now)
    if plan.status.last_handled_approval == bounded(asked):
        return plan
    plan = plan.then(status=plan.status.changed(last_handled_approval=bounded(asked)))
    candidate = plan.status.candidate
    if (
        candidate is not None
        and asked == token(candidate)
        and candidate.verdict
        and candidate.verdict.accepted
    ):
        return plan
    return plan.then(notes=(Note("Warning", reasons.APPROVAL_IGNORED, _ignored(plan.status, asked)),))


def _approved(seen: Observation, plan: Plan, candidate: Candidate, now: datetime) -> Plan:
    assert candidate.verdict is not None
    verdict = candidate.verdict.changed(
        accepted=True,
        reason=reasons.APPROVED,
        message=f"approved by annotation; {candidate.verdict.message}"[:2048],
        approved_at=now,
        at=now,
    )
    status = plan.status.changed(
        candidate=candidate.changed(verdict=verdict), last_handled_approval=token(candidate)
    )
    words = f"version {candidate.version}: {verdict.message}"
    return plan.then(
        status=remember(seen.resource, status),
        notes=(Note("Normal", reasons.VERSION_ACCEPTED, words[:1000]),),
    )


def _ignored(status: Status, asked: str) -> str:
    words = f'the annotation {APPROVE}: "{asked[:60]}" approves nothing'
    if waits := awaiting(status):
        return f'{words}: what waits for approval is "{token(waits)}"'
    candidate = status.candidate
    if candidate is not None and asked == token(candidate) and candidate.verdict is not None:
        return f"{words}: version {candidate.version} was turned down ({candidate.verdict.reason}); a pin serves it all the same"
    return f"{words}: no version waits for approval"
