"""Situations: a resource, what was seen of the world and the time, said in few words; and plans, said in words again."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from trainandserve import names, plan, reasons
from trainandserve.decide import decide
from trainandserve.decide.history import remember
from trainandserve.decide.record import told, with_time_of_proof
from trainandserve.hashes import gate_hash, training_hash
from trainandserve.inference_service import candidate_manifest, manifest
from trainandserve.observation import (
    ABSENT,
    Deployment,
    InferenceService,
    KfpRun,
    Observation,
    Pace,
    Policy,
    Preflight,
    Probe,
    Problem,
    Result,
    Step,
    Stored,
    Unknown,
    Workflow,
)
from trainandserve.resource import (
    Abandoned,
    Candidate,
    Condition,
    Incumbent,
    Rollout,
    RolloutStage,
    Run,
    Served,
    Status,
    Target,
    TrainAndServe,
    Verdict,
)
from trainandserve.settings import Settings

UID = "7b0e8a52-3f5f-4d0c-9a53-0d4f6a3c2b11"
NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
POLICY = Policy.of(Settings())
SILENT = Unknown(reasons.KFP_UNREACHABLE, "Kubeflow Pipelines does not answer")
READY_TO_RUN = Preflight((), "sha256:data", None)


def seconds(number: float) -> timedelta:
    """A span of time."""
    return timedelta(seconds=number)


def run_id(version: int, attempt: int = 1) -> str:
    """Id of that attempt's run."""
    return names.run_id(UID, version, attempt)


def prefix(version: int, attempt: int = 1) -> str:
    """Where that attempt writes."""
    return f"s3://models/vision/mnist/{version}-{run_id(version, attempt)[:8]}/"


def a_spec(**parts: Any) -> dict[str, Any]:
    """The specification of a small resource, with these parts set."""
    found: dict[str, Any] = {
        "data": {"uri": "s3://datasets/mnist/"},
        "storage": {"uri": "s3://models/"},
        "evaluation": {"metrics": [{"name": "accuracy", "min": 0.9}]},
    }
    return found | {name: part for name, part in parts.items() if part is not None}


def a_resource(*, annotations: dict[str, str] | None = None, **spec: Any) -> TrainAndServe:
    """A small resource that was seen before, with these parts of its specification set."""
    metadata = {
        "name": "mnist",
        "namespace": "vision",
        "uid": UID,
        "generation": 3,
        "resourceVersion": "100",
        "finalizers": [names.FINALIZER],
        "annotations": annotations or {},
    }
    return TrainAndServe.model_validate({"metadata": metadata, "spec": a_spec(**spec)})


def a_result(version: int, attempt: int = 1, *, incumbent: int | None = None, **fields: Any) -> Result:
    """A result that holds."""
    values: dict[str, Any] = {
        "version": version,
        "run_id": run_id(version, attempt),
        "digest": f"digest-{version}",
        "metrics": {"accuracy": 0.95},
        "samples": 360,
        "incumbent_version": incumbent,
    }
    return Result(**values | fields)


def in_bucket(version: int, **fields: Any) -> Stored:
    """A version that the bucket holds, complete and unchanged."""
    return Stored(a_result(version, **fields), prefix(version))


def a_target(version: int, attempt: int = 1, *, since: datetime = NOW, **fields: Any) -> Target:
    """A version that is to be served."""
    values: dict[str, Any] = {
        "version": version,
        "run_id": run_id(version, attempt),
        "uri": names.model_uri(prefix(version, attempt)),
        "result_digest": f"digest-{version}",
        "since": since,
        "metrics": {"accuracy": 0.95},
    }
    return Target(**values | fields)


def a_rollout(version: int, stage: RolloutStage, now: datetime, since: float | None) -> Rollout:
    """A rollout whose stage was seen to be under way so many seconds ago, or not yet."""
    began = None if since is None else now - seconds(since)
    return Rollout(version=version, run_id=run_id(version), stage=stage, since=began)


def a_deployment(version: int | None, *, available: int = 1, **fields: Any) -> Deployment:
    """A Deployment whose one pod is of that version and available."""
    values: dict[str, Any] = {
        "run_id": run_id(version) if version else None,
        "source_uri": names.model_uri(prefix(version)) if version else None,
        "generation": 2,
        "observed_generation": 2,
        "desired": 1,
        "replicas": 1,
        "updated": 1,
        "ready": available,
        "available": available,
    }
    return Deployment(**values | fields)


def rolling_deployment(version: int, *, available: int = 1) -> Deployment:
    """A Deployment of that version whose new pod is not ready; `available` pods of the template before are."""
    return a_deployment(version, available=available, replicas=available + 1)


