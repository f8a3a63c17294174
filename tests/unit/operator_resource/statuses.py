"""A status with every field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trainandserve.resource import (
    Abandoned,
    Candidate,
    Change,
    Check,
    Condition,
    Evaluated,
    HistoryEntry,
    Incumbent,
    Measured,
    NextStep,
    Outlook,
    Pin,
    Rollout,
    Run,
    Served,
    Status,
    Target,
    Verdict,
)

NOW = datetime(2026, 11, 20, 19, 0, 0, tzinfo=UTC)
_BEFORE = NOW - timedelta(days=1)
_RUN = "1f6a6c3e-91a4-5d0e-8f1c-000000000004"
_SERVED_RUN = "1f6a6c3e-91a4-5d0e-8f1c-000000000003"
_URI = "s3://models/vision/mnist/4-1f6a6c3e/model/"
_SERVED_URI = "s3://models/vision/mnist/3-1f6a6c3e/model/"
_DIGEST = "sha256:" + "0a" * 32


def full_status() -> Status:
    """Version 3 serves, version 4 was read and another one trains; no field is left out."""
    return Status(
        observed_generation=4,
        phase="Training",
        conditions=[
            Condition(
                type=kind,
                status="True",
                reason="Served",
                message="version 3 serves",
                last_transition_time=NOW,
                observed_generation=4,
            )
            for kind in ("Ready", "ModelServed")
        ],
        last_version=5,
        last_training_hash="0123456789abcdef",
        run=_run(),
        abandoned=[Abandoned(id="an-id", since=NOW)],
        candidate=_candidate(),
        served=_served(),
        rollout=Rollout(
            version=4,
            run_id=_RUN,
            stage="Canary",
            step=1,
            traffic=10,
            since=NOW,
            message="its pod waits for a node",
            analysis=[_measured()],
        ),
        pin=Pin(version=3, run_id=_SERVED_RUN, since=NOW, before=_target(), failed="it crashed"),
        summary="accuracy 0.981",
        history=[
            HistoryEntry(
                version=3,
                run_id=_SERVED_RUN,
                uri=_SERVED_URI,
                verdict="Accepted",
                message="accuracy 0.975 meets min 0.97",
                attempt=1,
                trigger="first version",
                run_url="https://kfp.example/#/runs/details/0",
                pipeline_digest="0a" * 32,
                samples=360,
                incumbent=2,
                checks=[_check()],
                analysis=[_measured()],
                gate_hash="0123456789abcdef",
                evaluation=_evaluated(),
                submitted_at=_BEFORE,
                finished_at=_BEFORE,
                approved_at=_BEFORE,
                served_at=_BEFORE,
                recorded="0123456789abcdef",
                metrics={"accuracy": 0.975, "loss": 1},
                data_digest=_DIGEST,
                result_digest=_DIGEST,
                training_hash="0123456789abcdef",
                at=_BEFORE,
            )
        ],
        last_handled_retrain="2026-11-20",
        last_handled_approval="4@0a0a0a0a",
        plan=_plan(),
    )


def _run() -> Run:
    return Run(
        version=5,
        kind="Evaluate",
        evaluates=_SERVED_RUN,
        attempt=2,
        id=_RUN,
        state="Running",
        reason="the parameters changed",
        training_hash="0123456789abcdef",
        inputs={"data.uri": "s3://datasets/mnist/", "training.parameters.epochs": "3"},
        data_digest=_DIGEST,
        evaluation_digest=_DIGEST,
        pipeline_digest="0a" * 32,
        incumbent=3,
        prefix="s3://models/vision/mnist/5-1f6a6c3e/",
        failures=1,
        step="train",
        progress="3/5",
        message="waits for a node with a GPU",
        superseded=False,
        submitted_at=_BEFORE,
        started_at=_BEFORE + timedelta(seconds=2),
        train_started_at=_BEFORE + timedelta(seconds=40),
        missing_since=NOW,
        finished_at=NOW,
        url="https://kfp.example/#/runs/details/1",
    )


def _evaluated() -> Evaluated:
    return Evaluated(run_id=_RUN, attempt=2, digest=_DIGEST, training_hash="0123456789abcdef")


def _measured() -> Measured:
    return Measured(
        query="error-rate",
        min=0,
        max=0.01,
        measured=7,
        failed=1,
        errors=2,
        state="Error",
        value=0.002,
        message="Prometheus does not answer",
        at=NOW,
        next_at=NOW,
    )


def _check() -> Check:
    return Check(
        name="accuracy",
        value=0.981,
        min=0.97,
        max=1.0,
        max_regression=0.01,
        incumbent=0.975,
        difference=0.006,
        passed=False,
        inconclusive=True,
        message="accuracy 0.981 was taken on 360 samples",
    )


def _candidate() -> Candidate:
    check = _check()
    return Candidate(
        evaluation=_evaluated(),
        version=4,
        run_id=_RUN,
        uri=_URI,
        metrics={"accuracy": 0.981, "loss": 0.05, "steps": 1e9},
        samples=360,
        incumbent=Incumbent(version=3, metrics={"accuracy": 0.975}, error="no error: here to be stored"),
        verdict=Verdict(
            accepted=True,
            reason="Accepted",
            message="accuracy 0.981 is at least 0.97",
            gate_hash="0123456789abcdef",
            checks=[check],
            analysis=[_measured()],
            at=NOW,
            approved_at=NOW,
        ),
        result_digest=_DIGEST,
        training_hash="0123456789abcdef",
        data_digest=_DIGEST,
    )


def _served() -> Served:
    return Served(
        version=3,
        run_id=_SERVED_RUN,
        uri=_SERVED_URI,
        result_digest=_DIGEST,
        training_hash="0123456789abcdef",
        metrics={"accuracy": 0.975},
        since=_BEFORE,
        previous=2,
        url="http://mnist.vision.example",
        proof="1 of 1 replicas are updated, and 10 predictions were answered",
        target=_target(),
        observed="version 3",
        deployment_mode="Knative",
    )


def _plan() -> Outlook:
    step = NextStep(action="Train", version=6, message="version 6 is trained", not_before=NOW, deadline=NOW)
    change = Change(field="training.parameters.epochs", hash="training", before="3", after="4")
    return Outlook(steps=[step], changes=[change], further_changes=1)


def _target() -> Target:
    return Target(
        version=4,
        run_id=_RUN,
        uri=_URI,
        result_digest=_DIGEST,
        training_hash="0123456789abcdef",
        metrics={"accuracy": 0.981},
        since=NOW,
    )
