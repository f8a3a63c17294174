"""What is to be served, whether it is proven, and when the InferenceService changes."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.builders import (
    NOW,
    READY_TO_RUN,
    SILENT,
    Situation,
    a_deployment,
    a_result,
    a_situation,
    a_target,
    answering,
    at,
    rolling_deployment,
    run_id,
    seconds,
)
from tests.unit.decide.table import Row, follows, row, table
from trainandserve.observation import ABSENT, InferenceService, Probe, ServerTrouble
from trainandserve.resource import Served

idle = a_situation().sees(preflight=None)
proven = idle.judged(1).serving(1)
first = idle.judged(1).rolling_to(1)
settled = first.sees(deployment=a_deployment(1))
second = proven.judged(2).serving(1, target=2, since=30)


def failing() -> Probe:
    return Probe("failing", NOW, "status 500")


PROMOTE = [
    row("an accepted version becomes the target and is applied", idle.judged(1), "Apply 1 over nothing",
        then={"served.target.version": 1, "served.target.since": NOW, "served.version": None, "phase": "RollingOut"}),
    row("a newer one replaces the older, and is proven without users first", proven.judged(2), "ApplyCandidate 2 over nothing",
        then={"served.target.version": 2, "served.version": 1, "rollout.stage": "Proving"}),
    row("an older one never does", idle.judged(1).serving(2), then={"served.target.version": 2}),
    row("a suspended resource promotes nothing", idle.judged(1).suspended(), then={"served": None}),
    row("a rejected one is never promoted", idle.judged(1, accepted=False), then={"served": None}),
    row("a version that is newer than one coming up replaces it", second.judged(3),
        "ApplyCandidate 3 over nothing", "Apply 1 over 7",
        then={"served.target.version": 3, "served.version": 1, "rollout.version": 3, "rollout.stage": "Proving"}),
    row("while the first version ever is coming up, the next one waits for its proof", first.judged(2),
        then={"served.target.version": 1}),
]  # fmt: skip


@table(PROMOTE)
def test_promote(given: Row) -> None:
    follows(given)


def test_a_version_that_waited_for_the_end_of_a_suspension_is_promoted() -> None:
    suspended = idle.judged(1).suspended()
    follows(
        row(
            "",
            suspended.after().spec(suspend=None),
            "Apply 1 over nothing",
            then={"served.target.version": 1},
        )
    )


PROVE = [
    row("pods that are not ready prove nothing", first, then={"served.version": None, "phase": "RollingOut"}, wake=5),
    row("pods of another template prove nothing", first.sees(deployment=a_deployment(2)), then={"served.version": None}),
    row("a lagging Deployment proves nothing", first.sees(deployment=a_deployment(1, observed_generation=1)), then={"served.version": None}),
    row("an old pod beside the new one proves nothing", first.sees(deployment=a_deployment(1, replicas=2, updated=1, available=2)),
        then={"served.version": None}),
    row("a Deployment without a pod proves nothing",
        first.sees(deployment=a_deployment(1, desired=0, replicas=0, updated=0, available=0)), then={"served.version": None}),
    row("settled pods without answers prove nothing", settled, then={"served.version": None}),
    row("nor does one that does not answer", settled.sees(probe=failing()), then={"served.version": None}, wake=1),
    row("answers for 9 s are not enough", settled.sees(probe=answering(9)), then={"served.version": None}, wake=1),
    row("answers for 10 s are", settled.sees(probe=answering(10)),
        then={"served.version": 1, "served.run_id": run_id(1), "served.since": NOW, "ModelServed.reason": "Proven",
              "Ready.status": "True", "phase": "Serving", "Reconciling": None}, events=["VersionServed"]),
    row("those of an InferenceService that was deleted are none",
        first.sees(deployment=a_deployment(1, owner="of the one before"), probe=answering(10)), then={"served.version": None}),
    row("where answers cannot be asked for, that is said", settled.sees(probe=Probe("skipped", NOW, "no way there")),
        then={"served.version": 1, "ModelServed.reason": "SmokeSkipped"}, events=["VersionServed"]),
    row("a suspended resource proves what is there", settled.suspended().sees(probe=answering(10)),
        then={"served.version": 1, "phase": "Suspended"}, events=["VersionServed"]),
    row("the last second before the deadline still waits", idle.judged(1).rolling_to(1, since=299), then={"served.target.version": 1}, wake=1),
    row("at the deadline the first version is rejected and nothing serves", idle.judged(1).rolling_to(1, since=300),
        "DeleteInferenceService", then={"served.target": None, "candidate.verdict.reason": "FailedToServe", "phase": "Failed",
        "Stalled.status": "True", "history.0.verdict": "FailedToServe"}, events=["RolledBack"], wake=None),
    row("a load that failed for good does not wait for it", first.sees(server_trouble=ServerTrouble("exit code 1: no such file", for_good=True)),
        "DeleteInferenceService", then={"candidate.verdict.message": "exit code 1: no such file"}, events=["RolledBack"]),
    row("a trouble that may pass is said", first.sees(server_trouble=ServerTrouble("its pod waits for a node")),
        then={"ModelServed.message": "version 1 is coming up: its pod waits for a node", "served.target.version": 1}),
    row("failing answers at the deadline reject as well",
        idle.judged(1).rolling_to(1, since=300).sees(deployment=a_deployment(1), probe=failing()), "DeleteInferenceService",
        then={"candidate.verdict.message": "predictions fail: status 500"}, events=["RolledBack"]),
    row("answers that began before the deadline may end after it",
        idle.judged(1).rolling_to(1, since=305).sees(deployment=a_deployment(1), probe=answering(6)), then={"served.target.version": 1}, wake=1),
    row("the version before is applied again", proven.judged(2).serving(1, target=2, since=300), "Apply 1 over 7",
        then={"served.target.version": 1, "served.target.run_id": run_id(1), "served.target.since": NOW, "served.version": 1,
              "candidate.verdict.reason": "FailedToServe", "ModelAccepted.status": "False"}, events=["RolledBack"]),
    row("the way back leads to the proven version, not to the one before",
        proven.judged(3).serving(1, target=3, since=300), "Apply 1 over 7", then={"served.target.version": 1}, events=["RolledBack"]),
    row("a suspended resource goes nowhere", proven.judged(2).serving(1, target=2, since=900).suspended(), then={"served.target.version": 2}),
    row("nor while its settled pods fail to answer",
        idle.judged(1).rolling_to(1, since=900).sees(deployment=a_deployment(1), probe=failing()).suspended(), then={"served.target.version": 1}),
]  # fmt: skip


@table(PROVE)
def test_prove(given: Row) -> None:
    follows(given)


def test_settled_pods_that_nobody_can_ask_do_not_keep_the_operator_busy() -> None:
    """An InferenceService without an address: the look brings nothing, however often it is repeated."""
    plan = settled.decide()
    assert plan.wake is not None and plan.wake >= NOW + seconds(1)
    late = idle.judged(1).rolling_to(1, since=300).sees(deployment=a_deployment(1))
    follows(row("", late, "DeleteInferenceService", events=["RolledBack"]))


def test_the_next_candidate_is_served_after_a_rollback() -> None:
    back = proven.judged(2).serving(1, target=2, since=300).after().sees(deployment=a_deployment(1))
    follows(
        row(
            "",
            back.judged(3),
            "ApplyCandidate 3 over nothing",
            "Apply 1 over 7",
            then={"served.target.version": 3},
        )
    )


@pytest.mark.parametrize(
    ("says", "service"),
    [
        ("it was never applied: the operator was down", ABSENT),
        ("it carries the version before: the apply was refused", "old"),
        ("nobody knows", SILENT),
        ("it is not ours", "foreign"),
    ],
)
def test_a_version_that_was_not_applied_yet_is_not_rejected_for_not_serving(says: str, service: Any) -> None:
    late = proven.judged(2).serving(1, target=2, since=3600)
    if service == "old":
        service = late.service(a_target(1))
    if service == "foreign":
        service = late.service(a_target(1), ownerReferences=[])
    plan = late.sees(inference_service=service, deployment=a_deployment(1)).decide()
    assert at(plan.status, "served.target.version") == 2, says
    assert at(plan.status, "candidate.verdict.accepted") is True
    assert at(plan.status, "rollout.since") is None, "the time for the proof begins anew"
    assert not plan.notes


def test_an_apply_that_fails_is_repeated_with_a_growing_pause_and_not_by_the_clock() -> None:
    plan = idle.judged(1).decide()
    assert plan.again
    assert plan.wake is None or plan.wake >= NOW + seconds(60)


def edited(change: dict[str, Any], live: InferenceService) -> InferenceService:
    """The live object with these fields of its predictor edited by somebody."""
    body = copy.deepcopy(dict(live.body))
    body["spec"]["predictor"] |= change
    return InferenceService(body)


live = proven.service(a_target(1, since=NOW - seconds(3600)))

SERVE = [
    row("what is as it should be is left alone", proven, wake=None, again=False),
    row("what is gone comes back, and that is said first", proven.sees(inference_service=ABSENT), "Apply 1 over nothing", then={"phase": "RollingOut"}),
    row("what was edited is put right", proven.sees(inference_service=edited({"minReplicas": 9}, live)), "Apply 1 over 7"),
    row("a field that is not ours stays", proven.sees(inference_service=edited({"timeout": 9}, live))),
    row("a serving edit is applied and trains nothing", proven.sees(preflight=READY_TO_RUN).spec(serving={"minReplicas": 2}), "Apply 1 over 7",
        then={"run.version": 1}),
    row("a serving field that was taken away is taken away there as well",
        a_situation(serving={"nodeSelector": {"gpu": "yes"}}).sees(preflight=None).judged(1).serving(1).spec(serving={}), "Apply 1 over 7"),
    row("one that is not ours is left alone, and said",
        proven.sees(inference_service=InferenceService({**live.body, "metadata": {**live.metadata, "ownerReferences": []}})),
        then={"Ready.reason": "InferenceServiceNotOurs", "Ready.status": "True", "ModelServed.reason": "InferenceServiceNotOurs"}, again=True),
    row("nobody knows what there is: nothing is done", proven.sees(inference_service=SILENT), then={"Ready.status": "True"}, again=True),
    row("a suspended resource corrects nothing", proven.suspended().sees(inference_service=ABSENT), then={"phase": "Suspended"}),
    row("nothing is applied before there is a target", idle),
]  # fmt: skip


@table(SERVE)
def test_serve(given: Row) -> None:
    follows(given)


def test_the_first_version_is_never_applied_over_what_is_not_ours() -> None:
    foreign = idle.judged(1).service(a_target(1), ownerReferences=[{"uid": "other", "controller": True}])
    follows(row("", idle.judged(1).sees(inference_service=foreign), then={"Ready.reason": "InferenceServiceNotOurs",
        "Ready.status": "False"}, again=True))  # fmt: skip


def test_a_first_version_that_failed_is_taken_down_also_when_the_next_one_was_judged_before() -> None:
    """Else its pods would crash on, and might come to serve by themselves."""
    both = idle.judged(1).rolling_to(1, since=299).judged(2, accepted=False).later(1)
    follows(row("", both, "DeleteInferenceService", then={"served.target": None}, events=["RolledBack"]))


def test_an_autoscaled_proven_version_is_no_rollout() -> None:
    growing = proven.sees(deployment=a_deployment(1, desired=3, replicas=3, updated=3, available=2))
    follows(
        row("", growing, then={"phase": "Serving", "Reconciling": None, "Ready.status": "True"}, wake=None)
    )


def test_a_rollout_that_does_not_get_done_is_looked_at_without_an_event() -> None:
    changing = proven.sees(deployment=rolling_deployment(1)).decide()
    assert changing.wake is not None and changing.wake <= NOW + seconds(60)
    assert at(changing.status, "phase") == "RollingOut"


def test_the_address_follows_the_inference_service() -> None:
    moved = InferenceService({**live.body, "status": {"url": "http://mnist.example"}})
    assert at(proven.sees(inference_service=moved).decide().status, "served.url") == "http://mnist.example"


def test_a_version_can_be_judged_promoted_and_applied_in_one_pass_whose_status_is_stored_first() -> None:
    situation: Situation = idle.with_run("Succeeded").sees(result=a_result(1))
    plan = situation.decide()
    assert plan.status.served == Served(
        target=a_target(1, training_hash=at(plan.status, "run.training_hash"))
    )
    assert replace(plan, actions=()).status == plan.status