def answering(ago: float = 10, pace: Pace | None = None) -> Probe:
    """The model server that is looked at answers predictions since so many seconds ago."""
    return Probe("answering", NOW - seconds(ago), pace=pace)


@dataclass(frozen=True)
class Situation:
    """Everything that a decision is made from. Each method returns a changed copy."""

    resource: TrainAndServe = field(default_factory=a_resource)
    seen: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOW

    # --- The resource ---------------------------------------------------------------------------------------------

    def status(self, **fields: Any) -> Situation:
        """With these fields of the status."""
        status = self.resource.status.changed(**fields)
        return replace(self, resource=self.resource.changed(status=status))

    def spec(self, **parts: Any) -> Situation:
        """The user edited these parts of the specification (None takes one away)."""
        spec = self.resource.spec.as_set() | parts
        body = self.resource.dump() | {
            "spec": {name: part for name, part in spec.items() if part is not None}
        }
        body["metadata"]["generation"] += 1
        return replace(self, resource=TrainAndServe.model_validate(body))

    def suspended(self) -> Situation:
        """The user suspended it."""
        return self.spec(suspend=True)

    def metadata(self, **fields: Any) -> Situation:
        """With these fields of the metadata."""
        return replace(
            self, resource=self.resource.changed(metadata=self.resource.metadata.changed(**fields))
        )

    def annotated(self, **annotations: str) -> Situation:
        """With these annotations, by their names without the group."""
        return self.metadata(annotations={f"trainandserve.io/{k}": v for k, v in annotations.items()})

    def deleting(self, since: float = 0) -> Situation:
        """The user deleted it so many seconds ago."""
        return self.metadata(deletion_timestamp=self.now - seconds(since))

    def with_run(self, state: str, version: int = 1, attempt: int = 1, **fields: Any) -> Situation:
        """A run is stored in that state; its inputs are those of the specification, unless said otherwise."""
        began = NOW - seconds(300)
        values: dict[str, Any] = {
            "version": version,
            "attempt": attempt,
            "id": run_id(version, attempt),
            "state": state,
            "reason": "first version",
            "training_hash": training_hash(self.resource),
            "prefix": prefix(version, attempt),
            "submitted_at": began,
            "started_at": None if state == "Submitting" else began,
        }
        if state in ("Succeeded", "Failed", "Lost", "Stopped"):
            values |= {"finished_at": NOW, "message": None if state == "Succeeded" else "it did not work"}
        run = Run(**values | fields)
        last = max(version, self.resource.status.last_version or 0)
        return self.status(run=run, last_version=last, last_training_hash=run.training_hash)

    def judged(self, version: int, accepted: bool = True, *, reason: str = "", **fields: Any) -> Situation:
        """A version was judged under the present bounds: the newest candidate, after a run that succeeded."""
        verdict = Verdict(
            accepted=accepted,
            reason=reason or (reasons.ACCEPTED if accepted else reasons.REJECTED),
            message="accuracy 0.95 meets min 0.9" if accepted else "accuracy 0.5 is below min 0.9",
            gate_hash=gate_hash(self.resource),
            at=NOW - seconds(60),
        )
        values: dict[str, Any] = {
            "version": version,
            "run_id": run_id(version),
            "uri": names.model_uri(prefix(version)),
            "metrics": {"accuracy": 0.95 if accepted else 0.5},
            "result_digest": f"digest-{version}",
            "verdict": verdict,
        }
        incumbent = fields.pop("incumbent", None)
        if isinstance(incumbent, int):
            incumbent = Incumbent(version=incumbent, metrics={"accuracy": 0.94})
        candidate = Candidate(**values | {"incumbent": incumbent} | fields)
        trained = self.with_run("Succeeded", version)
        status = trained.resource.status.changed(candidate=candidate)
        history = remember(self.resource, status).history
        return trained.status(candidate=candidate, history=history)._recorded()

    def serving(self, version: int, *, target: int | None = None, since: float = 3600) -> Situation:
        """A version was proven to serve; `target` is another one that became the target `since` seconds ago."""
        own = a_target(version, since=NOW - seconds(3600))
        wanted = own if target is None else a_target(target, since=self.now - seconds(since))
        served = Served(
            version=version,
            run_id=own.run_id,
            uri=own.uri,
            result_digest=own.result_digest,
            training_hash="",
            metrics=own.metrics,
            since=NOW - seconds(3600),
            url=None,
            proof="Deployment settled; predictions answered for 10 s",
            target=wanted,
            observed=f"version {version}, all pods ready",
        )
        last = max(version, target or 0, self.resource.status.last_version or 0)
        rollout = None if target in (None, version) else a_rollout(target, "Promoting", self.now, since)
        status = self.status(served=served, last_version=last, rollout=rollout)
        return status._recorded()._deployed(wanted, version)

    def proving(self, version: int, target: int, *, since: float | None = 30) -> Situation:
        """A version serves, and another one is being proven without users: for so many seconds, or not yet."""
        wanted = a_target(target, since=self.now - seconds(since or 0))
        serving = self.serving(version)
        served = serving.resource.status.served
        assert served is not None
        last = max(target, serving.resource.status.last_version or 0)
        rollout = a_rollout(target, "Proving", self.now, since)
        found = serving.status(served=served.changed(target=wanted), last_version=last, rollout=rollout)
        if since is None:
            return found
        return found.sees(
            candidate_service=self.candidate_service(wanted),
            candidate_deployment=rolling_deployment(target, available=0),
        )

    def _recorded(self) -> Situation:
        """The records of all versions are written."""
        status = with_time_of_proof(self.resource.status)
        return self.status(history=[one.changed(recorded=told(one)) for one in status.history])

    def split(
        self, shares: dict[int, int], *, asks: int, canary: int | None = None, ready: bool = True
    ) -> Situation:
        """KServe runs it in Knative mode: each version's revision gets this share, and the newest one is of the version asked for."""
        names_of = {version: f"mnist-predictor-{version:05}" for version in shares}
        before = names_of[min(shares)]
        newest = "mnist-predictor-00009" if canary == 0 else names_of.get(asks, "mnist-predictor-00009")
        traffic: list[dict[str, Any]] = [
            {"revisionName": names_of[version], "percent": percent} for version, percent in shares.items()
        ]
        if ready:
            traffic.append({"revisionName": newest, "percent": 0, "tag": "latest", "url": "http://latest"})
        predictor = {
            "latestCreatedRevision": newest,
            "latestReadyRevision": newest if ready else before,
            "traffic": traffic,
        }
        body = manifest(self.resource, a_target(asks), POLICY, "Knative", canary)
        status = {
            "deploymentMode": "Knative",
            "address": {"url": "http://mnist"},
            "components": {"predictor": predictor},
        }
        found = {name: a_deployment(version) for version, name in names_of.items()}
        if ready:
            found[newest] = a_deployment(asks)
        service = InferenceService({**_live(body, "7", {}).body, "status": status})
        return self.sees(inference_service=service, revisions=found, deployment=ABSENT)

    def stage(
        self, stage: RolloutStage, version: int, *, step: int | None = None, since: float | None = 30
    ) -> Situation:
        """The version is the target, and its rollout at that stage, for so many seconds or not yet."""
        served = self.resource.status.served
        assert served is not None
        rollout = a_rollout(version, stage, self.now, since).changed(step=step)
        target = a_target(version, since=self.now - seconds(since or 0))
        return self.status(served=served.changed(target=target), rollout=rollout)

    def made_from_its_inputs(self) -> Situation:
        """What serves was trained from what the specification says."""
        served = self.resource.status.served
        assert served is not None and served.target is not None
        made = training_hash(self.resource)
        return self.status(
            served=served.changed(training_hash=made, target=served.target.changed(training_hash=made))
        ).sees(inference_service=self.service(served.target.changed(training_hash=made)))

    def rolling_to(self, version: int, since: float = 30) -> Situation:
        """The first version ever is the target for so many seconds."""
        target = a_target(version, since=self.now - seconds(since))
        rollout = a_rollout(version, "Promoting", self.now, since)
        return self.status(served=Served(target=target), rollout=rollout)._deployed(target, None)

    def _deployed(self, target: Target, version: int | None) -> Situation:
        deployment = (
            a_deployment(version)
            if version == target.version
            else rolling_deployment(target.version, available=1 if version else 0)
        )
        return self.sees(inference_service=self.service(target), deployment=deployment)

    def abandoned(self, *ids: str, ago: float = 60) -> Situation:
        """These runs were given up so many seconds ago."""
        return self.status(abandoned=[Abandoned(id=one, since=NOW - seconds(ago)) for one in ids])

    def service(self, target: Target, **metadata: Any) -> InferenceService:
        """The live InferenceService as we would have applied it."""
        return _live(manifest(self.resource, target, POLICY), "7", metadata)

    def candidate_service(self, target: Target, **metadata: Any) -> InferenceService:
        """The live second InferenceService as we would have applied it."""
        return _live(candidate_manifest(self.resource, target, POLICY, "mnist-candidate"), "8", metadata)

    def pinned(self, version: int | None, **seen: Any) -> Situation:
        """The user pinned a version, or took the pin away, and this is seen of it in the bucket."""
        serving = {
            name: part for name, part in self.resource.spec.serve.as_set().items() if name != "pinnedVersion"
        }
        if version is not None:
            serving["pinnedVersion"] = version
        return self.spec(serving=serving or None).sees(pinned=seen.get("found"))

    # --- What is seen ---------------------------------------------------------------------------------------------

    def sees(self, **fields: Any) -> Situation:
        """This was seen; see `Observation`."""
        return replace(self, seen=self.seen | fields)

    def kfp_says(self, state: str, *steps: str, workflow: str | None = "") -> Situation:
        """Kubeflow Pipelines reports the run in that state; steps as ``train:RUNNING``."""
        run = self.resource.status.run
        assert run is not None
        found = KfpRun(run.id, state, tuple(Step(*step.split(":")) for step in steps))
        return self.sees(run=found)

    def workflow_of(self, one: str, phase: str = "Running") -> Workflow:
        """A Workflow of that run."""
        return Workflow("kubeflow", f"train-{one[:5]}", one, phase)

    def later(self, number: float) -> Situation:
        """So many seconds later."""
        return replace(self, now=self.now + seconds(number))

    # --- The answer -----------------------------------------------------------------------------------------------

    def observation(self) -> Observation:
        """What `decide` is given."""
        return Observation(resource=self.resource, policy=POLICY, **self.seen)

    def decide(self) -> plan.Plan:
        """What is decided."""
        return decide(self.observation(), self.now)

    def after(self) -> Situation:
        """The same world, one pass later: the plan's status is stored, nothing else has happened."""
        return replace(self, resource=self.resource.changed(status=self.decide().status))


