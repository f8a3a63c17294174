"""Must a version that was made already be evaluated again, by a run that makes nothing?

It must where its verdict would rest on a comparison with a version that does not serve any more, and where nothing but the
data that it is evaluated on was edited.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import reasons
from ..changes import EVALUATION_FIELD, between, said, training_fields
from ..hashes import training_hash
from ..resource import Candidate, Run, Status, TrainAndServe, Verdict
from .approval import held, in_use


@dataclass(frozen=True)
class Again:
    """An evaluation that is due: of which version, against which one, and why."""

    candidate: Candidate
    incumbent: int | None
    reason: str

    def tried_by(self, run: Run | None, asked: str) -> bool:
        """Whether a run was made for just this; `asked` is the hash of what the resource asks for."""
        return (
            run is not None
            and run.only_evaluates
            and (run.made_by, run.incumbent, run.training_hash)
            == (self.candidate.run_id, self.incumbent, asked)
        )


def evaluation_due(resource: TrainAndServe, status: Status) -> Again | None:
    """The evaluation that is due; None where none is, or where it takes a training."""
    return _on_other_data(resource, status) or _against_another(resource, status)


def compared_with_another(resource: TrainAndServe, status: Status, candidate: Candidate) -> bool:
    """Whether a bound on regression would be taken against a version that no longer serves.

    A version that serves itself, or is to serve, is compared with nothing else any more.
    """
    if in_use(status, candidate.run_id):
        return False
    incumbent = candidate.incumbent.version if candidate.incumbent else None
    return _serving(status) != incumbent and any(
        metric.max_regression is not None for metric in resource.spec.metrics
    )


def open_to_comparison(resource: TrainAndServe, status: Status) -> bool:
    """Whether the newest version could be compared without being made again: it is what the resource asks for now.

    What was tried since, and failed, is not forgotten for it.
    """
    candidate = status.candidate
    if candidate is None or not _last_made(status, candidate):
        return False
    asked = training_hash(resource.changed(status=status))
    return asked == candidate.answers_to == status.last_training_hash


def settled(status: Status) -> bool:
    """Whether no version is on its way to serve: else the one to compare with may be another in a moment."""
    served = status.served
    return served is None or served.target is None or served.target.run_id == served.run_id


def undecided(verdict: Verdict | None) -> bool:
    """Whether the last word on a version is still to come, from the operator or from a person."""
    return verdict is not None and (verdict.reason == reasons.INCUMBENT_CHANGED or held(verdict))


def against(incumbent: int | None) -> str:
    """The other side of a comparison, in words."""
    return (
        "alone, for no other version serves"
        if incumbent is None
        else f"against version {incumbent}, which serves now"
    )


def _against_another(resource: TrainAndServe, status: Status) -> Again | None:
    candidate = status.candidate
    if candidate is None or not undecided(candidate.verdict) or not settled(status):
        return None
    if not open_to_comparison(resource, status) or not compared_with_another(resource, status, candidate):
        return None
    incumbent = _serving(status)
    return Again(candidate, incumbent, f"evaluates version {candidate.version} {against(incumbent)}")


def _on_other_data(resource: TrainAndServe, status: Status) -> Again | None:
    """The newest version on the data that the resource names now, where that is all that was edited since it was made."""
    candidate, run = status.candidate, status.run
    if candidate is None or candidate.verdict is None or run is None or run.inputs is None:
        return None
    if candidate.verdict.reason == reasons.FAILED_TO_SERVE or not _last_made(status, candidate):
        return None
    # Without that hash another training is asked for, whatever was edited.
    if not status.last_training_hash or status.last_training_hash == training_hash(
        resource.changed(status=status)
    ):
        return None
    changes = between(run.inputs, training_fields(resource.changed(status=status)))
    if any(one.field != EVALUATION_FIELD for one in changes) or not (changes or run.only_evaluates):
        return None
    other = _serving(status) if _serving(status) != candidate.version else None
    words = f": {said(changes)}" if changes else ""
    return Again(candidate, other, f"evaluates version {candidate.version} on other data{words}")


def _last_made(status: Status, candidate: Candidate) -> bool:
    """Whether no run for another version came after the one that made this; none at all is known after a lost status."""
    return status.run is None or status.run.made_by == candidate.run_id


def _serving(status: Status) -> int | None:
    return status.served.version if status.served else None
