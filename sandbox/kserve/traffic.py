"""Which revision of a Knative InferenceService gets which share of the requests. Pure.

The rules are those of KServe v0.20 (its Knative reconciler and what it makes of the Knative Service's status) and of Knative
Serving's route: read in their sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PREVIOUS, LATEST = "prev", "latest"
ALL = 100

Component = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """A share of the requests.

    Attributes
    ----------
    revision
        Empty for the latest ready one, before it is known which that is.
    latest
        Whether it goes to whatever revision is the latest ready one.
    percent
        Of all requests to the InferenceService's own address, 0 to 100.
    tag
        Name of an address that reaches this revision alone.
    """

    revision: str
    percent: int
    latest: bool
    tag: str = ""

    def to_status(self, tag_url: str | None) -> dict[str, Any]:
        said: dict[str, Any] = {
            "latestRevision": self.latest,
            "percent": self.percent,
            "revisionName": self.revision,
        }
        return said | ({"tag": self.tag, "url": tag_url} if self.tag else {})


def wanted(canary: int | None, rolled_out: str, tagged: bool) -> tuple[Target, ...]:
    """What KServe writes into the Knative Service for ``canaryTrafficPercent``.

    Without it, and as long as nothing was ever rolled out, the latest revision gets everything.
    """
    tag = LATEST if tagged else ""
    if canary is None or not rolled_out:
        return (Target("", ALL, latest=True, tag=tag),)
    latest = Target("", canary, latest=True, tag=tag)
    if canary >= ALL:
        return (latest,)
    return (latest, Target(rolled_out, ALL - canary, latest=False, tag=PREVIOUS))


def resolved(
    targets: Sequence[Target], latest_ready: str, ready: frozenset[str]
) -> tuple[Target, ...] | None:
    """The targets with the latest ready revision named, or None as long as one of them cannot be served."""
    found = tuple(
        Target(target.revision or latest_ready, target.percent, target.latest, target.tag)
        for target in targets
    )
    return found if all(target.revision in ready for target in found) else None


def rolled_out(before: Component, created: str, ready: str, traffic: Sequence[Target]) -> dict[str, str]:
    """``latestRolledoutRevision`` and ``previousRolledoutRevision``: which revision had everything last, and before.

    A share below 100 for a revision that had everything takes the record back to the one before it: this is how a
    promotion is rolled back.
    """
    latest = str(before.get("latestRolledoutRevision", ""))
    previous = str(before.get("previousRolledoutRevision", ""))
    shares: dict[str, int] = {}
    for target in traffic:
        shares[target.revision] = shares.get(target.revision, 0) + target.percent
    for target in traffic:
        if not target.latest or target.revision != ready:
            continue
        if latest != ready:
            if target.percent == ALL:
                latest, previous = ready, latest
        elif ready == created and target.percent < ALL and shares[ready] == ALL and previous:
            latest = previous
    found = {"latestRolledoutRevision": latest, "previousRolledoutRevision": previous}
    return {name: value for name, value in found.items() if value}
