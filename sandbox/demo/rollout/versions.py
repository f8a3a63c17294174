"""Which version answered: the sandbox's addresses name the pod, and the pod says its version."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sandbox.client import GROUP, Resources
from sandbox.controlplane.rest import RestError
from sandbox.demo.requests import Answered
from sandbox.tables import aligned


@dataclass(frozen=True)
class Versions:
    """The versions of pods, each asked for once."""

    resources: Resources
    _known: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, pod: str) -> int | None:
        """Say which version a pod serves; None where nobody knows."""
        with self._lock:
            if pod and pod not in self._known and (found := self._ask(pod)) is not None:
                self._known[pod] = found
            return self._known.get(pod)

    def _ask(self, pod: str) -> int | None:
        try:
            found = self.resources.rest.call(
                "GET", f"/api/v1/namespaces/{self.resources.namespace}/pods/{pod}"
            )
        except (RestError, OSError, http.client.HTTPException):
            return None
        said = (found["metadata"].get("annotations") or {}).get(f"{GROUP}/version")
        return int(said) if said else None


def table(answers: Iterable[Answered], known: Sequence[int]) -> str:
    """How many requests each version answered, and how many of them right; one line each, whoever answered unknown last."""
    found = list(answers)
    rows = [["VERSION", "ANSWERS", "RIGHT"]]
    for version in (*known, None):
        its = [one for one in found if one.version == version]
        if version is None and not its:
            continue
        right = f"{sum(one.right for one in its) / len(its):.1%}" if its else "-"
        rows.append(["unknown" if version is None else str(version), str(len(its)), right])
    return aligned(rows, gap=3)