def a_situation(**spec: Any) -> Situation:
    """A resource that was greeted, whose status was looked for and not found, and for which nothing is missing outside."""
    greeted = [
        Condition(
            type="Ready",
            status="False",
            reason=reasons.NOT_SERVED_YET,
            message="",
            last_transition_time=NOW - seconds(600),
            observed_generation=3,
        )
    ]
    status = Status(observed_generation=3, phase="Pending", conditions=greeted, last_version=0)
    return Situation(a_resource(**spec).changed(status=status)).sees(preflight=READY_TO_RUN)


def problem(reason: str = reasons.BUCKET_REFUSED) -> Problem:
    """Something that is missing outside."""
    return Problem(reason, "the bucket refuses these credentials")


def _live(body: dict[str, Any], version: str, metadata: dict[str, Any]) -> InferenceService:
    body = copy.deepcopy(body)
    entry = {"manager": names.FIELD_MANAGER, "operation": "Apply", "fieldsV1": owned_fields(body)}
    body["metadata"] |= {"resourceVersion": version, "managedFields": [entry]} | metadata
    return InferenceService(body)


def owned_fields(body: Any) -> dict[str, Any]:
    """What the API server notes as ours after an apply of this, as far as it matters here."""
    if not isinstance(body, dict):
        return {}
    named = {f"f:{name}": owned_fields(value) for name, value in body.items()}
    return {
        name: value
        for name, value in named.items()
        if name not in ("f:apiVersion", "f:kind", "f:name", "f:namespace")
    }


