"""What one pass saw: values only, nothing that can be asked for more.

A reading is the thing itself, `ABSENT` (an answer that means so), an `Unknown` (no answer, or none that can be relied on)
or None (nobody looked). Absent and unknown are never the same: what depends on an unknown does not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final, Literal, TypeAlias, TypeVar

from .names import DEPLOYMENT_MODE
from .queries import Query
from .resource import DeploymentMode, HistoryEntry, TrainAndServe
from .settings import Settings

T = TypeVar("T")


class Absence(Enum):
    """The one value that says: it was looked for and is not there."""

    ABSENT = auto()


ABSENT: Final = Absence.ABSENT


@dataclass(frozen=True)
class Problem:
    """Something that is missing or wrong outside; the message says what to do."""

    reason: str
    message: str


@dataclass(frozen=True)
class Unknown(Problem):
    """No answer that can be relied on."""


Reading: TypeAlias = T | Literal[Absence.ABSENT] | Unknown | None


@dataclass(frozen=True)
class Step:
    """One step of a run, as Kubeflow Pipelines reports it."""

    name: str
    state: str


@dataclass(frozen=True)
class KfpRun:
    """A run, as Kubeflow Pipelines reports it. A missing state means pending."""

    id: str
    state: str
    steps: tuple[Step, ...] = ()
    description: str = ""

    @property
    def finished(self) -> bool:
        """Whether this is a last state."""
        return self.state in ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")


@dataclass(frozen=True)
class Workflow:
    """The metadata of one Argo Workflow of a run."""

    namespace: str
    name: str
    run_id: str
    phase: str = ""


@dataclass(frozen=True)
class RunPods:
    """What a run's nodes and pods say beyond what Kubeflow Pipelines reports."""

    train_started_at: datetime | None = None
    trouble: Problem | None = None
    waits_for_node: bool = False
    failure: str | None = None
    """The failing step and its message, in a sentence."""


@dataclass(frozen=True)
class Preflight:
    """Whether a run could start now, and on which data."""

    problems: tuple[Problem, ...] = ()
    data_digest: str | None = None
    evaluation_digest: str | None = None
    slot: bool = True
    unusable: Problem | None = None
    """Why a version that is only to be evaluated cannot be: its files are not there, or not those that were judged."""
    taken: bool = False
    """Whether Kubeflow Pipelines knows a run of the id already, or a Workflow of it is there: it must not be submitted."""


@dataclass(frozen=True)
class Result:
    """A result file that names this resource, version and run, and whose manifest fits the bucket.

    Or the file of a run that only evaluated the version: then run and digest are that one's, and lineage is left out.
    """

    version: int
    run_id: str
    digest: str
    metrics: Mapping[str, float]
    samples: int | None = None
    incumbent_version: int | None = None
    incumbent_metrics: Mapping[str, float] | None = None
    incumbent_error: str | None = None
    training_hash: str = ""
    retrain_token: str = ""
    data_digest: str | None = None
    sample: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Stored:
    """A version in the bucket, complete and unchanged."""

    result: Result
    prefix: str


@dataclass(frozen=True)
class Folder:
    """What one attempt of ours at a version left in the bucket."""

    version: int
    run_id: str
    prefix: str
    complete: bool = False
    """Whether it has a result file, as far as that was looked for."""


@dataclass(frozen=True)
class Deployment:
    """The Deployment behind an InferenceService."""

    run_id: str | None
    source_uri: str | None
    generation: int
    observed_generation: int
    desired: int
    replicas: int
    updated: int
    ready: int
    available: int
    refusal: str | None = None
    """Why the API server lets no further pod be made, such as a quota."""
    name: str = ""
    owner: str | None = None
    """uid of the InferenceService that made it; None where a Knative revision did."""

    @property
    def settled(self) -> bool:
        """Whether every replica is of the present template, and available."""
        return (
            self.observed_generation >= self.generation
            and self.updated >= max(self.desired, 1)
            and self.replicas == self.updated == self.available
        )


