"""Every version's record beside its model: written when its story changes, never in the way of anything else."""

from __future__ import annotations

from tests.unit.builders import (
    NOW,
    Situation,
    a_deployment,
    a_result,
    a_situation,
    answering,
    in_bucket,
    problem,
    run_id,
    words,
)
from trainandserve.decide.record import told
from trainandserve.plan import WriteRecord

idle = a_situation().sees(preflight=None)
first = idle.with_run("Succeeded", url="https://kfp/1", pipeline_digest="ab").sees(result=a_result(1))


def records(situation: Situation) -> list[str]:
    return [words(one) for one in situation.decide().actions if isinstance(one, WriteRecord)]


def written(situation: Situation) -> Situation:
    """A pass later, with everything written that it asked for."""
    asked = {
        one.entry.run_id: one.digest for one in situation.decide().actions if isinstance(one, WriteRecord)
    }
    return situation.after().sees(recorded=asked)


def test_a_verdict_is_recorded_in_the_pass_that_stores_it_after_everything_else() -> None:
    plan = first.decide()
    assert [words(one) for one in plan.actions] == ["Apply 1 over nothing", "Record 1 Accepted"]
    [record] = [one for one in plan.actions if isinstance(one, WriteRecord)]
    assert record.entry == plan.status.history[0]
    assert record.digest == told(record.entry)


def test_a_record_says_what_made_the_version_and_what_was_found_of_it() -> None:
    entry = first.decide().status.history[0]
    run = first.resource.status.run
    assert run is not None
    assert (entry.attempt, entry.trigger, entry.run_url, entry.pipeline_digest) == (
        1,
        run.reason,
        "https://kfp/1",
        "ab",
    )
    assert (entry.submitted_at, entry.finished_at, entry.at) == (run.submitted_at, run.finished_at, NOW)
    assert (entry.verdict, entry.samples, entry.checks[0].value, entry.checks[0].min) == (
        "Accepted",
        360,
        0.95,
        0.9,
    )
    assert entry.training_hash == run.training_hash and entry.gate_hash


def test_a_record_that_is_not_known_to_be_written_is_written_again() -> None:
    later = first.after()
    assert records(later) == records(later.after()) == ["Record 1 Accepted"]
    assert records(later.sees(failure=problem("BucketRefused"))) == ["Record 1 Accepted"]


def test_one_that_cannot_be_written_is_said_and_holds_up_nothing() -> None:
    proven = first.after().serving(1).status(history=first.after().resource.status.history)
    plan = proven.sees(failure=problem("BucketRefused")).decide()
    ready = plan.status.condition("Ready")
    assert ready is not None and (ready.status, ready.reason) == ("True", "BucketRefused")
    assert plan.again


def test_that_it_is_written_is_stored_once_nothing_is_under_way() -> None:
    """While something is, the status will be written anyway."""
    done = written(first.after())  # a pass in which the rollout's clock was stopped: nothing was applied here
    assert records(done) == []
    assert done.decide().status.history[0].recorded is None
    rejected = idle.judged(1, accepted=False)
    at_rest = rejected.status(history=[rejected.resource.status.history[0].changed(recorded=None)])
    assert records(at_rest) == ["Record 1 Rejected"]
    stored = written(at_rest).decide()
    assert stored.status.history[0].recorded == told(stored.status.history[0])
    assert records(written(at_rest).after().sees(recorded={})) == []


def test_the_proof_is_recorded_with_its_time() -> None:
    settled = idle.judged(1).rolling_to(1).sees(deployment=a_deployment(1), probe=answering())
    plan = settled.decide()
    assert plan.status.history[0].served_at == NOW
    assert records(settled) == ["Record 1 Accepted"]


def test_the_way_back_is_recorded_also_of_a_version_that_is_not_the_newest() -> None:
    second = idle.judged(1).serving(1).judged(2).serving(1, target=2, since=300)
    assert records(second) == ["Record 2 FailedToServe"]
    third = idle.judged(1).serving(1).judged(2).judged(3, accepted=False).serving(1, target=2, since=300)
    assert records(third) == ["Record 2 FailedToServe"]


def test_an_approval_and_a_version_that_was_overtaken_are_recorded() -> None:
    held = idle.spec(evaluation={"metrics": [{"name": "accuracy", "min": 0.9}], "approval": "Manual"})
    waits = held.judged(1).serving(1).judged(2, accepted=False, reason="AwaitingApproval")
    assert records(waits.annotated(approve="2@digest-2")) == ["Record 2 Approved"]
    newer = waits.with_run("Succeeded", 3, incumbent=1).sees(result=a_result(3, incumbent=1))
    assert records(newer) == ["Record 3 AwaitingApproval", "Record 2 Superseded"]


def test_a_second_judgement_keeps_what_is_known_of_the_run() -> None:
    """The run of a version is not the last one any more when its bounds are edited."""
    judged = (
        written(first)
        .sees(result=None)
        .with_run("Running", 2)
        .spec(evaluation={"metrics": [{"name": "accuracy", "min": 0.8}]})
    )
    entry = next(one for one in judged.decide().status.history if one.run_id == run_id(1))
    assert (entry.attempt, entry.run_url, entry.pipeline_digest) == (1, "https://kfp/1", "ab")


def test_a_resource_at_rest_whose_records_are_written_asks_for_none() -> None:
    assert records(idle.judged(1).serving(1)) == []
    assert records(idle.judged(1).serving(1).pinned(1, found=in_bucket(1))) == []
