"""What the stand-in's deployment controller decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.kserve.rollout import (
    DeploymentFacts,
    PodView,
    Rollout,
    came_forward,
    decide,
    deployment_status,
)

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def pods(*rows: str) -> tuple[PodView, ...]:
    """``"a old ready"``: name, template, state."""
    views = [row.split() for row in rows]
    return tuple(PodView(name, template, state == "ready") for name, template, state in views)


@pytest.mark.parametrize(
    ("present", "replicas", "expected"),
    [
        pytest.param([], 1, Rollout(1, ()), id="nothing there: one is created"),
        pytest.param(["a new loading"], 1, Rollout(0, ()), id="one loads: nothing to do"),
        pytest.param(["a old ready"], 1, Rollout(1, ()), id="another template: one more than wanted"),
        pytest.param(["a old ready", "b new loading"], 1, Rollout(0, ()), id="the old one serves on"),
        pytest.param(["a old ready", "b new ready"], 1, Rollout(0, ("a",)), id="ready: the old one goes"),
        pytest.param(
            ["a old ready", "b bad loading"], 1, Rollout(0, ("b",)), id="a stuck one makes room for the next"
        ),
        pytest.param(
            ["a old ready", "b old ready", "c old ready"], 3, Rollout(1, ()), id="three replicas: one more"
        ),
        pytest.param(
            ["a old ready", "b old ready", "c old ready", "d new ready"],
            3,
            Rollout(0, ("a",)),
            id="three replicas: one of the old goes",
        ),
        pytest.param(
            ["a old ready"] * 4, 4, Rollout(1, ("a",)), id="four replicas: one may be missing meanwhile"
        ),
        pytest.param(
            ["a new ready", "b new loading"], 1, Rollout(0, ("b",)), id="too many: one not ready goes first"
        ),
    ],
)
def test_a_rolling_update_goes_step_by_step(present: list[str], replicas: int, expected: Rollout) -> None:
    assert decide(pods(*present), "new", replicas) == expected


def facts(*rows: str, waited: float = 0.0, failure: str | None = None) -> DeploymentFacts:
    return DeploymentFacts(
        generation=3,
        replicas=1,
        wanted="new",
        replica_set="demo-predictor-new",
        pods=pods(*rows),
        progressed_at=NOW - timedelta(seconds=waited),
        deadline=600.0,
        create_failure=failure,
    )


def reasons(status: dict[str, Any]) -> dict[str, str]:
    return {row["type"]: f"{row['status']}/{row['reason']}" for row in status["conditions"]}


@pytest.mark.parametrize(
    ("seen", "available", "progressing"),
    [
        (facts("a new loading"), "False/MinimumReplicasUnavailable", "True/ReplicaSetUpdated"),
        (facts("a new ready"), "True/MinimumReplicasAvailable", "True/NewReplicaSetAvailable"),
        (
            facts("a old ready", "b new loading"),
            "True/MinimumReplicasAvailable",
            "True/ReplicaSetUpdated",
        ),
        (
            facts("a old ready", "b new loading", waited=600),
            "True/MinimumReplicasAvailable",
            "False/ProgressDeadlineExceeded",
        ),
        (facts("a new ready", waited=900), "True/MinimumReplicasAvailable", "True/NewReplicaSetAvailable"),
    ],
)
def test_the_conditions_say_how_far_it_is(seen: DeploymentFacts, available: str, progressing: str) -> None:
    assert reasons(deployment_status(seen, {}, NOW)) == {"Available": available, "Progressing": progressing}


def test_counts_of_zero_are_absent() -> None:
    status = deployment_status(facts("a old ready", "b new loading"), {}, NOW)
    counts = {key: value for key, value in status.items() if key != "conditions"}
    assert counts == {
        "observedGeneration": 3,
        "replicas": 2,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "unavailableReplicas": 1,
    }
    assert "availableReplicas" not in deployment_status(facts("a new loading"), {}, NOW)


def test_a_refused_pod_is_told() -> None:
    status = deployment_status(facts(failure="pods are forbidden"), {}, NOW)
    assert reasons(status)["ReplicaFailure"] == "True/FailedCreate"


def test_nothing_is_written_again_while_nothing_changes() -> None:
    first = deployment_status(facts("a old ready", "b new loading"), {}, NOW)
    later = deployment_status(facts("a old ready", "b new loading"), first, NOW + timedelta(seconds=9))
    assert later == first


@pytest.mark.parametrize(
    ("rows", "forward"),
    [
        (["a old ready", "b new loading"], False),
        (["a old ready", "b new ready"], True),
        (["b new loading"], True),
        (["a old loading", "b new loading"], False),
    ],
)
def test_progress_is_more_new_or_ready_pods_or_fewer_old_ones(rows: list[str], forward: bool) -> None:
    assert came_forward(facts("a old ready", "b new loading").counts, facts(*rows).counts) is forward
