"""The next version is proven on an InferenceService of its own before users meet it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.builders import (
    NOW,
    SILENT,
    Situation,
    a_deployment,
    a_situation,
    a_target,
    answering,
    at,
    rolling_deployment,
    run_id,
    seconds,
)
from tests.unit.decide.table import Row, follows, row, table
from trainandserve import reasons
from trainandserve.decide.looks import Known, Look, first_looks
from trainandserve.observation import ABSENT, InferenceService, Pace, Probe, Problem, ServerTrouble
from trainandserve.resource import Served

idle = a_situation().sees(preflight=None)
proven = idle.judged(1).serving(1)
apart = proven.judged(2).proving(1, 2)
due = proven.judged(2).proving(1, 2, since=300)
settled = apart.sees(candidate_deployment=a_deployment(2))
held = ServerTrouble("its pod waits for a node: 0/3 nodes have enough cpu", waits=True)


def wrong(ago: float) -> Probe:
    return Probe("wrong", NOW - seconds(ago), "sample 1 of 5 has another prediction than at its evaluation")


def at_pace(mine: float, serving: float, asked: int = 10, ago: float = 10) -> Probe:
    return answering(ago, Pace(mine, serving, asked))


def changed(situation: Situation, **metadata: object) -> Situation:
    """Its second InferenceService is otherwise."""
    return situation.sees(candidate_service=situation.candidate_service(a_target(2), **metadata))


PROMOTED = ("DeleteCandidateService", "Apply 2 over 7")
REJECTED = {
    "served.target.version": 1,
    "candidate.verdict.reason": "FailedToServe",
    "rollout": None,
    "served.version": 1,
}

APART = [
    row("pods that are not ready prove nothing", apart, then={"rollout.stage": "Proving", "rollout.since": NOW - seconds(30), "phase": "RollingOut",
        "Ready.status": "True", "Reconciling.status": "True"}, wake=5),
    row("nor do settled ones without answers", settled, then={"rollout.stage": "Proving"}, wake=1),
    row("answers for 10 s prove it; its room is free before users are sent to it", settled.sees(probe=answering(10)),
        "DeleteCandidateService", "Apply 2 over 7", then={"rollout.stage": "Promoting", "rollout.since": NOW, "served.version": 1}),
    row("where answers cannot be asked for, users are all there is to prove it with", settled.sees(probe=Probe("skipped", NOW, "no way there")),
        "DeleteCandidateService", "Apply 2 over 7", then={"rollout.stage": "Promoting"}),
    row("what somebody edited there is put right", apart.sees(candidate_service=apart.candidate_service(a_target(1))), "ApplyCandidate 2 over 8",
        then={"rollout.since": None}),
    row("what somebody deleted comes back", apart.sees(candidate_service=ABSENT), "ApplyCandidate 2 over nothing", then={"rollout.since": None}),
    row("one that is still going is waited for", changed(apart, deletionTimestamp="2026-11-20T12:00:00Z"), again=True),
    row("nobody knows what there is: nothing is done", apart.sees(candidate_service=SILENT), then={"rollout.stage": "Proving"}, again=True),
    row("one of that name that is not ours holds the rollout and is left alone", changed(due, ownerReferences=[]),
        then={"rollout.stage": "Proving", "rollout.since": None, "Ready.reason": "InferenceServiceNotOurs", "Ready.status": "True"}, again=True),
    row("a version that does not come up is rejected; users never met it", due, "DeleteCandidateService", then=REJECTED, events=["RolledBack"]),
    row("so is one whose answers fail", due.sees(candidate_deployment=a_deployment(2), probe=Probe("failing", NOW, "status 500")),
        "DeleteCandidateService", then=REJECTED | {"candidate.verdict.message": "predictions fail: status 500"}, events=["RolledBack"]),
    row("one wrong answer may have been meant for another pod", settled.sees(probe=wrong(9)), then={"rollout.stage": "Proving"}, wake=1),
    row("nothing but wrong ones for as long as right ones would prove it reject it", settled.sees(probe=wrong(10)), "DeleteCandidateService",
        then=REJECTED | {"candidate.verdict.message": "its predictions are wrong: sample 1 of 5 has another prediction than at its evaluation"},
        events=["RolledBack"]),
    row("one that takes much longer than the version that serves is not proven", settled.sees(probe=at_pace(1.2, 0.2)),
        then={"rollout.stage": "Proving"}, wake=1),
    row("and rejected in the end", due.sees(candidate_deployment=a_deployment(2), probe=at_pace(1.2, 0.2)), "DeleteCandidateService",
        then=REJECTED | {"candidate.verdict.message":
            "a prediction takes 1.2 s, with the version that serves 0.2 s: more than 5 times as long"}, events=["RolledBack"]),
    row("one that takes five times as long may", settled.sees(probe=at_pace(1.0, 0.2)), *PROMOTED),
    row("milliseconds are no matter, however many times as long", settled.sees(probe=at_pace(0.09, 0.001)), *PROMOTED),
    row("a few answers are too few to compare", settled.sees(probe=at_pace(9.0, 0.1, asked=4)), *PROMOTED),
    row("a load that failed for good does not wait for the deadline", apart.sees(server_trouble=ServerTrouble("exit code 1", for_good=True)),
        "DeleteCandidateService", then=REJECTED, events=["RolledBack"]),
    row("one that a webhook denied is rejected", apart.sees(candidate_service=ABSENT,
        failure=Problem(reasons.ADMISSION_DENIED, 'admission webhook "x" denied the request: no')), then=REJECTED, events=["RolledBack"]),
    row("an apply that was refused otherwise says nothing about the model", apart.sees(candidate_service=ABSENT,
        failure=Problem(reasons.APPLY_REFUSED, "forbidden")), "ApplyCandidate 2 over nothing", then={"rollout.stage": "Proving"}, again=True),
    row("a full cluster says nothing about the model: it is held, however long", due.sees(server_trouble=held),
        then={"rollout.stage": "Proving", "rollout.since": None, "rollout.message": held.message, "served.target.version": 2,
              "ModelServed.message": f"version 1 serves, version 2 is being proven without users, on mnist-candidate: {held.message}"}, wake=5),
    row("a quota that lets no pod be made holds as well",
        due.sees(candidate_deployment=replace(a_deployment(2, available=0, replicas=0, updated=0), refusal="exceeded quota")),
        then={"rollout.stage": "Proving", "rollout.since": None, "rollout.message": "no pod can be made: exceeded quota"}),
    row("so does what KServe makes nothing of", due.sees(candidate_deployment=ABSENT, candidate_service=InferenceService(
        {**due.seen["candidate_service"].body, "status": {"modelStatus": {"transitionStatus": "InvalidSpec", "lastFailureInfo": {"message": "no runtime"}}}})),
        then={"rollout.stage": "Proving", "rollout.message": "KServe makes nothing of it: no runtime"}),
    row("when there is room again its time begins anew", due.sees(server_trouble=held).after().sees(server_trouble=None),
        then={"rollout.stage": "Proving", "rollout.since": NOW, "rollout.message": None}),
    row("suspended, it is held as it is", due.suspended(), then={"rollout.stage": "Proving", "rollout.since": None, "phase": "Suspended"}),
    row("suspended, a proof does not bring it before users", settled.sees(probe=answering(60)).suspended(), then={"rollout.stage": "Proving"}),
    row("after that its time begins anew", due.suspended().after().spec(suspend=None), then={"rollout.since": NOW}),
    row("an edit of how it is served waits for its end, and is tried on the candidate", apart.spec(serving={"resources": {"limits": {"cpu": "1"}}}),
        "ApplyCandidate 2 over 8", then={"rollout.stage": "Proving"}),
    row("the one before users comes back if somebody deletes it", apart.sees(inference_service=ABSENT), "Apply 1 over nothing",
        then={"rollout.stage": "Proving"}),
    row("a newer accepted version takes its place", apart.judged(3), "ApplyCandidate 3 over 8",
        then={"rollout.version": 3, "rollout.stage": "Proving", "rollout.since": NOW, "served.version": 1}),
    row("what is left of a rollout is cleared up", proven.sees(candidate_service=proven.candidate_service(a_target(2))), "DeleteCandidateService",
        then={"rollout": None}),
    row("but nothing of somebody else's", changed(proven, ownerReferences=[])),
    row("nor while nobody knows what there was", changed(proven).status(last_version=None).sees(recovery=SILENT), again=True),
    row("one that is before users already is proven there: an operator of an earlier release began it",
        proven.judged(2).serving(1, target=2).status(rollout=None), then={"rollout.stage": "Promoting"}),
    row("the first version ever has nothing to be proven beside", idle.judged(1), "Apply 1 over nothing", then={"rollout.stage": "Promoting"}),
    row("where the namespace's name leaves no room for another, it is proven before users",
        proven.judged(2).metadata(namespace="n" * 45), "Apply 2 over 7", then={"rollout.stage": "Promoting"}),
]  # fmt: skip


@table(APART)
def test_proving_apart(given: Row) -> None:
    follows(given)


def test_the_same_proof_does_not_count_twice() -> None:
    """What was seen of the candidate's own InferenceService says nothing of the one that users reach."""
    promoting = settled.sees(probe=answering(10)).after().sees(inference_service=proven.service(a_target(2)))
    assert at(promoting.sees(deployment=a_deployment(2)).decide().status, "served.version") == 2
    same_pass = apart.sees(
        deployment=a_deployment(2), candidate_deployment=a_deployment(2), probe=answering(10)
    )
    assert at(same_pass.decide().status, "served.version") == 1


