"""A status that was lost, and what can be known of it again."""

from __future__ import annotations

from typing import Any

from tests.unit.builders import (
    NOW,
    READY_TO_RUN,
    SILENT,
    Situation,
    a_deployment,
    a_result,
    a_situation,
    a_target,
    prefix,
    run_id,
)
from tests.unit.decide.table import Row, follows, row, table
from trainandserve.decide.description import describe, described
from trainandserve.hashes import training_hash
from trainandserve.observation import KfpRun, Recovery
from trainandserve.resource import Evaluated, HistoryEntry, Run

lost = a_situation().status(last_version=None)
HASH = training_hash(lost.resource)


def found(situation: Situation = lost, **fields: object) -> Situation:
    return situation.sees(recovery=Recovery(**fields), preflight=READY_TO_RUN)  # type: ignore[arg-type]


good = a_result(2, training_hash=HASH)
bad = a_result(3, training_hash=HASH, metrics={"accuracy": 0.1})
live = lost.service(a_target(2, training_hash=HASH))
serving = {"served": good, "served_prefix": prefix(2)}
description = describe(
    Run(
        version=3,
        attempt=1,
        id=run_id(3),
        state="Submitting",
        training_hash=HASH,
        prefix=prefix(3),
        submitted_at=NOW,
    )
)
under_way = KfpRun(run_id(3), "RUNNING", description=description)

evaluating_run = KfpRun(
    run_id(2, 2),
    "RUNNING",
    description=describe(
        Run(
            version=2,
            kind="Evaluate",
            evaluates=run_id(2),
            attempt=2,
            id=run_id(2, 2),
            state="Submitting",
            training_hash=HASH,
            prefix=f"{prefix(2)}evaluations/x/",
            submitted_at=NOW,
        )
    ),
)

by_hand = lost.spec(evaluation={"metrics": [{"name": "accuracy", "min": 0.9}], "approval": "Manual"})


def record_of(version: int, verdict: str, bounds: Situation = lost, **fields: Any) -> HistoryEntry:
    """What the record of a version says, judged by these bounds."""
    judged = bounds.judged(version, verdict in ("Accepted", "Approved"), reason=verdict)
    return judged.resource.status.history[0].changed(**fields)


ON_OTHER_DATA = Evaluated(
    run_id=run_id(2, 2), attempt=2, digest="of-evaluation", training_hash="of-other-data"
)
evaluated = record_of(2, "Rejected").changed(evaluation=ON_OTHER_DATA)
evaluation = a_result(
    2, 2, digest="of-evaluation", metrics={"accuracy": 0.1}, incumbent=1, incumbent_metrics={"accuracy": 0.2}
)

