"""What holds of every decision, whatever is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.builders import (
    NOW,
    POLICY,
    READY_TO_RUN,
    SILENT,
    Situation,
    a_deployment,
    a_result,
    a_situation,
    a_target,
    in_bucket,
    prefix,
    problem,
    rolling_deployment,
    run_id,
    seconds,
)
from tests.unit.operator_resource.specifications import thorough
from trainandserve.changes import training_fields
from trainandserve.decide.looks import Known, Look, first_looks, second_looks
from trainandserve.decide.record import told
from trainandserve.hashes import training_hash
from trainandserve.observation import (
    ABSENT,
    Folder,
    InferenceService,
    KfpRun,
    Measurement,
    Pace,
    Preflight,
    Probe,
    Recovery,
    RunPods,
    ServerTrouble,
    Step,
    Workflow,
)
from trainandserve.plan import (
    ApplyCandidateService,
    ApplyInferenceService,
    DeleteVersion,
    RemoveFinalizer,
    SubmitRun,
    WriteRecord,
)
from trainandserve.resource import Evaluated, Measured, Pin, Served, Status

STATES = [
    "",
    "PENDING",
    "RUNNING",
    "SUCCEEDED",
    "SKIPPED",
    "FAILED",
    "CANCELING",
    "CANCELED",
    "PAUSED",
    "NEW",
]
AGO = [0.0, 1.0, 5.0, 9.0, 10.0, 59.0, 60.0, 61.0, 299.0, 300.0, 3600.0, 90_000.0]
SPECS: list[dict[str, Any]] = [
    {"serving": {"rollout": {"strategy": "Canary", "steps": [10, 50], "stepDuration": "1m"}}},
    {
        "serving": {
            "rollout": {
                "strategy": "Canary",
                "analysis": [
                    {"query": "errors", "max": 0.1, "failureLimit": 1},
                    {"query": "drift", "min": 0, "noTraffic": "Fail", "consecutiveErrorLimit": 0},
                ],
            }
        }
    },
    {"serving": {"rollout": {"analysis": [{"query": "errors", "max": 0.1, "noTraffic": "Pass"}]}}},
    {},
    {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.9, "maxRegression": 0.01}]}},
    {"training": {"timeout": "1m", "runRetries": 0}},
    {"storage": {"uri": "s3://models/", "deletionPolicy": "Delete"}, "serving": {"deletionPolicy": "Orphan"}},
    {"storage": {"uri": "s3://models/", "keepVersions": 1}},
    {"serving": {"minReplicas": 2, "resources": {"limits": {"cpu": "1"}}}, "historyLimit": 1},
    {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.9}], "approval": "Manual"}},
    {
        "evaluation": {
            "metrics": [{"name": "accuracy", "min": 0.9, "maxRegression": 0.01, "minSamples": 361}],
            "onIncumbentError": "Hold",
        }
    },
]
EDITS: list[dict[str, Any]] = [
    {"serving": {"rollout": {"strategy": "Canary"}}},
    {"serving": {"rollout": {"analysis": [{"query": "errors", "max": 0.1}]}}},
    {"training": {"image": "b"}},
    {"suspend": True},
    {"serving": {"minReplicas": 3}},
    {"serving": {"pinnedVersion": 1}},
    {"serving": {"pinnedVersion": 2}},
    {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.99}]}},
    {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.1, "maxRegression": 0.0}]}},
    {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.1}], "approval": "Manual"}},
    {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.1, "minSamples": 400}]}},
    {
        "evaluation": {
            "metrics": [{"name": "accuracy", "min": 0.1, "maxRegression": 0.0}],
            "data": {"uri": "s3://data/other/"},
        }
    },
]
TIMES = st.sampled_from(AGO).map(lambda ago: NOW - seconds(ago))
VERSIONS = st.integers(1, 3)
ATTEMPTS = st.integers(1, 3)


@st.composite
def stored(draw: st.DrawFn) -> Situation:
    """A resource with any status that could be stored."""
    situation = a_situation(**draw(st.sampled_from(SPECS)))
    if draw(st.booleans()):
        situation = situation.judged(
            draw(VERSIONS), draw(st.booleans()), incumbent=draw(st.none() | VERSIONS)
        )
        if draw(st.booleans()):
            situation = situation.judged(
                draw(VERSIONS),
                accepted=False,
                reason=draw(
                    st.sampled_from(
                        ["Rejected", "FailedToServe", "IncumbentChanged", "AwaitingApproval", "Inconclusive"]
                    )
                ),
                **draw(MADE),
            )
    match draw(st.sampled_from(["nothing", "first", "proven", "rolling", "apart", "canary", "back"])):
        case "first":
            situation = situation.rolling_to(draw(VERSIONS), since=draw(st.sampled_from(AGO)))
        case "proven":
            situation = situation.serving(draw(VERSIONS))
        case "rolling":
            situation = situation.serving(
                draw(VERSIONS), target=draw(VERSIONS), since=draw(st.sampled_from(AGO))
            )
        case "apart":
            ago = draw(st.none() | st.sampled_from(AGO))
            situation = situation.proving(draw(VERSIONS), draw(VERSIONS), since=ago)
        case "canary":
            step, ago = draw(st.sampled_from([1, 2, 9])), draw(st.none() | st.sampled_from(AGO))
            situation = situation.serving(draw(VERSIONS)).stage(
                "Canary", draw(VERSIONS), step=step, since=ago
            )
            if draw(st.booleans()):
                rollout = situation.resource.status.rollout
                assert rollout is not None
                found = draw(st.lists(MEASURED, max_size=2, unique_by=lambda one: one.query))
                situation = situation.status(rollout=rollout.changed(analysis=found or None))
        case "back":
            situation = situation.status(served=Served())
    if draw(st.booleans()):
        situation = situation.with_run(draw(st.sampled_from(["Submitting", "Running", "Stopping", "Succeeded", "Failed", "Lost", "Stopped"])),
            draw(VERSIONS), draw(ATTEMPTS), **draw(RUN_FIELDS))  # fmt: skip
        if draw(st.booleans()):
            situation = evaluating(situation, draw(st.none() | st.builds(run_id, VERSIONS)))
    if draw(st.booleans()):
        situation = situation.abandoned(run_id(3, 3), ago=draw(st.sampled_from(AGO)))
    if draw(st.integers(0, 4)) == 0:
        pin = Pin(version=draw(VERSIONS), run_id=run_id(draw(VERSIONS)), since=NOW)
        before = draw(st.none() | st.builds(a_target, VERSIONS))
        situation = situation.status(
            pin=pin.changed(before=before, failed=draw(st.sampled_from([None, "words"])))
        )
    if draw(st.integers(0, 9)) == 0:
        situation = situation.status(**draw(st.sampled_from(LOSSES)))
    return situation


MEASURED = st.builds(
    Measured,
    query=st.sampled_from(["errors", "drift"]),
    measured=st.integers(0, 3),
    failed=st.integers(0, 2),
    errors=st.integers(0, 9),
    state=st.sampled_from([None, "Passed", "Failed", "NoTraffic", "Error"]),
    value=st.none() | st.just(0.05),
    at=st.none() | TIMES,
    next_at=st.none() | TIMES,
)
MEASUREMENT = st.sampled_from(
    [Measurement(0.05), Measurement(9.0), Measurement(), Measurement(error="no answer")]
)


def evaluating(situation: Situation, evaluates: str | None) -> Situation:
    """The run makes nothing: it evaluates the newest version, or this one."""
    run, candidate = situation.resource.status.run, situation.resource.status.candidate
    assert run is not None
    evaluates = evaluates or (candidate.run_id if candidate else None)
    fields = training_fields(situation.resource)
    return situation.status(run=run.changed(kind="Evaluate", evaluates=evaluates, inputs=fields))


HASHES = st.sampled_from([training_hash(a_situation().resource), "another"])
MADE = st.fixed_dictionaries(
    {},
    optional={
        "incumbent": VERSIONS,
        "training_hash": HASHES,
        "evaluation": st.builds(
            Evaluated,
            run_id=st.builds(run_id, VERSIONS, ATTEMPTS),
            attempt=ATTEMPTS,
            digest=st.just("e"),
            training_hash=HASHES,
        ),
    },
)
RUN_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "submitted_at": TIMES,
        "finished_at": st.none() | TIMES,
        "train_started_at": st.none() | TIMES,
        "missing_since": st.none() | TIMES,
        "started_at": st.none() | TIMES,
        "failures": st.integers(0, 4),
        "superseded": st.none() | st.just(True),
        "step": st.sampled_from([None, "download", "train", "evaluate"]),
        "message": st.none() | st.just("no answer"),
        "incumbent": st.none() | VERSIONS,
        "training_hash": st.sampled_from(["", "another"]),
    },
)
LOSSES: list[dict[str, Any]] = [
    {name: field.get_default(call_default_factory=True) for name, field in Status.model_fields.items()},
    {"conditions": []},
    {"last_version": None},
    {"run": None},
    {"candidate": None},
    {"served": None},
    {"rollout": None},
    {"last_training_hash": None},
]
FLOW = st.builds(Workflow, st.just("kubeflow"), st.sampled_from(["a", "b"]), st.sampled_from([run_id(1), run_id(3, 3)]), st.sampled_from(["", "Running", "Failed"]))  # fmt: skip
FOLDERS = st.builds(
    Folder, VERSIONS, st.sampled_from([run_id(1), run_id(2), run_id(3, 3)]), st.just(prefix(1)), st.booleans()
)
FLOWS = st.lists(FLOW, max_size=2).map(tuple)
STEPS = st.lists(
    st.builds(Step, st.sampled_from(["download", "train", "export", "x"]), st.sampled_from(STATES)),
    max_size=3,
).map(tuple)
RESULTS = st.builds(a_result, VERSIONS, ATTEMPTS, incumbent=st.none() | VERSIONS, incumbent_metrics=st.sampled_from([None, {}, {"accuracy": 0.99}]),
    incumbent_error=st.none() | st.just("no"), metrics=st.sampled_from([{}, {"accuracy": 0.95}, {"accuracy": 0.1, "loss": 2.0}]))  # fmt: skip
SILENCE = st.just(SILENT)


def readings(situation: Situation) -> st.SearchStrategy[dict[str, Any]]:
    """Anything that can be seen beside this resource."""
    run = situation.resource.status.run
    services = [ABSENT, SILENT, None] + [
        situation.service(a_target(version), **metadata)
        for version in (1, 2)
        for metadata in ({}, {"ownerReferences": []}, {"deletionTimestamp": "2026-11-20T12:00:00Z"})
    ]
    services.append(InferenceService({"metadata": {}}))
    splits = [
        situation.split(shares, asks=asks, canary=canary, ready=ready).seen
        for shares in ({1: 100}, {1: 90, 2: 10}, {2: 100})
        for asks, canary in ((1, None), (1, 0), (2, 0), (2, 10), (2, None))
        for ready in (True, False)
    ]
    services += [one["inference_service"] for one in splits]
    candidates = [ABSENT, SILENT, None] + [
        situation.candidate_service(a_target(version), **metadata)
        for version in (1, 2, 3)
        for metadata in ({}, {"ownerReferences": []}, {"deletionTimestamp": "2026-11-20T12:00:00Z"})
    ]
    kfp = st.builds(KfpRun, st.just(run.id if run else "x"), st.sampled_from(STATES), STEPS)
    optional: dict[str, st.SearchStrategy[Any]] = {
        "inference_service": st.sampled_from(services),
        "deployment": st.sampled_from([ABSENT, SILENT, None, *(a_deployment(v) for v in (None, 1, 2)), a_deployment(1, available=0), rolling_deployment(2)]),
        "revisions": st.sampled_from([{}, *(one["revisions"] for one in splits)]),
        "candidate_service": st.sampled_from(candidates),
        "candidate_deployment": st.sampled_from([ABSENT, *(a_deployment(v) for v in (None, 1, 2, 3)), rolling_deployment(2)]),
        "run": st.just(ABSENT) | SILENCE | st.none() | kfp,
        "workflows": st.none() | SILENCE | FLOWS,
        "run_pods": st.none() | st.builds(RunPods, st.none() | TIMES, st.none() | st.just(problem("RunStuck")), st.booleans(), st.none() | st.just("step train failed")),
        "abandoned_runs": st.sampled_from([{}, {run_id(3, 3): ABSENT}, {run_id(3, 3): SILENT}]) | kfp.map(lambda one: {run_id(3, 3): replace(one, id=run_id(3, 3))}),
        "abandoned_workflows": FLOWS,
        "preflight": st.sampled_from([None, READY_TO_RUN, Preflight(slot=False), Preflight((problem(),)), Preflight(unusable=problem())]),
        "result": st.none() | SILENCE | st.just(problem("NoResult")) | RESULTS,
        "versions": st.none() | SILENCE | st.lists(FOLDERS, max_size=4).map(tuple),
        "pinned": st.none() | SILENCE | st.just(problem("NoResult")) | st.builds(in_bucket, VERSIONS),
        "probe": st.none() | st.builds(Probe, st.sampled_from(["answering", "failing", "wrong", "skipped"]), TIMES, st.just("words"), st.sampled_from([None, Pace(1.0, 0.1, 9)])),
        "server_trouble": st.none() | st.builds(ServerTrouble, st.just("words"), st.booleans(), st.booleans()),
        "measurements": st.dictionaries(st.sampled_from(["errors", "drift"]), MEASUREMENT),
        "recovery": st.none() | SILENCE | st.builds(Recovery, st.integers(0, 5), st.none() | RESULTS, st.just(prefix(2)), st.none() | RESULTS, st.just(prefix(1)), st.none() | kfp),
        "recorded": st.sampled_from([{}, {run_id(1): "another"}]) | st.just(recorded(situation)),
        "failure": st.sampled_from([None, problem(), problem("AdmissionDenied")]),
    }  # fmt: skip
    return st.fixed_dictionaries({}, optional=optional)


def recorded(situation: Situation) -> dict[str, str]:
    """Everything was written and nothing of it is stored yet."""
    return {entry.run_id: told(entry) for entry in situation.resource.status.history}


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Any resource and anything seen of the world."""
    situation = draw(stored())
    if draw(st.booleans()):  # else the world is as it should be, which is rarer by chance
        situation = situation.sees(**draw(readings(situation)))
    if draw(st.integers(0, 2)) == 0:
        situation = situation.spec(**draw(st.sampled_from(EDITS)))
    if draw(st.integers(0, 5)) == 0:
        situation = situation.annotated(retrain=draw(st.sampled_from(["", "x", "y" * 300])))
    if draw(st.integers(0, 3)) == 0:
        situation = situation.annotated(
            approve=draw(st.sampled_from(["2@digest-2", "3@digest-3", "z" * 300]))
        )
    if draw(st.integers(0, 5)) == 0:
        situation = situation.deleting(since=draw(st.sampled_from(AGO)))
    if draw(st.integers(0, 9)) == 0:
        situation = situation.metadata(finalizers=[])
    return situation