@pytest.mark.parametrize("stage", ["Proving", "Promoting"])
def test_what_is_looked_at_is_where_it_is_to_be_proven(stage: str) -> None:
    here = (
        settled
        if stage == "Proving"
        else proven.judged(2).serving(1, target=2).sees(deployment=a_deployment(2))
    )
    assert Look.PROBE in first_looks(here.observation(), Known(), NOW)
    not_ready = {"candidate_deployment" if stage == "Proving" else "deployment": rolling_deployment(2)}
    assert Look.SERVER_PODS in first_looks(here.sees(**not_ready).observation(), Known(), NOW)


def test_a_deleted_resource_takes_both_down() -> None:
    follows(row("", apart.deleting(), "DeleteCandidateService", "DeleteInferenceService", wake=2))
    orphaned = apart.spec(serving={"deletionPolicy": "Orphan"}).deleting()
    follows(row("", orphaned, "DeleteCandidateService", "ReleaseInferenceService", wake=2))


def test_a_lost_status_is_put_back_from_the_one_that_users_reach() -> None:
    """The candidate's own InferenceService is taken up again where it was, once what serves is proven anew."""
    lost = apart.status(served=Served(target=a_target(1)), rollout=None).sees(deployment=a_deployment(1))
    first = lost.after()
    assert at(first.decide().status, "rollout.version") == 1
    back = first.after().sees(probe=answering(10)).after()
    follows(
        row("", back, then={"rollout.version": 2, "rollout.stage": "Proving", "served.run_id": run_id(1)})
    )
