"""`approve`, `promote`, `rollback`: which version serves is said by one line, and the right one."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.builders import NOW, Situation, a_situation, seconds
from tests.unit.cli.standing import Shell, body

APPROVE = "trainandserve.io/approve"
MANUAL = {"metrics": [{"name": "accuracy", "min": 0.9}], "approval": "Manual"}
TRACKED = {"argocd.argoproj.io/tracking-id": "models:trainandserve.io/TrainAndServe:vision/mnist"}


def waiting() -> Situation:
    """Version 1 serves and version 2 waits for approval."""
    situation = a_situation(evaluation=MANUAL).judged(1).serving(1)
    return situation.judged(2, accepted=False, reason="AwaitingApproval", incumbent=1)


def three() -> Situation:
    """Version 3 serves; 1 and 2 were proven before, 2 last; 4 was rejected."""
    situation = a_situation()
    for version in (1, 2, 3):
        situation = situation.judged(version)
    situation = situation.judged(4, accepted=False).serving(3)
    at = {1: 300, 2: 200, 3: 100}
    history = [
        entry.changed(served_at=NOW - seconds(at[entry.version]) if entry.version in at else None)
        for entry in situation.resource.status.history
    ]
    return situation.status(history=history)


def stands(shell: Shell, situation: Situation, **metadata: Any) -> None:
    shell.cluster.bodies["mnist"] = body(situation, **metadata)


def token(shell: Shell) -> str:
    digest = shell.cluster.bodies["mnist"]["status"]["candidate"]["resultDigest"]
    return f"2@{digest.removeprefix('sha256:')[:8]}"


# --- approve ------------------------------------------------------------------------------------------------------


def test_what_waits_is_approved_with_its_result(shell: Shell) -> None:
    stands(shell, waiting())
    answer = shell("approve", "mnist")
    assert answer.code == 0
    assert shell.cluster.writes == [("mnist", {"metadata": {"annotations": {APPROVE: token(shell)}}})]
    assert "version 2: accuracy" in answer.err and "version 2 is rolled out" in answer.out


def test_the_operator_takes_the_annotation_for_a_yes(shell: Shell) -> None:
    stands(shell, waiting())
    shell("approve", "mnist")
    approved = waiting().annotated(approve=token(shell)).decide().status
    assert approved.candidate is not None and approved.candidate.verdict is not None
    assert approved.candidate.verdict.accepted


def test_where_nothing_waits_there_is_nothing_to_approve(shell: Shell) -> None:
    assert shell("approve", "mnist").code == 5
    assert shell.cluster.writes == []


def test_the_line_for_git_is_printed_where_argo_cd_keeps_it(shell: Shell) -> None:
    stands(shell, waiting(), annotations=TRACKED)
    answer = shell("approve", "mnist")
    assert answer.code == 4 and shell.cluster.writes == []
    assert yaml.safe_load(answer.out) == {"metadata": {"annotations": {APPROVE: token(shell)}}}


# --- promote ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("serving", "patch"),
    [
        ({"pinnedVersion": 1}, {"spec": {"serving": None}}),
        ({"pinnedVersion": 1, "minReplicas": 2}, {"spec": {"serving": {"pinnedVersion": None}}}),
    ],
    ids=["and nothing else", "and more"],
)
def test_a_pin_is_taken_away(shell: Shell, serving: dict[str, Any], patch: dict[str, Any]) -> None:
    stands(shell, three().spec(serving=serving))
    answer = shell("promote", "mnist")
    assert answer.code == 0 and "version 3 is served again" in answer.out
    assert shell.cluster.writes == [("mnist", patch)]


def test_without_a_pin_what_waits_is_approved(shell: Shell) -> None:
    stands(shell, waiting())
    assert shell("promote", "mnist").code == 0
    assert shell.cluster.writes == [("mnist", {"metadata": {"annotations": {APPROVE: token(shell)}}})]


def test_where_nothing_is_held_there_is_nothing_to_promote(shell: Shell) -> None:
    answer = shell("promote", "mnist")
    assert answer.code == 5 and "nothing to promote" in answer.err


# --- rollback -----------------------------------------------------------------------------------------------------


def test_the_version_that_served_before_is_pinned(shell: Shell) -> None:
    stands(shell, three())
    answer = shell("rollback", "mnist")
    assert answer.code == 0
    assert shell.cluster.writes == [("mnist", {"spec": {"serving": {"pinnedVersion": 2}}})]
    assert "spec.serving.pinnedVersion: absent -> 2" in answer.out
    assert "version 2: Accepted, was proven to serve" in answer.err


def test_a_version_that_failed_to_serve_is_not_the_one_before(shell: Shell) -> None:
    situation = three()
    history = [
        entry.changed(verdict="FailedToServe") if entry.version == 2 else entry
        for entry in situation.resource.status.history
    ]
    stands(shell, situation.status(history=history))
    shell("rollback", "mnist")
    assert shell.cluster.writes == [("mnist", {"spec": {"serving": {"pinnedVersion": 1}}})]


@pytest.mark.parametrize(
    ("version", "said"), [(4, "version 4: Rejected, never served"), (9, "not in status.history")]
)
def test_any_version_can_be_said_and_what_is_known_of_it_is_told(
    shell: Shell, version: int, said: str
) -> None:
    stands(shell, three())
    answer = shell("rollback", "mnist", "--to", str(version))
    assert answer.code == 0 and said in answer.err
    assert shell.cluster.writes == [("mnist", {"spec": {"serving": {"pinnedVersion": version}}})]


def test_what_is_pinned_is_not_pinned_again(shell: Shell) -> None:
    stands(shell, three().spec(serving={"pinnedVersion": 2}))
    answer = shell("rollback", "mnist", "--to", "2")
    assert answer.code == 0 and "pinned already" in answer.out and shell.cluster.writes == []


def test_without_a_version_before_one_has_to_be_said(shell: Shell) -> None:
    stands(shell, a_situation().judged(1).serving(1))
    answer = shell("rollback", "mnist")
    assert answer.code == 5 and "--to" in answer.err


def test_a_suspended_resource_follows_later(shell: Shell) -> None:
    stands(shell, three().suspended())
    assert "when `resume` is called" in shell("rollback", "mnist").out