always = settings(
    thorough,
    max_examples=3 * thorough.max_examples,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@always
@given(situations())
def test_every_decision_is_total_the_same_every_time_and_can_be_stored(situation: Situation) -> None:
    plan = situation.decide()
    assert plan == situation.decide()
    assert Status.model_validate(plan.status.dump()) == plan.status


@always
@given(situations())
def test_what_was_given_out_never_falls(situation: Situation) -> None:
    before, after = situation.resource.status, situation.decide().status
    assert (after.observed_generation or 0) >= (before.observed_generation or 0)
    assert (after.last_version or 0) >= (before.last_version or 0)
    if (
        before.run
        and after.run
        and after.run.id == before.run.id
        and before.run.state in ("Failed", "Lost", "Stopped")
    ):
        assert after.run == before.run
    if (
        before.served
        and before.served.version
        and after.served
        and after.served.version == before.served.version
    ):
        assert after.served.run_id == before.served.run_id


@always
@given(situations())
def test_what_is_to_be_served_is_ever_newer_but_for_the_way_back_and_a_pin(situation: Situation) -> None:
    plan, before = situation.decide(), situation.resource.status.served
    after = plan.status.served
    if before is None or before.target is None or situation.resource.status.last_version is None:
        return
    assert after is not None
    if {"VersionPinned", "PinRemoved"} & {note.reason for note in plan.notes}:
        assert after.target is not None or "RolledBack" in [note.reason for note in plan.notes]
    elif after.target is None or after.target.version < before.target.version:
        assert "RolledBack" in [note.reason for note in plan.notes]
        assert (after.target and after.target.run_id) == before.run_id
    elif after.target.run_id != before.target.run_id:
        assert after.target.version > before.target.version or after.target.run_id == before.run_id


@always
@given(situations())
def test_a_run_is_submitted_once_at_most_and_only_by_the_plan_that_stores_it(situation: Situation) -> None:
    plan, before = situation.decide(), situation.resource.status
    submitted = [action.run for action in plan.actions if isinstance(action, SubmitRun)]
    assert len(submitted) <= 1
    for run in submitted:
        assert run == plan.status.run
        assert run.state == "Submitting"
        assert before.run is None or run.id != before.run.id


@always
@given(situations())
def test_only_what_was_accepted_and_is_stored_as_the_target_is_applied(situation: Situation) -> None:
    plan, before = situation.decide(), situation.resource.status
    for action in plan.actions:
        if not isinstance(action, ApplyInferenceService | ApplyCandidateService):
            continue
        assert plan.status.served is not None
        rollout = plan.status.rollout
        if rollout and rollout.stage == "Proving" and isinstance(action, ApplyInferenceService):
            unseen = action.canary == 0 and action.target == plan.status.served.target
            assert unseen or action.target == plan.status.served.proven, "users meet only what was proven"
            continue
        assert action.target == plan.status.served.target
        candidate, served = plan.status.candidate, before.served or Served()
        known = {served.run_id, served.target.run_id if served.target else None}
        if {"VersionPinned", "PinRemoved"} & {note.reason for note in plan.notes}:
            continue  # a person's word: the rows of the pin say to which version it leads
        if before.last_version is not None:
            accepted = candidate is not None and candidate.verdict is not None and candidate.verdict.accepted
            assert action.target.run_id in known or (
                accepted and candidate is not None and candidate.run_id == action.target.run_id
            )


@always
@given(situations())
def test_a_resource_that_is_deleted_or_suspended_starts_and_applies_nothing(situation: Situation) -> None:
    deleting = situation.deleting()
    plans = [deleting.decide(), situation.metadata(deletion_timestamp=None).suspended().decide()]
    for plan in plans:
        assert not [
            action
            for action in plan.actions
            if isinstance(action, SubmitRun | ApplyInferenceService | ApplyCandidateService)
        ]
    removals = [n for n, action in enumerate(plans[0].actions) if isinstance(action, RemoveFinalizer)]
    assert removals in ([], [len(plans[0].actions) - 1])


@always
@given(situations())
def test_no_version_is_deleted_that_serves_or_may_serve_next(situation: Situation) -> None:
    plan, spec = situation.decide(), situation.resource.spec
    served, candidate = plan.status.served or Served(), plan.status.candidate
    versions = {
        served.version,
        served.previous,
        served.target and served.target.version,
        spec.serve.pinned_version,
    }
    for action in plan.actions:
        if isinstance(action, DeleteVersion):
            assert spec.storage.keep_versions is not None
            assert action.version not in versions | {candidate and candidate.version}


@always
@given(situations())
def test_the_same_world_decided_again_comes_to_rest(situation: Situation) -> None:
    """At one moment: a status that never settled would write for ever."""
    settled = at_rest(situation)
    assert settled.after().resource.status == settled.resource.status


def at_rest(situation: Situation) -> Situation:
    """After as many passes as it takes, and a few more."""
    for _ in range(8):
        situation = with_what_fits(situation.after(), situation)
    return situation


def with_what_fits(after: Situation, before: Situation) -> Situation:
    """Without what was seen of a run or of a target that is another one now."""
    old, new = before.resource.status, after.resource.status
    if (old.run and old.run.id) != (new.run and new.run.id):
        after = after.sees(run=None, workflows=None, run_pods=None, result=None)
    if (old.served and old.served.target, old.rollout and old.rollout.stage) != (
        new.served and new.served.target,
        new.rollout and new.rollout.stage,
    ):
        after = after.sees(probe=None, server_trouble=None)
    return after


@always
@given(situations())
def test_a_pass_that_changes_nothing_is_not_repeated_without_a_pause_or_something_new_to_look_at(
    situation: Situation,
) -> None:
    situation = at_rest(situation)
    plan, seen = situation.decide(), situation.observation()
    if plan.wake is None or plan.wake > situation.now:
        return
    looks = first_looks(seen, Known(), situation.now)
    unseen = {
        Look.PINNED: seen.pinned,
        Look.PREFLIGHT: seen.preflight,
        Look.RESULT: seen.result,
        Look.RECOVERY: seen.recovery,
    }
    assert any(look in looks and reading is None for look, reading in unseen.items())


@always
@given(situations())
def test_nothing_under_way_waits_for_an_event_that_may_never_come(situation: Situation) -> None:
    plan = at_rest(situation.metadata(deletion_timestamp=None)).decide()
    if [action for action in plan.actions if not isinstance(action, WriteRecord)]:
        return
    if plan.status.phase in ("Pending", "Queued", "Training", "RollingOut"):
        assert plan.wake is not None or plan.again


@always
@given(situations(), st.sampled_from([None, "", "Running", "Succeeded"]), st.sampled_from([None, *AGO]))
def test_what_to_look_at_can_always_be_said(
    situation: Situation, phase: str | None, ago: float | None
) -> None:
    since = None if ago is None else NOW - seconds(ago)
    seen, known = situation.observation(), Known(phase, since, since)
    assert first_looks(seen, known, situation.now) is not None
    looks = second_looks(seen, known, situation.now)
    assert Look.PREFLIGHT not in looks or situation.resource.status.last_version is None  # just rebuilt
    assert POLICY.lost_patience == seconds(60)