@dataclass(frozen=True)
class Share:
    """A part of the requests that a Knative revision gets."""

    revision: str
    percent: int
    tag: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class InferenceService:
    """The live InferenceService, with what matters of it."""

    body: Mapping[str, Any] = field(repr=False)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Its metadata as the API server gave it."""
        found: Mapping[str, Any] = self.body.get("metadata", {})
        return found

    @property
    def resource_version(self) -> str:
        """Its resourceVersion: what an apply is decided from."""
        return str(self.metadata.get("resourceVersion", ""))

    @property
    def url(self) -> str | None:
        """Where it answers outside the cluster, else inside."""
        status = self.body.get("status", {})
        return status.get("url") or self.address

    @property
    def address(self) -> str | None:
        """Where it answers inside the cluster."""
        found: str | None = (self.body.get("status", {}).get("address") or {}).get("url")
        return found

    @property
    def refusal(self) -> str | None:
        """Why KServe makes nothing of it, in its own words; the model has no part in that."""
        status = self.body.get("status", {})
        model = status.get("modelStatus") or {}
        if model.get("transitionStatus") == "InvalidSpec":
            return str((model.get("lastFailureInfo") or {}).get("message") or "InvalidSpec")
        failed = [one for one in status.get("conditions") or () if one.get("reason") == "ReconcileFailed"]
        return str(failed[0].get("message")) if failed else None

    @property
    def deployment_mode(self) -> DeploymentMode:
        """How KServe runs it: as its status says, else as it was asked to; the names before KServe 0.16 as those since."""
        annotations = self.metadata.get("annotations") or {}
        found = self.body.get("status", {}).get("deploymentMode") or annotations.get(DEPLOYMENT_MODE)
        return "Knative" if found in ("Knative", "Serverless") else "Standard"

    @property
    def asked(self) -> Mapping[str, Any]:
        """The predictor that it asks for."""
        return self.body.get("spec", {}).get("predictor") or {}

    @property
    def predictor(self) -> Mapping[str, Any]:
        """What its status says of the predictor's revisions, in Knative mode."""
        found = (self.body.get("status", {}).get("components") or {}).get("predictor")
        return found or {}

    @property
    def canary(self) -> int | None:
        """The percentage that it asks for, for its newest revision."""
        found = self.asked.get("canaryTrafficPercent")
        return None if found is None else int(found)

    @property
    def latest_revision(self) -> str | None:
        """The newest revision, if it is ready to be sent requests."""
        created = self.predictor.get("latestCreatedRevision")
        return created if created and created == self.predictor.get("latestReadyRevision") else None

    @property
    def traffic(self) -> tuple[Share, ...]:
        """What share of the requests each revision was seen to get."""
        return tuple(
            Share(
                str(one.get("revisionName", "")), int(one.get("percent") or 0), one.get("tag"), one.get("url")
            )
            for one in self.predictor.get("traffic") or ()
        )

    @property
    def revisions(self) -> frozenset[str]:
        """Every revision that its status speaks of."""
        named = {self.predictor.get("latestCreatedRevision"), *(one.revision for one in self.traffic)}
        return frozenset(one for one in named if one)

    @property
    def latest_address(self) -> str | None:
        """Where the newest revision answers alone, whatever share of the requests it gets."""
        return next((one.url for one in self.traffic if one.tag == "latest" and one.url), None)

    def controlled_by(self, uid: str) -> bool:
        """Whether the resource with this uid is its controller."""
        owners = self.metadata.get("ownerReferences", ())
        return any(owner.get("uid") == uid and owner.get("controller") for owner in owners)


@dataclass(frozen=True)
class Pace:
    """How long predictions take in the middle, in seconds, asked of both in the same moments of the last minute."""

    mine: float
    serving: float
    asked: int


@dataclass(frozen=True)
class Probe:
    """Predictions asked of the model server since it was seen to be settled.

    Wrong are answers with other predictions than the version made when it was evaluated.
    """

    state: Literal["answering", "failing", "wrong", "skipped"]
    since: datetime
    message: str = ""
    pace: Pace | None = None
    """Absent where no version serves beside it, or that one does not answer the same question."""


