"""When a run is due, and when it may start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.builders import (
    NOW,
    READY_TO_RUN,
    Situation,
    a_resource,
    a_result,
    a_situation,
    problem,
    run_id,
    seconds,
)
from tests.unit.decide.table import Row, follows, row, table
from trainandserve import names
from trainandserve.observation import Preflight
from trainandserve.plan import SubmitRun
from trainandserve.resource import Status

fresh = Situation(a_resource())
new = a_situation()
served = a_situation().judged(1).serving(1).sees(preflight=READY_TO_RUN)
made_from_these = served.made_from_its_inputs()
failed_once = a_situation().with_run("Failed", failures=1)

LAUNCH = [
    row("a resource without our finalizer gets that before anything", fresh.metadata(finalizers=[]), "AddFinalizer",
        then={"observed_generation": None, "conditions": []}, wake=None),
    row("a finalizer of somebody else is not ours", fresh.metadata(finalizers=["other/one"]), "AddFinalizer"),
    row("the first sight is stored before anything that takes time", fresh,
        then={"observed_generation": 3, "phase": "Pending", "Ready.status": "False", "Reconciling.status": "True",
              "Stalled": None, "run": None}, wake=0),
    row("the first sight of a suspended resource says so", fresh.suspended(), then={"phase": "Suspended"}, wake=0),
    row("a first version is launched", new, "SubmitRun 1/1",
        then={"run.state": "Submitting", "run.version": 1, "run.attempt": 1, "run.id": run_id(1), "run.incumbent": None,
              "run.submitted_at": NOW, "run.reason": "first version", "last_version": 1, "phase": "Training"}, wake=60),
    row("the planned data is stored with the run", new, "SubmitRun 1/1",
        then={"run.data_digest": "sha256:data", "run.evaluation_digest": None}),
    row("a run writes into a folder of its own", new, "SubmitRun 1/1",
        then={"run.prefix": f"s3://models/vision/mnist/1-{run_id(1)[:8]}/"}),
    row("the version that serves is the incumbent of the next", served.spec(training={"image": "b"}), "SubmitRun 2/1",
        then={"run.incumbent": 1, "run.version": 2, "run.reason": "the training inputs changed", "phase": "Training"}),
    row("nothing is launched when nothing changed", served, then={"run.state": "Succeeded", "phase": "Serving"}, wake=None),
    row("a new value of the retrain annotation launches", served.annotated(retrain="monday"), "SubmitRun 2/1",
        then={"last_handled_retrain": "monday", "run.reason": "asked for by the retrain annotation"}),
    row("without a preflight the next pass makes one", served.spec(training={"image": "b"}).sees(preflight=None),
        then={"run.state": "Succeeded"}, wake=0),
    row("what is missing outside holds the run back", new.sees(preflight=Preflight((problem(),))),
        then={"run": None, "Ready.reason": "BucketRefused", "Ready.status": "False", "Reconciling.status": "True",
              "phase": "Pending"}, again=True),
    row("every problem is named", new.sees(preflight=Preflight((problem(), problem("DataNotFound")))),
        then={"ModelTrained.reason": "BucketRefused",
              "ModelTrained.message": "the bucket refuses these credentials; the bucket refuses these credentials"}, again=True),
    row("without a slot the run is queued", new.sees(preflight=Preflight(slot=False)),
        then={"run": None, "phase": "Queued", "ModelTrained.reason": "Queued", "Reconciling.status": "True"}, again=True),
    row("a suspended resource starts nothing", new.suspended(), then={"run": None, "phase": "Suspended"}, wake=None),
    row("a run under way is not joined by another", a_situation().with_run("Running").kfp_says("RUNNING"),
        then={"run.attempt": 1, "run.state": "Running"}),
    row("a failed run is tried again after the backoff", failed_once.later(30), "SubmitRun 1/2",
        then={"run.failures": 1, "run.attempt": 2, "run.state": "Submitting", "run.id": run_id(1, 2), "last_version": 1}),
    row("but not before", failed_once.later(29), then={"run.state": "Failed", "phase": "Training"}, wake=1),
    row("the pause doubles", a_situation().with_run("Failed", attempt=2, failures=2).later(59), wake=1),
    row("and ends", a_situation().with_run("Failed", attempt=2, failures=2).later(60), "SubmitRun 1/3"),
    row("after two retries it is enough", a_situation().with_run("Failed", attempt=3, failures=3).later(3600),
        then={"run.state": "Failed", "phase": "Failed", "Stalled.status": "True", "Stalled.reason": "RetriesExhausted"},
        wake=None, again=False),
    row("a limit of 0 means one run", a_situation(training={"runRetries": 0}).with_run("Failed", failures=1).later(3600),
        then={"phase": "Failed"}, wake=None),
    row("a larger limit goes on", a_situation(training={"runRetries": 3}).with_run("Failed", attempt=3, failures=3).later(3600),
        "SubmitRun 1/4"),
    row("a limit that is raised afterwards goes on",
        a_situation().with_run("Failed", attempt=3, failures=3).spec(training={"runRetries": 3}).later(3600), "SubmitRun 1/4"),
    row("a lost run that was nobody's failure is tried again soon", a_situation().with_run("Lost").later(5), "SubmitRun 1/2",
        then={"run.failures": 0}),
    row("new inputs end the retries of the old version",
        a_situation().with_run("Failed", attempt=3, failures=3).spec(training={"image": "b"}), "SubmitRun 2/1",
        then={"run.failures": 0}),
    row("a retrain ends them as well", a_situation().with_run("Failed", attempt=3, failures=3).annotated(retrain="x"), "SubmitRun 2/1"),
    row("a suspended resource does not retry", failed_once.suspended().later(3600), then={"phase": "Suspended"}, wake=None),
    row("a stopped run gives way to the next version",
        a_situation().with_run("Stopped", superseded=True).spec(training={"image": "b"}), "SubmitRun 2/1"),
    row("a stopped run whose edit was taken back gives way to the next version as well",
        a_situation().with_run("Stopped", superseded=True), "SubmitRun 2/1"),
    row("a status that lost its run and all that came of it launches again",
        a_situation().with_run("Failed", attempt=3, failures=3).status(run=None), "SubmitRun 2/1"),
    row("an edit that was taken back trains nothing: what serves was made from these inputs",
        made_from_these.with_run("Stopped", 2, superseded=True, training_hash="other"),
        then={"run.version": 2, "phase": "Serving", "ModelTrained.status": "True",
              "ModelTrained.message": "version 1 was trained from these inputs"}, wake=None),
    row("nor where the edit's own runs failed",
        made_from_these.with_run("Failed", 2, attempt=3, failures=3, training_hash="other"),
        then={"phase": "Serving", "ModelTrained.status": "True", "Ready.reason": "Serving"}, wake=None),
    row("the edit made again trains again where its run was stopped",
        made_from_these.spec(training={"image": "b"}).with_run("Stopped", 2, superseded=True), "SubmitRun 3/1"),
    row("a comparison that is due trains all the same",
        made_from_these.status(last_training_hash=""), "SubmitRun 2/1"),
    row("a result that was not read yet comes before anything new",
        a_situation().with_run("Succeeded"), then={"run.state": "Succeeded"}, wake=0),
    row("a result of inputs that changed before it was read is not judged",
        a_situation().with_run("Succeeded").spec(training={"image": "b"}).sees(preflight=READY_TO_RUN, result=a_result(1)),
        "SubmitRun 2/1", then={"candidate": None, "run.version": 2}),
    row("an id that Kubeflow Pipelines knows already is followed, never submitted again",
        new.sees(preflight=Preflight((), "sha256:data", taken=True)), then={"run.state": "Submitting", "run.id": run_id(1)}, wake=0),
]  # fmt: skip


@table(LAUNCH)
def test_launch(given: Row) -> None:
    follows(given)


@pytest.mark.parametrize(
    "part",
    [
        {"data": {"uri": "s3://datasets/other/"}},
        {"training": {"image": "b"}},
        {"training": {"entrypoint": "my.recipe"}},
        {"training": {"parameters": {"epochs": 6}}},
        {"training": {"packages": ["a==1"]}},
        {"evaluation": {"data": {"uri": "s3://held/out/"}, "metrics": [{"name": "accuracy", "min": 0.9}]}},
    ],
    ids=str,
)
def test_a_changed_input_of_the_model_launches_a_run(part: dict[str, object]) -> None:
    follows(row("", served.spec(**part), "SubmitRun 2/1"))


@pytest.mark.parametrize(
    "part",
    [
        {"serving": {"deletionPolicy": "Orphan"}},
        {"training": {"retries": {"limit": 3}, "runRetries": 4, "timeout": "1h", "caching": False}},
        {
            "training": {
                "resources": {"limits": {"cpu": "4"}},
                "nodeSelector": {"a": "b"},
                "podLabels": {"a": "b"},
            }
        },
        {"data": {"uri": "s3://datasets/mnist/", "secretName": "other"}},
        {"storage": {"uri": "s3://elsewhere/"}},
        {"historyLimit": 3},
    ],
    ids=str,
)
def test_what_does_not_make_the_model_launches_nothing(part: dict[str, object]) -> None:
    plan = served.spec(**part).decide()
    assert plan.actions == ()
    assert plan.status.observed_generation == 4


def test_the_same_retrain_value_asks_once_and_taking_it_away_asks_for_nothing() -> None:
    asked = served.annotated(retrain="monday").after()
    done = asked.judged(2).status(last_handled_retrain="monday").serving(2)
    assert done.decide().actions == ()
    assert done.metadata(annotations={}).decide().actions == ()
    follows(row("", done.annotated(retrain="tuesday"), "SubmitRun 3/1"))


def test_only_the_plan_that_stores_submitting_submits() -> None:
    plan = new.decide()
    (action,) = plan.actions
    assert isinstance(action, SubmitRun)
    assert action.run == plan.status.run
    again = new.after().sees(run=None).decide()
    assert not [one for one in again.actions if isinstance(one, SubmitRun)]


def test_a_retrain_token_of_any_length_can_be_stored() -> None:
    plan = served.annotated(retrain="x" * 10_000).decide()
    Status.model_validate(plan.status.dump())
    assert len(plan.status.last_handled_retrain or "") <= 253
    stored = replace(served, resource=served.resource).annotated(retrain="x" * 10_000)
    assert names.RETRAIN in stored.resource.metadata.annotations
    done = stored.after().judged(2).serving(2)
    assert done.decide().actions == (), "the same long value asks once"


def test_runs_that_could_not_even_be_submitted_are_tried_ever_more_rarely() -> None:
    lost = [a_situation().with_run("Lost", attempt=attempt).later(1).decide() for attempt in (1, 3, 6)]
    wakes = [plan.wake for plan in lost]
    assert all(wakes)
    assert sorted(wakes) == wakes and len(set(wakes)) == 3, (
        "a refusal that lasts must not make a run every 5 s"
    )
    assert wakes[-1] is not None and wakes[-1] <= NOW + seconds(600)
