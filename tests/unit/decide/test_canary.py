"""In Knative mode a version is proven as a revision without traffic, and gets its share step by step; in Standard mode nothing is split."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.builders import NOW, Situation, a_situation, a_target, answering, at, seconds
from tests.unit.decide.table import Row, follows, row, table
from trainandserve.decide.looks import Known, Look, first_looks
from trainandserve.hashes import serving_hash
from trainandserve.observation import Pace, Probe, ServerTrouble

CANARY: dict[str, Any] = {"rollout": {"strategy": "Canary", "steps": [10, 50], "stepDuration": "1m"}}
standard = a_situation(serving=CANARY).sees(preflight=None).judged(1).serving(1)


def knative(**serving: Any) -> Situation:
    """Version 1 serves in Knative mode, and version 2 was accepted."""
    first = a_situation(serving=serving or CANARY).sees(preflight=None).judged(1).serving(1)
    return first.split({1: 100}, asks=1).judged(2)


start = knative()
dark = start.stage("Proving", 2).split({1: 100}, asks=2, canary=0)
ten = start.stage("Canary", 2, step=1, since=60).split({1: 90, 2: 10}, asks=2, canary=10)
fifty = start.stage("Canary", 2, step=2, since=60).split({1: 50, 2: 50}, asks=2, canary=50)
whole = start.stage("Promoting", 2).split({2: 100}, asks=2)
BACK = {"served.target.version": 1, "candidate.verdict.reason": "FailedToServe", "rollout": None}

STEPS = [
    row("an accepted version becomes a revision without traffic", start, "Apply 2 for 0% over 7",
        then={"rollout.stage": "Proving", "rollout.traffic": 0, "served.deployment_mode": "Knative"}),
    row("while it comes up nothing is changed", start.stage("Proving", 2).split({1: 100}, asks=2, canary=0, ready=False),
        then={"rollout.stage": "Proving", "phase": "RollingOut", "Ready.status": "True", "Reconciling.status": "True"}, wake=5),
    row("proven, it gets its first share", dark.sees(probe=answering()), "Apply 2 for 10% over 7",
        then={"rollout.stage": "Canary", "rollout.step": 1, "rollout.since": None}),
    row("a share that was asked for and not seen yet does not count", ten.split({1: 100}, asks=2, canary=10).sees(probe=answering(60)),
        then={"rollout.since": None, "rollout.traffic": 0}),
    row("a step is held for its time", ten.stage("Canary", 2, step=1, since=59).sees(probe=answering(59)),
        then={"rollout.step": 1, "rollout.traffic": 10,
              "ModelServed.message": "version 1 serves, version 2 gets 10% of the requests, step 1 of 2"}, wake=1),
    row("after it comes the next", ten.sees(probe=answering(60)), "Apply 2 for 50% over 7", then={"rollout.step": 2, "rollout.since": None}),
    row("but not while an answer failed a moment ago", ten.sees(probe=answering(9)), then={"rollout.step": 1}, wake=1),
    row("after the last come all", fifty.sees(probe=answering(60)), "Apply 2 over 7", then={"rollout.stage": "Promoting", "rollout.step": None}),
    row("all, and answers, prove it", whole.sees(probe=answering()), then={"served.version": 2, "rollout": None, "phase": "Serving",
        "served.deployment_mode": "Knative"}, events=["VersionServed"]),
    row("not before all requests were seen to go there", whole.split({1: 50, 2: 50}, asks=2).sees(probe=answering()),
        then={"served.version": 1, "rollout.traffic": 50, "served.observed": "version 1 50%, version 2 50%"}),
    row("Replace sends all at once, on proof", knative(rollout={"strategy": "Replace"}).stage("Proving", 2)
        .split({1: 100}, asks=2, canary=0).sees(probe=answering()), "Apply 2 over 7", then={"rollout.stage": "Promoting"}),
    row("one that fails without traffic is taken back in one write", dark.sees(server_trouble=ServerTrouble("exit code 1", for_good=True))
        .split({1: 100}, asks=2, canary=0, ready=False), "Apply 1 for 0% over 7", then=BACK, events=["RolledBack"]),
    row("so is a canary that answers nothing but failures", ten.sees(probe=Probe("failing", NOW - seconds(10), "status 500")),
        "Apply 1 for 0% over 7", then=BACK | {"candidate.verdict.message": "predictions fail: status 500"}, events=["RolledBack"]),
    row("or wrong answers", ten.sees(probe=Probe("wrong", NOW - seconds(10), "sample 1")), "Apply 1 for 0% over 7", then=BACK, events=["RolledBack"]),
    row("or takes much longer", fifty.sees(probe=answering(60, Pace(2.0, 0.1, 30))), "Apply 1 for 0% over 7", then=BACK, events=["RolledBack"]),
    row("one failure is none", ten.stage("Canary", 2, step=1, since=900).sees(probe=Probe("failing", NOW, "status 500")), then={"rollout.step": 1}, wake=1),
    row("nor are pods that are moved", ten.stage("Canary", 2, step=1, since=900).split({1: 90, 2: 10}, asks=2, canary=10, ready=False),
        then={"rollout.step": 1}, wake=5),
    row("a newer version takes its share away with the write that brings it", fifty.judged(3), "Apply 3 for 0% over 7",
        then={"rollout.version": 3, "rollout.stage": "Proving", "served.version": 1}),
    row("an edit of how it is served is proven without traffic first", fifty.spec(serving={**CANARY, "minReplicas": 2}), "Apply 2 for 0% over 7",
        then={"rollout.stage": "Proving", "rollout.since": NOW}),
    row("suspended, it keeps the share it has", fifty.sees(probe=answering(60)).suspended(), then={"rollout.step": 2, "rollout.since": None}),
    row("steps that were taken away let all in", fifty.spec(serving={"rollout": {"strategy": "Replace"}}), "Apply 2 over 7",
        then={"rollout.stage": "Promoting"}),
    row("on the way back no request goes to the newest revision before it is ready",
        proven_again := start.judged(2, accepted=False, reason="FailedToServe").split({1: 100}, asks=1, canary=0, ready=False),
        then={"served.version": 1, "phase": "RollingOut", "Ready.status": "True"}),
    row("then all do", proven_again.split({1: 100}, asks=1, canary=0), "Apply 1 over 7", then={"served.version": 1}),
    row("what serves alone is left alone", start.judged(2, accepted=False), then={"phase": "Serving", "served.observed": "version 1 100%"}, wake=None),
    row("an edit of how it is served changes it at once where nothing is rolled out",
        start.judged(2, accepted=False).spec(serving={**CANARY, "minReplicas": 2}), "Apply 1 over 7"),
]  # fmt: skip


@table(STEPS)
def test_steps(given: Row) -> None:
    follows(given)


REFUSED = [
    row("in Standard mode a canary is refused at once", standard, then={"Ready.status": "True", "Ready.reason": "CanaryNotSupported"}, again=False),
    row("and the next version waits, untouched, for another strategy", standard.judged(2), then={"rollout.stage": "Proving", "rollout.since": None,
        "ModelServed.reason": "CanaryNotSupported", "served.version": 1, "Ready.status": "True"}),
    row("with it, it goes on", standard.judged(2).after().spec(serving={"rollout": {"strategy": "Replace"}}), "ApplyCandidate 2 over nothing",
        then={"rollout.stage": "Proving", "rollout.message": None}),
    row("the first version ever needs no split", a_situation(serving=CANARY).sees(preflight=None).judged(1), "Apply 1 over nothing"),
]  # fmt: skip


@table(REFUSED)
def test_refused(given: Row) -> None:
    follows(given)


def test_what_is_asked_is_the_revision_alone_until_all_users_are_sent_there() -> None:
    assert Look.PROBE in first_looks(ten.observation(), Known(), NOW)
    assert Look.PROBE not in first_looks(whole.split({1: 50, 2: 50}, asks=2).observation(), Known(), NOW)


def test_how_a_version_takes_its_place_changes_no_model_server() -> None:
    assert serving_hash(standard.resource) == serving_hash(a_situation().resource)
    assert not standard.decide().actions


@pytest.mark.parametrize(
    ("legacy", "mode"), [("RawDeployment", "Standard"), ("Serverless", "Knative"), (None, "Standard")]
)
def test_the_modes_of_before_are_those_of_now(legacy: str | None, mode: str) -> None:
    body = dict(start.service(a_target(1)).body)
    body["metadata"] = {
        **body["metadata"],
        "annotations": {"serving.kserve.io/deploymentMode": legacy} if legacy else {},
    }
    assert type(start.service(a_target(1)))(body).deployment_mode == mode
    assert at(standard.judged(2).decide().status, "served.deployment_mode") == "Standard"