@dataclass(frozen=True)
class Measurement:
    """What Prometheus answered to one query: a value, that there is nothing to measure (neither field), or why no answer."""

    value: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class ServerTrouble:
    """Why the new pods of the model server are not ready."""

    message: str
    for_good: bool = False
    waits: bool = False
    """Whether the model has no part in it: no node with room, an image that cannot be pulled."""


@dataclass(frozen=True)
class Recovery:
    """What annotations and version records tell of a resource whose status is gone."""

    last_version: int = 0
    newest: Result | None = None
    newest_prefix: str = ""
    served: Result | None = None
    served_prefix: str = ""
    running: KfpRun | None = None
    evaluation: Result | None = None
    """The last evaluation of the newest version by a run of its own, which its record names."""
    records: tuple[HistoryEntry, ...] = ()
    """What the records of the newest versions say, newest first."""


@dataclass(frozen=True)
class Policy:
    """The operator's settings that decisions depend on."""

    submit_patience: timedelta
    lost_patience: timedelta
    run_backoff: timedelta
    run_read_interval: timedelta
    stall_after: timedelta
    proof_deadline: timedelta
    proof_duration: timedelta
    deletion_patience: timedelta
    kfp_ui_url: str | None = None
    kfp_namespace: str = "kubeflow"
    istio_sidecar: bool | None = None
    smoke_slowdown: float = 5.0
    deployment_mode: DeploymentMode = "Standard"
    pre_stop: timedelta = timedelta(seconds=6)
    pre_stop_runtimes_with_own: tuple[str, ...] = ()
    prometheus_url: str | None = None
    analysis_min_interval: timedelta = timedelta(seconds=10)
    queries: Mapping[str, Query] | None = None
    """The administrator's queries, by name; None where they are not known, as to the command line."""

    @classmethod
    def of(cls, settings: Settings, queries: Mapping[str, Query] | None = None) -> Policy:
        """The part of the settings that decisions depend on."""
        names = [name for name in cls.__dataclass_fields__ if name != "queries"]
        return cls(**{name: getattr(settings, name) for name in names}, queries=queries)


@dataclass(frozen=True)
class Observation:
    """The whole present state, as far as it was looked at."""

    resource: TrainAndServe
    policy: Policy
    inference_service: Reading[InferenceService] = ABSENT
    deployment: Reading[Deployment] = ABSENT
    revisions: Mapping[str, Deployment] = field(default_factory=dict)
    """In Knative mode, the Deployment of each revision that the InferenceService speaks of, by the revision's name."""
    candidate_service: Reading[InferenceService] = ABSENT
    """The second InferenceService, on which a version is proven before users meet it."""
    candidate_deployment: Reading[Deployment] = ABSENT
    run: Reading[KfpRun] = None
    workflows: tuple[Workflow, ...] | Unknown | None = None
    workflow_phase: str | None = None
    """Phase of the run's Workflow as the watch brought it; None when it brought none."""
    run_pods: RunPods | None = None
    abandoned_runs: Mapping[str, Reading[KfpRun]] = field(default_factory=dict)
    abandoned_workflows: tuple[Workflow, ...] = ()
    preflight: Preflight | None = None
    result: Result | Problem | None = None
    pinned: Stored | Problem | None = None
    """The version that is pinned, where it is not yet what is to be served; a problem where it cannot be."""
    versions: tuple[Folder, ...] | Unknown | None = None
    """The folders of this resource's own attempts, newest first, where old ones may have to go."""
    probe: Probe | None = None
    """Of the place where the target is to be proven now: the second InferenceService, then the first."""
    server_trouble: ServerTrouble | None = None
    """Of the same place."""
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    """Of the same place: those that were due, by the name of their query."""
    recovery: Recovery | Unknown | None = None
    recorded: Mapping[str, str] = field(default_factory=dict)
    """Digests of the records that this process has written and that may not be stored yet, by run."""
    failure: Problem | None = None
    """Why the last effect of this resource did not work."""