RECOVERY = [
    row("nothing was looked for: look", lost, then={"last_version": None, "run": None}, wake=0),
    row("nobody knows: nothing is planned", lost.sees(recovery=SILENT), then={"last_version": None, "run": None}, again=True),
    row("nothing is found: a new resource", found(), "SubmitRun 1/1", then={"last_version": 1, "run.state": "Submitting"}),
    row("folders without a result keep their numbers", found(last_version=4), "SubmitRun 5/1", then={"last_version": 5}, events=["StatusRebuilt"]),
    row("what serves goes on serving and nothing is trained",
        found(last_version=2, newest=good, newest_prefix=prefix(2), **serving).sees(inference_service=live, deployment=a_deployment(2)),
        then={"served.target.version": 2, "served.target.run_id": run_id(2), "run": None, "last_version": 2, "last_training_hash": HASH,
              "candidate.version": 2}, events=["StatusRebuilt"]),
    row("a newest version that was rejected is not served",
        found(last_version=3, newest=bad, newest_prefix=prefix(3), **serving).sees(inference_service=live, deployment=a_deployment(2)),
        then={"served.target.version": 2, "candidate.verdict.accepted": False, "run": None, "last_training_hash": HASH},
        events=["StatusRebuilt"]),
    row("a newest version that is good waits until what serves is proven again",
        found(last_version=3, newest=a_result(3, training_hash=HASH), newest_prefix=prefix(3), **serving)
        .sees(inference_service=live, deployment=a_deployment(2)),
        then={"served.target.version": 2, "candidate.version": 3, "candidate.verdict.accepted": True}, events=["StatusRebuilt"]),
    row("a good version that never served is served", found(last_version=2, newest=good, newest_prefix=prefix(2)), "Apply 2 over nothing",
        then={"served.target.version": 2, "run": None}, events=["StatusRebuilt"]),
    row("a run that is under way is adopted", found(last_version=2, running=under_way),
        then={"run.id": run_id(3), "run.state": "Running", "run.version": 3, "last_version": 3, "last_training_hash": HASH},
        events=["StatusRebuilt"]),
    row("a run of somebody else is not", found(last_version=2, running=KfpRun("x", "RUNNING", description="mine")), "SubmitRun 3/1",
        events=["StatusRebuilt"]),
    row("a suspended resource is rebuilt and starts nothing", found(lost.suspended(), last_version=2, newest=good, newest_prefix=prefix(2)),
        then={"candidate.version": 2, "served": None, "run": None}, events=["StatusRebuilt"]),
    row("a status that is there is not rebuilt", a_situation().judged(1).serving(1).sees(recovery=Recovery(last_version=9)), then={"last_version": 1}),
    row("a retrain that was taken away since is known again from the result",
        found(last_version=2, newest=a_result(2, training_hash=training_hash(lost.annotated(retrain="monday").resource), retrain_token="monday"),
              newest_prefix=prefix(2), **serving).sees(inference_service=live, deployment=a_deployment(2)),
        then={"run": None, "last_handled_retrain": "monday"}, events=["StatusRebuilt"]),
    row("a version that failed to serve stays rejected",
        found(last_version=2, newest=good, newest_prefix=prefix(2), records=(record_of(2, "FailedToServe"),)),
        then={"candidate.verdict.reason": "FailedToServe", "served": None, "history.0.verdict": "FailedToServe", "run": None},
        events=["StatusRebuilt"]),
    row("also where it is the one that is applied: the one that was proven last takes its place",
        found(last_version=2, newest=good, newest_prefix=prefix(2), records=(record_of(2, "FailedToServe"), record_of(1, "Accepted", served_at=NOW)),
              **serving).sees(inference_service=live, deployment=a_deployment(2)), "Apply 1 over 7",
        then={"served.target.version": 1, "candidate.verdict.reason": "FailedToServe"}, events=["StatusRebuilt"]),
    row("where none was proven, it goes on: there is nothing else",
        found(last_version=2, newest=good, newest_prefix=prefix(2), records=(record_of(2, "FailedToServe"),), **serving)
        .sees(inference_service=live, deployment=a_deployment(2)), then={"served.target.version": 2}, events=["StatusRebuilt"]),
    row("an approval is known again, and nobody is asked twice",
        found(by_hand, last_version=2, newest=good, newest_prefix=prefix(2), records=(record_of(2, "Approved", by_hand, approved_at=NOW),)),
        "Apply 2 over nothing", then={"candidate.verdict.reason": "Approved"}, events=["StatusRebuilt"]),
    row("also under other bounds that it meets",
        found(by_hand, last_version=2, newest=good, newest_prefix=prefix(2), records=(record_of(2, "Approved", approved_at=NOW),)),
        "Apply 2 over nothing", then={"candidate.verdict.reason": "Approved", "candidate.verdict.approved_at": NOW}, events=["StatusRebuilt"]),
    row("without a record a version that needs an approval waits for it",
        found(by_hand, last_version=2, newest=good, newest_prefix=prefix(2)),
        then={"candidate.verdict.reason": "AwaitingApproval", "served": None, "phase": "AwaitingApproval"}, events=["StatusRebuilt"]),
    row("the one that serves does not",
        found(by_hand, last_version=2, newest=good, newest_prefix=prefix(2), **serving).sees(inference_service=live, deployment=a_deployment(2)),
        then={"candidate.verdict.reason": "Accepted", "served.target.version": 2}, events=["StatusRebuilt"]),
    row("a verdict under bounds that were edited since is given anew",
        found(last_version=2, newest=good, newest_prefix=prefix(2), records=(record_of(2, "Rejected", gate_hash="others"),)), "Apply 2 over nothing",
        then={"candidate.verdict.reason": "Accepted"}, events=["StatusRebuilt"]),
    row("a record of another result of that number is not believed",
        found(last_version=2, newest=good, newest_prefix=prefix(2), records=(record_of(2, "FailedToServe", result_digest="another"),)),
        "Apply 2 over nothing", then={"candidate.verdict.reason": "Accepted"}, events=["StatusRebuilt"]),
    row("numbers of an evaluation after the training come back with their verdict, and what they answer to",
        found(last_version=2, newest=good, newest_prefix=prefix(2), records=(evaluated,), evaluation=evaluation),
        "SubmitRun 3/1", then={"candidate.metrics": {"accuracy": 0.1}, "candidate.verdict.reason": "Rejected", "candidate.result_digest": "digest-2",
              "candidate.evaluation": ON_OTHER_DATA, "candidate.incumbent.metrics": {"accuracy": 0.2}}, events=["StatusRebuilt"]),
    row("so nothing is trained where the data of then is still what is asked for",
        found(last_version=2, newest=a_result(2, training_hash="of-the-data-before"), newest_prefix=prefix(2),
              records=(evaluated.changed(evaluation=ON_OTHER_DATA.changed(training_hash=HASH)),), evaluation=evaluation),
        then={"last_training_hash": HASH, "run": None, "candidate.training_hash": "of-the-data-before"}, events=["StatusRebuilt"]),
    row("a run that only evaluates is adopted as one",
        found(last_version=2, newest=good, newest_prefix=prefix(2), records=(record_of(2, "IncumbentChanged"),), running=evaluating_run, **serving)
        .sees(inference_service=live, deployment=a_deployment(2)),
        then={"run.kind": "Evaluate", "run.evaluates": run_id(2), "run.state": "Running", "last_version": 2, "last_training_hash": HASH},
        events=["StatusRebuilt"]),
    row("the history comes back from the records, newest first",
        found(last_version=3, newest=bad, newest_prefix=prefix(3),
              records=(record_of(3, "Rejected"), record_of(2, "Accepted"), record_of(1, "FailedToServe")), **serving)
        .sees(inference_service=live, deployment=a_deployment(2)),
        then={"history.0.version": 3, "history.1.version": 2, "history.2.verdict": "FailedToServe", "candidate.verdict.reason": "Rejected"},
        events=["StatusRebuilt"]),
]  # fmt: skip


@table(RECOVERY)
def test_recovery(given: Row) -> None:
    follows(given)


def test_a_description_is_read_back_only_for_its_own_run() -> None:
    assert (run := described(under_way)) is not None
    assert (run.version, run.id, run.training_hash) == (3, run_id(3), HASH)
    assert described(KfpRun("other", "RUNNING", description=description)) is None
