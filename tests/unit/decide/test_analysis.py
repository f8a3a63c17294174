"""What Prometheus finds of a version lets it go on, takes it back, or holds it; what is not known never lets it pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.unit.builders import (
    NOW,
    POLICY,
    Situation,
    a_deployment,
    a_situation,
    answering,
    at,
    run_id,
    seconds,
)
from tests.unit.decide.table import Row, follows, row, table
from trainandserve.decide.history import remember
from trainandserve.decide.looks import Known, Look, first_looks
from trainandserve.observation import Measurement, Observation, Policy, Probe
from trainandserve.queries import Query
from trainandserve.resource import Measured

QUERIES = {
    "errors": Query("errors", 'e{namespace="{namespace}", pod=~"{pods}"}'),
    "latency": Query("latency", 'l{namespace="{namespace}", revision_name="{revision}"}'),
}
CONFIGURED = replace(POLICY, prometheus_url="http://prometheus", queries=QUERIES)
UNKNOWN = replace(CONFIGURED, queries={})
NOWHERE = replace(CONFIGURED, prometheus_url=None)


class Measuring(Situation):
    """A situation under an operator that can measure."""

    policy: Policy = CONFIGURED

    def observation(self) -> Observation:
        return replace(super().observation(), policy=self.policy)


class Unconfigured(Measuring):
    """One under an operator whose administrator has defined no query."""

    policy = UNKNOWN


class Alone(Measuring):
    """One under an operator without a Prometheus."""

    policy = NOWHERE


def measuring(situation: Situation, kind: type[Measuring] = Measuring) -> Measuring:
    return kind(situation.resource, situation.seen, situation.now)


def asks(strategy: str = "Canary", **analysis: Any) -> dict[str, Any]:
    one = {"query": "errors", "max": 0.1, "interval": "30s"} | analysis
    steps = {"steps": [10, 50], "stepDuration": "1m"} if strategy == "Canary" else {}
    return {"rollout": {"strategy": strategy, **steps, "analysis": [one]}}


def started(strategy: str = "Canary", **analysis: Any) -> Situation:
    """Version 1 serves in Knative mode, and version 2 was accepted."""
    first = a_situation(serving=asks(strategy, **analysis)).sees(preflight=None).judged(1).serving(1)
    return first.split({1: 100}, asks=1).judged(2).sees(probe=answering(60))


def said(state: str | None = None, *, due: float | None = 0, **fields: Any) -> Measured:
    """What was counted before; the next measurement is due in so many seconds."""
    next_at = None if due is None else NOW + seconds(due)
    return Measured(query="errors", **{"state": state, "next_at": next_at, "at": NOW - seconds(30)} | fields)


def canary(
    before: Measured | None, found: Measurement | None = None, *, since: float = 60, **analysis: Any
) -> Measuring:
    """The first step is under way, this was counted before, and this is measured now."""
    situation = started(**analysis).stage("Canary", 2, step=1, since=since)
    situation = situation.split({1: 90, 2: 10}, asks=2, canary=10)
    rollout = situation.resource.status.rollout
    assert rollout is not None
    situation = situation.status(rollout=rollout.changed(analysis=[before] if before else None))
    return measuring(situation.sees(measurements={"errors": found} if found else {}))


def standard(
    stage: str, before: Measured | None, found: Measurement | None = None, **analysis: Any
) -> Measuring:
    """In Standard mode, the version was proven in the dark or before all users."""
    first = (
        a_situation(serving=asks("Replace", **analysis)).sees(preflight=None).judged(1).serving(1).judged(2)
    )
    if stage == "Proving":
        situation = first.proving(1, 2).sees(candidate_deployment=a_deployment(2))
    else:
        situation = first.serving(1, target=2, since=30).sees(deployment=a_deployment(2))
    rollout = situation.resource.status.rollout
    assert rollout is not None
    situation = situation.status(rollout=rollout.changed(analysis=[before] if before else None))
    return measuring(situation.sees(probe=answering(60), measurements={"errors": found} if found else {}))


GOOD, BAD, NOTHING = Measurement(0.01), Measurement(0.5), Measurement()
SILENCE = Measurement(error="Prometheus does not answer: refused")
BACK = {"served.target.version": 1, "candidate.verdict.reason": "FailedToServe", "rollout": None}
FIRST = "rollout.analysis.0"
HELD = {"rollout.step": 1, "served.version": 1, "Ready.status": "True"}

COUNTED = [
    row("measuring begins with the step, one interval later", canary(None, since=0),
        then={f"{FIRST}.next_at": NOW + seconds(30), f"{FIRST}.measured": 0, f"{FIRST}.state": None}, wake=1),
    row("a step whose time is over is held until it was measured", canary(said(due=9)),
        then=HELD | {f"{FIRST}.measured": 0, "ModelServed.reason": "RollingOut"}, wake=1),
    row("a measurement that nobody asked for yet does not count", canary(said(due=1), GOOD), then=HELD | {f"{FIRST}.measured": 0}),
    row("one that is due is counted, and lets the step end", canary(said(), GOOD), "Apply 2 for 50% over 7",
        then={"rollout.step": 2, f"{FIRST}.measured": 1, f"{FIRST}.value": 0.01, f"{FIRST}.max": 0.1, f"{FIRST}.state": None, f"{FIRST}.next_at": None}),
    row("not before its time", canary(said(), GOOD, since=40), then=HELD | {f"{FIRST}.state": "Passed", f"{FIRST}.next_at": NOW + seconds(30)}, wake=1),
    row("what passed at this step holds until the next measurement", canary(said("Passed", due=9)), "Apply 2 for 50% over 7"),
    row("a value that just meets its bound passes", canary(said(), Measurement(0.1)), "Apply 2 for 50% over 7"),
    row("one failure takes it back", canary(said(), BAD, since=40), "Apply 1 for 0% over 7", events=["RolledBack"], then=BACK | {
        "candidate.verdict.message": "analysis: errors 0.5 is above max 0.1 (1 of 1 measurements failed, 0 may)",
        "candidate.verdict.analysis.0.failed": 1, "history.0.analysis.0.value": 0.5, "history.0.verdict": "FailedToServe"}),
    row("below its least as well", canary(said(), Measurement(1.0), min=2, max=3), "Apply 1 for 0% over 7", events=["RolledBack"],
        then=BACK | {"candidate.verdict.message": "analysis: errors 1 is below min 2 (1 of 1 measurements failed, 0 may)"}),
    row("failures that are borne only hold it", canary(said("Passed", measured=3, failed=1), BAD, failureLimit=2),
        then=HELD | {f"{FIRST}.failed": 2, f"{FIRST}.measured": 4, f"{FIRST}.state": "Failed"}),
    row("until one passes again", canary(said("Failed", measured=4, failed=2), GOOD, failureLimit=2), "Apply 2 for 50% over 7"),
    row("failures of earlier steps are not forgotten", canary(said(None, measured=4, failed=2), BAD, failureLimit=2), "Apply 1 for 0% over 7",
        then=BACK, events=["RolledBack"]),
]  # fmt: skip

UNANSWERED = [
    row("nothing to measure holds it", canary(said(), NOTHING), then=HELD | {f"{FIRST}.state": "NoTraffic", f"{FIRST}.failed": 0,
        "rollout.message": "analysis: errors finds no traffic, and waits for some (noTraffic: Hold)",
        "ModelServed.message": "version 1 serves, version 2 gets 10% of the requests, step 1 of 2: analysis: errors finds no traffic, and waits for some (noTraffic: Hold)"}),
    row("or passes, if asked", canary(said(), NOTHING, noTraffic="Pass"), "Apply 2 for 50% over 7", then={"rollout.step": 2}),
    row("or fails, if asked", canary(said(), NOTHING, noTraffic="Fail"), "Apply 1 for 0% over 7", events=["RolledBack"],
        then=BACK | {"candidate.verdict.message": "analysis: errors finds no traffic (1 of 1 measurements failed, 0 may)"}),
    row("no answer holds it silently", canary(said(errors=3), SILENCE), then=HELD | {f"{FIRST}.errors": 4, f"{FIRST}.state": "Error",
        "rollout.message": None, "Ready.reason": "Serving", "ModelServed.reason": "RollingOut"}),
    row("too often in a row, it is said and still holds", canary(said(errors=4), SILENCE), events=["AnalysisInconclusive"],
        then=HELD | {f"{FIRST}.errors": 5, "Ready.reason": "AnalysisInconclusive", "ModelServed.reason": "AnalysisInconclusive", "served.target.version": 2,
        "rollout.message": "analysis: errors had no answer 5 times in a row: Prometheus does not answer: refused"}),
    row("the event is sent once", canary(said("Error", errors=5, message="no"), SILENCE), then=HELD | {f"{FIRST}.errors": 6}),
    row("sooner, if asked", canary(said(), SILENCE, consecutiveErrorLimit=0), events=["AnalysisInconclusive"], then=HELD | {"Ready.reason": "AnalysisInconclusive"}),
    row("an answer ends it", canary(said("Error", errors=9, message="no"), GOOD), "Apply 2 for 50% over 7",
        then={"rollout.step": 2, f"{FIRST}.errors": 0, "Ready.reason": "Serving"}),
    row("an error after a good answer holds it too", canary(said("Passed", measured=1), SILENCE), then=HELD | {f"{FIRST}.state": "Error"}),
]  # fmt: skip

STAGES = [
    row("while its share is not seen, measuring waits and begins anew",
        canary(said("Passed", measured=2), GOOD).split({1: 100}, asks=2, canary=10), then={"rollout.since": None, f"{FIRST}.measured": 2, f"{FIRST}.state": None, f"{FIRST}.next_at": None}),
    row("so it does while suspended", canary(said("Passed", measured=2), GOOD).suspended(), then={f"{FIRST}.state": None, f"{FIRST}.next_at": None}),
    row("an edit of how it is served is another revision: nothing of it was measured",
        canary(said("Passed", measured=2), GOOD).spec(serving={**asks(), "minReplicas": 2}), "Apply 2 for 0% over 7", then={"rollout.stage": "Proving", "rollout.analysis": None}),
    row("in the dark too", standard("Proving", said("Passed", measured=2, due=9)).spec(serving={**asks("Replace"), "minReplicas": 2, "runtime": "other"}),
        "ApplyCandidate 2 over 8", then={"rollout.stage": "Proving", "rollout.analysis": None}),
    row("and before all", standard("Promoting", said("Passed", measured=2, due=9)).spec(serving={**asks("Replace"), "minReplicas": 2}),
        "Apply 2 over 7", then={"rollout.stage": "Promoting", f"{FIRST}.measured": 0, "served.version": 1}),
    row("a query that is taken away holds nothing any more", canary(said(), None).spec(serving={"rollout": {"strategy": "Canary", "steps": [10, 50], "stepDuration": "1m"}}),
        "Apply 2 for 50% over 7", then={"rollout.analysis": None}),
    row("a canary's revision in the dark is not measured: its first step is",
        measuring(started().stage("Proving", 2).split({1: 100}, asks=2, canary=0)), "Apply 2 for 10% over 7", then={"rollout.stage": "Canary", "rollout.analysis": None}),
    row("without a canary it is, once it is proven", standard("Proving", None), then={"rollout.stage": "Proving", f"{FIRST}.next_at": NOW + seconds(30)}, wake=1),
    row("and goes on when that passed", standard("Proving", said(), GOOD), "DeleteCandidateService", "Apply 2 over 7", then={"rollout.stage": "Promoting", f"{FIRST}.next_at": None}),
    row("or never meets users", standard("Proving", said(), BAD), "DeleteCandidateService", then=BACK, events=["RolledBack"]),
    row("in the dark there are no users, whose traffic could be waited for", standard("Proving", said(), NOTHING, noTraffic="Fail"), "DeleteCandidateService", "Apply 2 over 7",
        then={"rollout.stage": "Promoting", f"{FIRST}.failed": 0}),
    row("a silence in the dark is no answer either", standard("Proving", said(), SILENCE), then={"rollout.stage": "Proving"}),
    row("a failing answer is no reason to give up what was proven", replace(standard("Proving", said(due=9)), now=NOW + seconds(400))
        .sees(probe=Probe("failing", NOW + seconds(395), "status 500")), then={"rollout.stage": "Proving"}),
    row("before all users it is measured again", standard("Promoting", None), then={"served.version": 1, f"{FIRST}.next_at": NOW + seconds(30)}, wake=1),
    row("passed, it is served, and the record tells what was measured", standard("Promoting", said(measured=1), GOOD), events=["VersionServed"],
        then={"served.version": 2, "rollout": None, "candidate.verdict.analysis.0.measured": 2, "history.0.analysis.0.state": "Passed", "history.0.analysis.0.next_at": None,
        "served.proof": "Deployment settled; predictions answered for 10 s; analysis: errors 0.01"}),
    row("failed, the version before is applied again", standard("Promoting", said(measured=1), BAD), "Apply 1 over 7", then=BACK, events=["RolledBack"]),
    row("the first version ever is not measured", measuring(a_situation(serving=asks()).sees(preflight=None).judged(1).rolling_to(1).sees(deployment=a_deployment(1), probe=answering(60))),
        then={"served.version": 1, "phase": "Serving"}, events=["VersionServed"]),
    row("nor is one that a person pinned", canary(said(), BAD).pinned(2), "Apply 2 for 50% over 7", then={"rollout.analysis": None}),
    row("a newer version leaves in the record what was measured of the one before", canary(said("Passed", measured=2), None).judged(3), "Apply 3 for 0% over 7",
        then={"rollout.version": 3, "rollout.analysis": None, "history.1.analysis.0.measured": 2}),
]  # fmt: skip

REFUSED = [
    row("a query that is not defined is refused at once", measuring(started(query="drift").judged(2, accepted=False), Unconfigured), then={"phase": "Serving",
        "Ready.status": "True", "Ready.reason": "AnalysisNotConfigured", "Ready.message":
        "version 1 serves; serving.rollout.analysis cannot be done: no query drift is defined (TAS_ANALYSIS_QUERIES); there is none"}),
    row("and the next version is held in the dark", measuring(started().stage("Proving", 2).split({1: 100}, asks=2, canary=0), Unconfigured),
        then={"rollout.stage": "Proving", "rollout.since": None, "ModelServed.reason": "AnalysisNotConfigured", "served.version": 1}),
    row("so it is without a Prometheus", measuring(standard("Proving", None), Alone), then={"rollout.stage": "Proving", "ModelServed.reason": "AnalysisNotConfigured"}),
    row("a query of revisions is none for Standard mode", measuring(standard("Proving", None, query="latency")), then={"rollout.stage": "Proving",
        "ModelServed.reason": "AnalysisNotConfigured", "Ready.message":
        "version 1 serves; serving.rollout.analysis cannot be done: latency measures a revision, and in Standard mode there is none: name a query that uses {pods}"}),
    row("a query that is gone in the middle holds the step", measuring(canary(said("Passed")), Unconfigured), then=HELD | {"Ready.reason": "AnalysisNotConfigured"}),
    row("a pinned version waits for no query", measuring(started().stage("Proving", 2).split({1: 100}, asks=2, canary=0).pinned(2), Unconfigured), "Apply 2 for 10% over 7"),
    row("the first version ever is served", measuring(a_situation(serving=asks()).sees(preflight=None).judged(1), Unconfigured), "Apply 1 over nothing"),
]  # fmt: skip


@table([*COUNTED, *UNANSWERED, *STAGES, *REFUSED])
def test_analysis(given: Row) -> None:
    follows(given)


def test_it_is_looked_at_when_it_is_due_and_not_before() -> None:
    for due, looks in ((0, True), (1, False), (None, False)):
        found = first_looks(canary(said(due=due)).observation(), Known(), NOW)
        assert (Look.ANALYSIS in found) is looks
    assert Look.ANALYSIS not in first_looks(
        measuring(canary(said()), Unconfigured).observation(), Known(), NOW
    )


def test_no_author_has_prometheus_asked_more_often_than_the_administrator_lets_them() -> None:
    eager = canary(None, since=0, interval="1s").decide().status
    assert (
        at(eager, f"{FIRST}.next_at") == NOW + CONFIGURED.analysis_min_interval == NOW + timedelta(seconds=10)
    )


def test_the_outlook_names_what_is_measured() -> None:
    for situation in (
        canary(said(due=9)),
        standard("Proving", said(due=9)),
        standard("Promoting", said(due=9)),
    ):
        assert at(situation.decide().status, "plan.steps.0.message").endswith("; measured by errors")


def test_a_judgement_that_is_given_again_keeps_what_was_measured() -> None:
    served = standard("Promoting", said(measured=1), GOOD)
    served = replace(served, resource=served.resource.changed(status=served.decide().status))
    again = served.spec(evaluation={"metrics": [{"name": "accuracy", "min": 0.1}]}).decide().status
    assert (
        at(again, "history.0.analysis.0.measured") == at(again, "candidate.verdict.analysis.0.measured") == 2
    )
    assert at(again, "history.0.run_id") == run_id(2)


def test_a_verdict_that_was_given_anew_takes_nothing_from_the_history() -> None:
    served = standard("Promoting", said(measured=1), GOOD).decide().status
    assert served.candidate is not None and served.candidate.verdict is not None
    anew = served.candidate.changed(verdict=served.candidate.verdict.changed(analysis=None))
    status = remember(standard("Promoting", None).resource, served.changed(candidate=anew))
    assert at(status, "history.0.analysis.0.measured") == 2