# --- Plans in words ---------------------------------------------------------------------------------------------------


def words(action: plan.Action) -> str:
    """An action as a test's row says it; runs by version and attempt."""
    match action:
        case plan.SubmitRun(run):
            return f"{'Evaluate' if run.only_evaluates else 'SubmitRun'} {run.version}/{run.attempt}"
        case plan.TerminateRun(one):
            return f"TerminateRun {spoken(one)}"
        case plan.DeleteWorkflow(_, name):
            return f"DeleteWorkflow {name}"
        case plan.ApplyInferenceService(target, version, canary):
            part = "" if canary is None else f" for {canary}%"
            return f"Apply {target.version}{part} over {version or 'nothing'}"
        case plan.ApplyCandidateService(target, version):
            return f"ApplyCandidate {target.version} over {version or 'nothing'}"
        case plan.DeleteVersion(_, _, folder):
            return f"Delete {folder}"
        case plan.WriteRecord(entry, _):
            return f"Record {entry.version} {entry.verdict}"
    return type(action).__name__


def spoken(one: str) -> str:
    """A run's id by version and attempt."""
    known = {run_id(v, a): f"{v}/{a}" for v in range(1, 6) for a in range(1, 5)}
    return known.get(one, one)


def at(status: Status, path: str) -> Any:
    """The value at a dotted path of the status; None where something on the way is absent."""
    found: Any = status
    for part in path.split("."):
        if found is None:
            return None
        if isinstance(found, Status) and part[0].isupper():
            found = found.condition(part)
        elif isinstance(found, list):
            found = found[int(part)] if int(part) < len(found) else None
        else:
            found = getattr(found, part)
    return found
