"""What a pass may speak to, and what a process remembers of a resource between passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..cache import Cache
from ..gateways.kfp import Kfp
from ..gateways.kubernetes import Kubernetes
from ..gateways.predictor import Predictor
from ..gateways.prometheus import Prometheus
from ..gateways.s3 import S3
from ..observation import Policy, Problem
from ..rate_limit import Rate
from ..run_slots import Slots
from ..settings import Settings
from .answers import Answers


class NotLeadingError(Exception):
    """Another operator may act now."""


@dataclass
class World:
    """Everything outside, each behind its one door."""

    settings: Settings
    policy: Policy
    kubernetes: Kubernetes
    kfp: Kfp
    s3: S3
    predictor: Predictor
    cache: Cache
    slots: Slots
    run_reads: Rate
    leading: Callable[[], bool] = lambda: True
    """Whether this process still holds the lease, by its own clock."""
    prometheus: Prometheus | None = None
    """Absent where none is set."""

    def check_leading(self) -> None:
        """Before every effect: a leader that was stopped and resumed may have been replaced.

        Raises
        ------
        NotLeadingError
            The lease is not held any more.
        """
        if not self.leading():
            raise NotLeadingError("the lease was lost")


@dataclass
class Memory:
    """What a process remembers of a resource; nothing that cannot be found out again."""

    run_id: str = ""
    run_read_at: datetime | None = None
    progress: str = ""
    progress_since: datetime | None = None
    failure: Problem | None = None
    answers: Answers = field(default_factory=Answers)
    pruned: str | None = None
    """What the versions in the bucket were last found in order for."""
    recorded: dict[str, str] = field(default_factory=dict)
    """Digests of the records written, by run, for the versions in the history."""
    samples: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
