"""Which revision of a Knative InferenceService gets which share, as KServe and Knative have it."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.kserve import revisions
from sandbox.kserve.revisions import Revision, latest_ready
from sandbox.kserve.traffic import Target, resolved, rolled_out, wanted
from tests.unit.sandbox_kserve.test_kserve_manifests import TENSORFLOW_RUNTIME, service

KNATIVE = {"serving.kserve.io/deploymentMode": "Knative"}


def said(targets: Any) -> list[str]:
    """``"latest 10"``, ``"00001 90 prev"``."""
    return [
        " ".join(filter(None, [one.revision or "latest", str(one.percent), one.tag])) for one in targets or []
    ]


@pytest.mark.parametrize(
    ("canary", "rolled", "tagged", "expected"),
    [
        pytest.param(None, "", False, ["latest 100"], id="the first version ever"),
        pytest.param(10, "", False, ["latest 100"], id="the first version ever is never split"),
        pytest.param(None, "00001", False, ["latest 100"], id="without the field all at once"),
        pytest.param(10, "00001", False, ["latest 10", "00001 90 prev"], id="a canary"),
        pytest.param(0, "00001", False, ["latest 0", "00001 100 prev"], id="taken back"),
        pytest.param(100, "00001", False, ["latest 100"], id="promoted"),
        pytest.param(10, "00001", True, ["latest 10 latest", "00001 90 prev"], id="with an address for it"),
    ],
)
def test_kserve_asks_for_these_shares(
    canary: int | None, rolled: str, tagged: bool, expected: list[str]
) -> None:
    assert said(wanted(canary, rolled, tagged)) == expected


@pytest.mark.parametrize(
    ("canary", "ready", "expected"),
    [
        pytest.param(10, {"00001"}, ["00001 10", "00001 90 prev"], id="loading: the old one has it all"),
        pytest.param(10, {"00001", "00002"}, ["00002 10", "00001 90 prev"], id="ready: split"),
        pytest.param(10, {"00002"}, [], id="the stable one is not ready: nothing changes"),
    ],
)
def test_the_latest_revision_is_the_latest_ready_one(
    canary: int, ready: set[str], expected: list[str]
) -> None:
    targets = wanted(canary, "00001", tagged=False)
    assert said(resolved(targets, max(ready), frozenset(ready))) == expected


@pytest.mark.parametrize(
    ("before", "created", "ready", "traffic", "expected"),
    [
        pytest.param(("", ""), 1, 1, [(1, 100)], ("1", ""), id="the first"),
        pytest.param(("1", ""), 2, 1, [(1, 10), (1, 90)], ("1", ""), id="a canary loads"),
        pytest.param(("1", ""), 2, 2, [(2, 10), (1, 90)], ("1", ""), id="a canary has its share"),
        pytest.param(("1", ""), 2, 2, [(2, 100)], ("2", "1"), id="promoted"),
        pytest.param(("2", "1"), 2, 2, [(2, 0), (2, 100)], ("1", "1"), id="rolled back after its promotion"),
        pytest.param(("2", ""), 2, 2, [(2, 0), (2, 100)], ("2", ""), id="nothing to roll back to"),
        pytest.param(("2", "1"), 3, 2, [(2, 10), (2, 90)], ("2", "1"), id="the next one loads"),
    ],
)
def test_kserve_remembers_what_had_all_the_traffic(
    before: tuple[str, str],
    created: int,
    ready: int,
    traffic: list[tuple[int, int]],
    expected: tuple[str, str],
) -> None:
    component = dict(zip(("latestRolledoutRevision", "previousRolledoutRevision"), before, strict=True))
    targets = [Target(str(name), share, latest=not at) for at, (name, share) in enumerate(traffic)]
    found = rolled_out(component, str(created), str(ready), targets)
    assert (found.get("latestRolledoutRevision", ""), found.get("previousRolledoutRevision", "")) == expected


def revision(generation: int, *, ready: int = 0, was_ready: bool = False, crashed: bool = False) -> Revision:
    failure = ("ExitCode1", "Container failed with: boom") if crashed else None
    return Revision(f"r{generation}", generation, "hash", was_ready or ready > 0, 1, ready, failure)


def test_the_latest_ready_revision_never_goes_back() -> None:
    idle, serving = revision(1, was_ready=True), revision(2, ready=1)
    assert latest_ready([idle, serving], "r2") == "r2"
    assert latest_ready([idle, revision(2, was_ready=True, crashed=True)], "r2") == "r2"
    assert latest_ready([idle, revision(2)], "r1") == "r1"


def test_traffic_alone_makes_no_revision_and_scale_does() -> None:
    def template(**predictor: Any) -> Any:
        return revisions.template(service(annotations=KNATIVE, predictor=predictor), TENSORFLOW_RUNTIME)

    assert template(canaryTrafficPercent=10) == template()
    assert template(minReplicas=2) != template()


def test_knative_refuses_what_its_webhook_refuses() -> None:
    one = service(annotations=KNATIVE, lifecycle={"preStop": {"sleep": {"seconds": 6}}})
    refusal = revisions.refused(revisions.template(one, TENSORFLOW_RUNTIME))
    assert refusal is not None
    assert refusal.endswith("must not set the field(s): spec.template.spec.containers[0].lifecycle")
    two = service(annotations=KNATIVE, predictor={"nodeSelector": {"disk": "fast"}})
    assert "spec.template.spec.nodeSelector" in str(
        revisions.refused(revisions.template(two, TENSORFLOW_RUNTIME))
    )
    assert revisions.refused(revisions.template(service(annotations=KNATIVE), TENSORFLOW_RUNTIME)) is None
