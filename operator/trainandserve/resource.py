"""The TrainAndServe resource: what a user writes and what the operator says back.

These models are the one source of the custom resource definition (see `crd`). A description here is what
``kubectl explain`` prints; a rule (here and in `fields`) is what the API server refuses with. Nothing has a default in the
definition itself: a default that the API server wrote into the object would be hashed as if the user had set it, and an
upgrade of the operator would retrain models. Defaults therefore live in the code, and the descriptions name them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel

from .fields import (
    KEY,
    LABEL_VALUE_RULE,
    RESOURCES_RULES,
    TRAINING_RESOURCES_RULES,
    Annotations,
    Duration,
    Image,
    Labels,
    Module,
    Name,
    Package,
    PodLabels,
    Quantities,
    QueryName,
    S3Prefix,
    S3Uri,
    matching,
    rule,
    rules,
)
from .fields import Quantity as Quantity  # noqa: PLC0414 - the resource's types are taken from here

GROUP = "trainandserve.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "TrainAndServe"
PLURAL = "trainandserves"
SHORT_NAME = "tas"

MAX_NAME = 40
"""Longest name of a resource: KServe derives ``<name>-predictor`` and the host label ``<name>-<namespace>`` from it."""

M = TypeVar("M", bound="Model")


class Model(BaseModel):
    """Base of all parts of the resource: immutable, camelCase outside, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def changed(self: M, **fields: Any) -> M:
        """The same value with some fields replaced."""
        return self.model_copy(update=fields)

    def dump(self) -> dict[str, Any]:
        """As JSON types, in the API's names; what is absent stays absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def as_set(self) -> dict[str, Any]:
        """Only what the user set, in the API's names: the input of every hash."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


MetricValue = Annotated[float, Field(ge=-1e12, le=1e12)]


# --- The specification --------------------------------------------------------------------------------------------


class Resources(Model):
    """Compute resources of a container, as Kubernetes writes them."""

    model_config = ConfigDict(json_schema_extra=rules(*RESOURCES_RULES))

    limits: Quantities | None = Field(
        None, description="Most that the container may use, by resource: cpu, memory, nvidia.com/gpu."
    )
    requests: Quantities | None = Field(
        None, description="What the scheduler reserves, by resource. Default: the limits."
    )


class TrainingResources(Resources):
    """Compute resources of the train step."""

    model_config = ConfigDict(json_schema_extra=rules(*TRAINING_RESOURCES_RULES))


class Toleration(Model):
    """A taint that a pod tolerates, as Kubernetes writes it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
                "write the key of a taint, or operator: Exists to tolerate every key",
            ),
            rule(
                "!has(self.value) || !has(self.operator) || self.operator == 'Equal'",
                "with operator: Exists write no value",
            ),
            rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "write tolerationSeconds only with effect: NoExecute",
            ),
        )
    )

    key: Annotated[str, StringConstraints(max_length=316)] | None = Field(
        None,
        description="Key of the taint. Absent, with operator Exists: every key.",
        json_schema_extra=rules(
            rule(
                matching(KEY),
                "write the key of a taint, like nvidia.com/gpu (absent, with operator: Exists, means every key)",
            )
        ),
    )
    operator: Literal["Exists", "Equal"] | None = Field(None, description="Exists or Equal. Default: Equal.")
    value: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        None,
        description="Value of the taint, with operator Equal.",
        json_schema_extra=rules(LABEL_VALUE_RULE),
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Effect of the taint. Absent: every effect."
    )
    toleration_seconds: Annotated[int, Field(ge=0, le=31_536_000)] | None = Field(
        None, description="Seconds for which a NoExecute taint is tolerated."
    )


Tolerations = Annotated[list[Toleration], Field(max_length=16)]


class Data(Model):
    """Where the training data is."""

    uri: S3Uri = Field(
        description="An object or a prefix in S3: s3://bucket/path/ . All objects below a prefix are the data set."
    )
    secret_name: Name | None = Field(
        None,
        description=(
            "Secret of this namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, labelled "
            'trainandserve.io/credentials: "true" and annotated as KServe reads it. Default: storage.secretName.'
        ),
    )


class Storage(Model):
    """Where the versions of the model live."""

    uri: S3Prefix = Field(
        description="Prefix in S3. Versions live under <uri>/<namespace>/<name>/<version>-<run>/ .",
    )
    secret_name: Name | None = Field(
        None,
        description=(
            "Secret of this namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, labelled "
            'trainandserve.io/credentials: "true"; its serving.kserve.io/s3-* annotations name endpoint and region. '
            "Absent: the pods' own identity."
        ),
    )
    deletion_policy: Literal["Retain", "Delete"] | None = Field(
        None,
        description="What becomes of the versions when the resource is deleted: Retain or Delete. Default: Retain.",
    )
    keep_versions: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None,
        description=(
            "How many of the newest versions stay; older ones are deleted, but never one that serves, served before, is "
            "pinned or may serve next. Default: all stay."
        ),
    )


class Retries(Model):
    """How often a failing step is tried again inside its run."""

    limit: Annotated[int, Field(ge=0, le=10)] = Field(description="Further tries of a step after its first.")
    backoff: Duration | None = Field(
        None, description="Wait before the first further try; doubled each time. Default: 30s."
    )


class Training(Model):
    """How the model is trained."""

    image: Image | None = Field(
        None, description="Image of the pipeline's steps. Default: the operator's trainer image."
    )
    entrypoint: Module | None = Field(
        None,
        description="Python module with the recipe's train and evaluate functions. Default: trainer.recipes.image_classifier.",
    )
    parameters: Annotated[dict[str, JsonValue], Field(max_length=64)] | None = Field(
        None,
        description="Parameters of the recipe, by name. An unknown or ill-typed one fails the run before any work.",
    )
    packages: Annotated[list[Package], Field(max_length=32)] | None = Field(
        None,
        description="Extra Python packages, as pip requirements with a version: albumentations==2.0.8.",
    )
    resources: TrainingResources | None = Field(None, description="Compute resources of the train step.")
    node_selector: Labels | None = Field(
        None, description="Labels that a node must have to run the train step."
    )
    tolerations: Tolerations | None = Field(None, description="Taints that the train step tolerates.")
    service_account_name: Name | None = Field(
        None,
        description="Service account of the run's pods, in the namespace where runs execute. Default: that of Kubeflow Pipelines.",
    )
    image_pull_secrets: Annotated[list[Name], Field(max_length=8)] | None = Field(
        None, description="Secrets to pull the image with."
    )
    pod_labels: PodLabels | None = Field(None, description="Labels of the train step's pod.")
    pod_annotations: Annotations | None = Field(None, description="Annotations of the train step's pod.")
    retries: Retries | None = Field(
        None, description="Further tries of a failing step, inside the run. Default: limit 2, backoff 30s."
    )
    run_retries: Annotated[int, Field(ge=0, le=10)] | None = Field(
        None, description="Further runs after one that failed or was lost, with growing pauses. Default: 2."
    )
    timeout: Duration | None = Field(
        None,
        description="Longest time for the train step, from its start: waiting for a node does not count. Default: 24h.",
    )
    caching: bool | None = Field(
        None,
        description="Whether Kubeflow Pipelines may reuse the results of earlier steps with the same inputs. Default: true.",
    )


class Metric(Model):
    """What a metric of the new model must reach."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.min) || has(self.max)",
                "give the metric a bound: min, max or both",
            ),
            rule(
                "!has(self.min) || !has(self.max) || self.min <= self.max",
                "write a min that is not above max",
            ),
            rule(
                "!has(self.maxRegression) || has(self.min) != has(self.max)",
                "with maxRegression give either min (more is better) or max (less is better): it says which way is worse",
            ),
        )
    )

    name: Annotated[str, StringConstraints(max_length=63)] = Field(
        description="Name of the metric as the recipe's evaluate function returns it, such as accuracy.",
        json_schema_extra=rules(
            rule(
                "self.matches('^[A-Za-z_][-A-Za-z0-9_.]*$')",
                "write the metric's name in letters, digits, _, - and ., starting with a letter",
            )
        ),
    )
    min: MetricValue | None = Field(
        None, description="Least value that is accepted. Alone, it says that more is better."
    )
    max: MetricValue | None = Field(
        None, description="Largest value that is accepted. Alone, it says that less is better."
    )
    max_regression: Annotated[float, Field(ge=0, le=1e12)] | None = Field(
        None, description="How much worse than the version serving now the new one may be, on the same data."
    )
    min_samples: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        None,
        description=(
            "Samples that it takes to believe the metric. On fewer it says nothing, and the version waits for approval."
        ),
    )


class EvaluationData(Model):
    """Data that only the evaluation sees."""

    uri: S3Uri = Field(description="An object or a prefix in S3 with held-out data in the same format.")
    secret_name: Name | None = Field(
        None, description="Secret to read it with. Default: data.secretName, then storage.secretName."
    )


class Evaluation(Model):
    """What makes a new model good enough to serve."""

    data: EvaluationData | None = Field(
        None, description="Held-out data. Default: the data set's own test part."
    )
    metrics: Annotated[list[Metric], Field(max_length=16)] | None = Field(
        None,
        description="Bounds that the new model must meet, by metric. Without any, every model that was evaluated is accepted.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    on_incumbent_error: Literal["Reject", "Hold", "Ignore"] | None = Field(
        None,
        description=(
            "What a maxRegression means where the version serving now cannot be evaluated on the new data: Reject, Hold (wait "
            "for approval) or Ignore (only min and max count). Default: Reject."
        ),
    )
    approval: Literal["Automatic", "Manual"] | None = Field(
        None,
        description=(
            "Manual: a version that met its bounds is served once a person approves it, by the annotation that an event "
            "prints. Default: Automatic."
        ),
    )


Percentage = Annotated[int, Field(ge=1, le=99)]
Times = Annotated[int, Field(ge=0, le=100)]


class Analysis(Model):
    """What a query of the administrator must find of a version while it is rolled out."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.min) || has(self.max)", "give the query a bound: min, max or both"),
            rule(
                "!has(self.min) || !has(self.max) || self.min <= self.max",
                "write a min that is not above max",
            ),
        )
    )

    query: QueryName = Field(
        description=(
            "Name of a query that the operator's administrator has defined (TAS_ANALYSIS_QUERIES), such as error-rate. "
            "PromQL is not taken."
        )
    )
    min: MetricValue | None = Field(None, description="Least value that passes.")
    max: MetricValue | None = Field(None, description="Largest value that passes.")
    interval: Duration | None = Field(
        None,
        description=(
            "Time from one measurement to the next, and from the beginning of a stage to its first; also what the query "
            "looks back on. Default: 1m."
        ),
    )
    failure_limit: Times | None = Field(
        None, description="Failed measurements that are borne; one more takes the version back. Default: 0."
    )
    consecutive_error_limit: Times | None = Field(
        None,
        description=(
            "Measurements in a row without an answer that are borne silently; one more is said as AnalysisInconclusive. "
            "Without an answer no stage ends. Default: 4."
        ),
    )
    no_traffic: Literal["Hold", "Pass", "Fail"] | None = Field(
        None,
        description=(
            "What a measurement means that finds nothing to measure while users are sent to the version: Hold (the stage "
            "waits), Pass or Fail. Default: Hold."
        ),
    )


class RolloutPlan(Model):
    """How a version takes the place of the one that serves."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!(has(self.steps) || has(self.stepDuration)) || (has(self.strategy) && self.strategy == 'Canary')",
                "write steps and stepDuration only with strategy: Canary",
            )
        )
    )

    strategy: Literal["Replace", "Canary"] | None = Field(
        None,
        description=(
            "Replace: all requests at once, after it was proven without users. Canary: in steps, where KServe runs in Knative "
            "mode; in Standard mode it splits no traffic, and this is refused. Default: Replace."
        ),
    )
    steps: Annotated[list[Percentage], Field(min_length=1, max_length=10)] | None = Field(
        None,
        description="Percentages of the requests that a canary gets one after the other, before it gets all. Default: 10, 50.",
        json_schema_extra=rules(
            rule(
                "self.isSorted() && self.all(i, self.exists_one(j, i == j))",
                "write every percentage once, the smallest first",
            )
        ),
    )
    step_duration: Duration | None = Field(
        None, description="Least time for which each step is held. Default: 5m."
    )
    analysis: Annotated[list[Analysis], Field(max_length=10)] | None = Field(
        None,
        description=(
            "Queries to Prometheus that a version must pass at every stage before users: each step of a canary, and before "
            "all; without a canary, before it meets users as well."
        ),
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["query"]},
    )


class Serving(Model):
    """How the accepted model is served by KServe."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.maxReplicas) || (has(self.minReplicas) ? self.minReplicas : 1) <= self.maxReplicas",
                "write a maxReplicas that is not below minReplicas (1 when absent)",
            )
        )
    )

    model_format: Literal["tensorflow"] | None = Field(
        None, description="Format of the model. Default: tensorflow."
    )
    runtime: Name | None = Field(
        None, description="KServe serving runtime. Default: kserve-tensorflow-serving."
    )
    protocol_version: Literal["v1"] | None = Field(None, description="Protocol of predictions. Default: v1.")
    min_replicas: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Least number of replicas. Default: 1."
    )
    max_replicas: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Largest number of replicas. Default: KServe's own."
    )
    resources: Resources | None = Field(None, description="Compute resources of the model server.")
    service_account_name: Name | None = Field(None, description="Service account of the model server's pods.")
    node_selector: Labels | None = Field(
        None, description="Labels that a node must have to run the model server."
    )
    tolerations: Tolerations | None = Field(None, description="Taints that the model server tolerates.")
    rollout: RolloutPlan | None = Field(
        None, description="How a version takes the place of the one that serves."
    )
    pinned_version: Annotated[int, Field(ge=1, le=999_999_999)] | None = Field(
        None,
        description=(
            "Serve this version, whatever is trained, accepted or rejected. Taken away, the newest accepted one is served again."
        ),
    )
    deletion_policy: Literal["Delete", "Orphan"] | None = Field(
        None,
        description="What becomes of the InferenceService when the resource is deleted: Delete or Orphan. Default: Delete.",
    )


class Spec(Model):
    """What the user wants: a model trained on this data, checked so, and served like this."""

    data: Data = Field(description="Where the training data is.")
    storage: Storage = Field(description="Where the versions of the model live.")
    training: Training | None = Field(None, description="How the model is trained.")
    evaluation: Evaluation | None = Field(None, description="What makes a new model good enough to serve.")
    serving: Serving | None = Field(None, description="How the accepted model is served.")
    suspend: bool | None = Field(
        None,
        description="True: start nothing and change nothing that serves; a run under way finishes but is not served. Default: false.",
    )
    history_limit: Annotated[int, Field(ge=1, le=50)] | None = Field(
        None, description="How many past versions status.history keeps. Default: 10."
    )

    @property
    def train(self) -> Training:
        """Training with nothing set where the user wrote nothing."""
        return self.training or Training()

    @property
    def serve(self) -> Serving:
        """Serving with nothing set where the user wrote nothing."""
        return self.serving or Serving()

    @property
    def rollout(self) -> RolloutPlan:
        """The plan of rollouts with nothing set where the user wrote nothing."""
        return self.serve.rollout or RolloutPlan()

    @property
    def evaluate(self) -> Evaluation:
        """Evaluation with nothing set where the user wrote nothing."""
        return self.evaluation or Evaluation()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The gate's bounds, in the user's order."""
        return tuple((self.evaluation and self.evaluation.metrics) or ())


# --- The status ---------------------------------------------------------------------------------------------------

Phase = Literal[
    "Pending", "Queued", "Training", "AwaitingApproval", "RollingOut", "Serving", "Failed", "Suspended"
]
RolloutStage = Literal["Proving", "Canary", "Promoting"]
DeploymentMode = Literal["Standard", "Knative"]
MeasuredState = Literal["Passed", "Failed", "NoTraffic", "Error"]
RunKind = Literal["Train", "Evaluate"]
RunState = Literal["Submitting", "Running", "Stopping", "Succeeded", "Failed", "Lost", "Stopped"]

_LONG_AGO = datetime.fromtimestamp(0, UTC)

Text = Annotated[str, StringConstraints(max_length=2048)]
Short = Annotated[str, StringConstraints(max_length=253)]
Uri = Annotated[str, StringConstraints(max_length=2048)]
Metrics = Annotated[dict[str, float | None], Field(max_length=64)]
"""Metric by name; None where the recipe gave no number (not a number, infinite)."""


class Condition(Model):
    """One condition, as Kubernetes writes them."""

    type: Short = Field(description="Type of the condition.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: Short = Field(description="One word that says why.")
    message: Text = Field(
        "", description="A sentence that says what is so, and what to do where something is to be done."
    )
    last_transition_time: datetime = Field(description="When the status of this condition last changed.")
    observed_generation: int | None = Field(
        None, description="Generation of the specification that this speaks of."
    )


class Run(Model):
    """The run of the pipeline under way, or the last one."""

    version: int = Field(description="Version of the model that the run makes, or evaluates.")
    kind: RunKind | None = Field(
        None,
        description="Train: makes the version. Evaluate: only evaluates it again, once it was made. Absent: Train.",
    )
    evaluates: Short | None = Field(None, description="With kind Evaluate, the run that made the version.")
    attempt: int = Field(description="Which try for this version this is, from 1.")
    id: Short = Field(description="Id of the run in Kubeflow Pipelines.")
    state: RunState = Field(description="Submitting, Running, Stopping, Succeeded, Failed, Lost or Stopped.")
    reason: Text = Field("", description="Why the run was started.")
    training_hash: Short = Field(
        "",
        description="Hash of everything that makes the model, as it was asked for when the run was planned.",
    )
    inputs: Annotated[dict[str, Short], Field(max_length=128)] | None = Field(
        None, description="Everything that makes the model, field by field; long values are cut."
    )
    data_digest: Short | None = Field(
        None, description="Digest of the training data's listing when the run was planned."
    )
    evaluation_digest: Short | None = Field(
        None, description="Digest of the evaluation data's listing, where there is any."
    )
    pipeline_digest: Short | None = Field(
        None, description="SHA-256 of the compiled pipeline, as the compile command writes it."
    )
    incumbent: int | None = Field(
        None, description="Version that the new one is compared with, the one serving at the start."
    )
    prefix: Uri = Field("", description="Where the run writes its version.")
    failures: int = Field(0, description="Runs for this version that failed or were lost.")
    step: Short | None = Field(None, description="Step under way.")
    progress: Short | None = Field(None, description="Steps done of all steps: 3/5.")
    message: Text | None = Field(None, description="Why the run failed or does not move.")
    superseded: bool | None = Field(None, description="True: stopped because its inputs changed.")
    submitted_at: datetime = Field(description="When the run was about to be submitted.")
    started_at: datetime | None = Field(None, description="When the run was first seen.")
    train_started_at: datetime | None = Field(
        None, description="When the train step's container was first seen running."
    )
    missing_since: datetime | None = Field(None, description="Since when the run's Workflow cannot be found.")
    finished_at: datetime | None = Field(None, description="When the run ended.")
    url: Uri | None = Field(None, description="The run in Kubeflow Pipelines' own pages.")

    @property
    def only_evaluates(self) -> bool:
        """Whether the run makes nothing: it evaluates a version that was made before."""
        return self.kind == "Evaluate"

    @property
    def made_by(self) -> str:
        """The run that made, or makes, the version that this one is about."""
        return (self.evaluates or "") if self.only_evaluates else self.id


class Check(Model):
    """One metric of the new version against its bounds."""

    name: Short = Field(description="Name of the metric.")
    value: float | None = Field(
        None, description="Value of the new version; absent where it is missing or no number."
    )
    min: float | None = Field(None, description="Least value that was accepted.")
    max: float | None = Field(None, description="Largest value that was accepted.")
    max_regression: float | None = Field(None, description="How much worse than the incumbent it could be.")
    incumbent: float | None = Field(None, description="Value of the version that served, on the same data.")
    difference: float | None = Field(None, description="Value less the incumbent's.")
    passed: bool = Field(description="Whether the metric met its bounds.")
    inconclusive: bool | None = Field(None, description="True: it says neither yes nor no.")
    message: Text = Field(description="The comparison in words.")


class Measured(Model):
    """What a query was seen to find of a version while it was rolled out."""

    query: Short = Field(description="Name of the query.")
    min: float | None = Field(None, description="Least value that passed, at the last measurement.")
    max: float | None = Field(None, description="Largest value that passed, at the last measurement.")
    measured: int = Field(0, description="Measurements of this rollout that were answered.")
    failed: int = Field(0, description="Those of them that failed.")
    errors: int = Field(0, description="Measurements without an answer since the last one with any.")
    state: MeasuredState | None = Field(
        None,
        description=(
            "What the last measurement of the present stage found: Passed, Failed, NoTraffic or Error. Absent before its first."
        ),
    )
    value: float | None = Field(None, description="The last value that was found.")
    message: Text | None = Field(None, description="Why the last measurement had no answer.")
    at: datetime | None = Field(None, description="When it was last measured.")
    next_at: datetime | None = Field(
        None, description="When it is measured next; absent while the stage has not begun, and afterwards."
    )


Measurements = Annotated[list[Measured], Field(max_length=10)]


class Verdict(Model):
    """Whether a version may be served, and why."""

    accepted: bool = Field(description="True: may be served.")
    reason: Short = Field(description="One word that says why.")
    message: Text = Field("", description="The reason in a sentence.")
    gate_hash: Short = Field("", description="Hash of the bounds that were applied.")
    checks: Annotated[list[Check], Field(max_length=16)] = Field(
        default_factory=list, description="Every metric with its bounds."
    )
    analysis: Measurements | None = Field(
        None, description="What was measured of it while it was last rolled out, by query."
    )
    at: datetime = Field(description="When it was decided.")
    approved_at: datetime | None = Field(
        None, description="When a person approved it, by annotation; who, is not known."
    )


class Incumbent(Model):
    """The version that served when the new one was evaluated."""

    version: int = Field(description="Its number.")
    metrics: Metrics | None = Field(None, description="Its metrics on the same data.")
    error: Text | None = Field(None, description="Why it could not be evaluated.")


class Evaluated(Model):
    """The last evaluation of a version by a run of its own, after the one that made it."""

    run_id: Short = Field(description="Run that evaluated it.")
    attempt: int = Field(description="Which try for this version that run was.")
    digest: Short = Field(description="SHA-256 of the evaluation's file when it was first read.")
    training_hash: Short = Field(
        "", description="Hash of everything that makes the model, as it was asked for then."
    )


class Candidate(Model):
    """The newest version whose result was read."""

    version: int = Field(description="Number of the version.")
    run_id: Short = Field(description="Run that made it.")
    uri: Uri = Field(description="Where the model is, as KServe takes it.")
    metrics: Metrics = Field(default_factory=dict, description="Its metrics on the evaluation data.")
    samples: int | None = Field(None, description="How many samples it was evaluated on.")
    incumbent: Incumbent | None = Field(None, description="The version it was compared with.")
    verdict: Verdict | None = Field(None, description="Whether it may be served, and why.")
    result_digest: Short = Field("", description="SHA-256 of the result file when it was first read.")
    training_hash: Short = Field("", description="Hash of everything that made it.")
    data_digest: Short | None = Field(None, description="Digest of the data it was trained on.")
    evaluation: Evaluated | None = Field(
        None, description="The run that metrics and incumbent are of, where it is not the one that made it."
    )

    @property
    def answers_to(self) -> str:
        """Hash of what was asked for when the version was made, or evaluated last."""
        return self.evaluation.training_hash if self.evaluation else self.training_hash

    @property
    def evidence(self) -> str:
        """Digest of the file that its metrics are from."""
        return self.evaluation.digest if self.evaluation else self.result_digest


class Target(Model):
    """The version that is to be served."""

    version: int = Field(description="Its number.")
    run_id: Short = Field(description="Run that made it.")
    uri: Uri = Field(description="Where the model is, as KServe takes it.")
    result_digest: Short = Field(description="SHA-256 of its result file.")
    training_hash: Short = Field("", description="Hash of everything that made it.")
    metrics: Metrics = Field(default_factory=dict, description="Its metrics.")
    since: datetime = Field(description="When it became the one to be served.")


class Served(Model):
    """What serves, and what is to serve."""

    version: int | None = Field(None, description="Version that was last proven to serve.")
    run_id: Short | None = Field(None, description="Run that made it.")
    uri: Uri | None = Field(None, description="Where its model is.")
    result_digest: Short | None = Field(None, description="SHA-256 of its result file.")
    training_hash: Short | None = Field(None, description="Hash of everything that made it.")
    metrics: Metrics | None = Field(None, description="Its metrics when it was accepted.")
    since: datetime | None = Field(None, description="When it was proven to serve.")
    previous: int | None = Field(None, description="Version that was proven to serve before it.")
    url: Uri | None = Field(None, description="Where predictions are asked for.")
    proof: Text | None = Field(None, description="What was seen that proves it.")
    target: Target | None = Field(None, description="The version that is to be served.")
    observed: Text | None = Field(None, description="What the cluster was last seen to serve.")
    deployment_mode: DeploymentMode | None = Field(
        None, description="How KServe was seen to run the InferenceService: Standard or Knative."
    )

    @property
    def proven(self) -> Target | None:
        """The proven version as one that could be served again; None where none was ever proven."""
        if self.version is None:
            return None
        return Target(
            version=self.version,
            run_id=self.run_id or "",
            uri=self.uri or "",
            result_digest=self.result_digest or "",
            training_hash=self.training_hash or "",
            metrics=self.metrics or {},
            since=self.since or _LONG_AGO,
        )


class Rollout(Model):
    """How the version that is to be served comes to serve."""

    version: int = Field(description="Version that is rolled out.")
    run_id: Short = Field(description="Run that made it.")
    stage: RolloutStage = Field(
        description=(
            "Proving: without users, in Standard mode on an InferenceService of its own, in Knative mode as a revision "
            "without traffic. Canary: before a part of the users. Promoting: before all of them."
        )
    )
    step: int | None = Field(None, description="Which of the steps of a canary is under way, from 1.")
    traffic: int | None = Field(
        None,
        description="Percentage of the requests that were seen to be routed to it; known in Knative mode.",
    )
    since: datetime | None = Field(
        None,
        description="When the stage was seen to be under way in the cluster: its time limits count from here. Absent while it waits.",
    )
    analysis: Measurements | None = Field(
        None,
        description="What the queries of serving.rollout.analysis have found; absent before the first is due.",
    )
    message: Text | None = Field(None, description="What the stage waits for, or what holds it.")


class Pin(Model):
    """The version that a person pinned, once it became what is to be served."""

    version: int = Field(description="Its number.")
    run_id: Short = Field(description="Run that made it.")
    since: datetime = Field(description="When it was made the target.")
    before: Target | None = Field(None, description="What was to be served before anything was pinned.")
    failed: Text | None = Field(
        None, description="Why it could not be served; it is not tried again before the pin changes."
    )


class HistoryEntry(Model):
    """One version of the past: what made it, what was found of it, and what became of it."""

    version: int = Field(description="Its number.")
    run_id: Short = Field(description="Run that made it.")
    attempt: int | None = Field(None, description="Which try for this version that was, from 1.")
    trigger: Text | None = Field(None, description="Why it was trained.")
    run_url: Uri | None = Field(None, description="The run in Kubeflow Pipelines' own pages.")
    pipeline_digest: Short | None = Field(None, description="SHA-256 of the compiled pipeline.")
    training_hash: Short = Field("", description="Hash of everything that made it.")
    data_digest: Short | None = Field(None, description="Digest of the data it was trained on.")
    uri: Uri = Field(description="Where its model is.")
    result_digest: Short = Field("", description="SHA-256 of its result file.")
    metrics: Metrics = Field(default_factory=dict, description="Its metrics.")
    samples: int | None = Field(None, description="How many samples it was evaluated on.")
    incumbent: int | None = Field(None, description="Version that it was compared with.")
    evaluation: Evaluated | None = Field(
        None, description="The run that metrics and incumbent are of, where it is not the one that made it."
    )
    verdict: Short = Field(description="Accepted, Approved, or why it is not served.")
    message: Text | None = Field(None, description="The reason in a sentence.")
    checks: Annotated[list[Check], Field(max_length=16)] = Field(
        default_factory=list, description="Every metric with its bounds."
    )
    analysis: Measurements | None = Field(
        None, description="What was measured of it while it was last rolled out, by query."
    )
    gate_hash: Short | None = Field(None, description="Hash of the bounds that were applied.")
    submitted_at: datetime | None = Field(None, description="When its run was about to be submitted.")
    finished_at: datetime | None = Field(None, description="When its run ended.")
    at: datetime = Field(description="When the verdict was given.")
    approved_at: datetime | None = Field(None, description="When a person approved it.")
    served_at: datetime | None = Field(None, description="When it was last proven to serve.")
    recorded: Short | None = Field(
        None,
        description="Digest of what the record beside the model says of it; absent before it was written.",
    )


class Abandoned(Model):
    """A run that was given up and must not go on unseen."""

    id: Short = Field(description="Id of the run.")
    since: datetime = Field(description="When it was given up.")


class Change(Model):
    """A field that is not what it was."""

    field: Text = Field(description="Its path below spec, or the annotation.")
    hash: Short = Field(
        description=(
            "What it means: training (a new version), evaluation (evaluated again), gate (judged again), serving (the model "
            "server changes), none."
        )
    )
    before: Short | None = Field(None, description="Value before; absent where it was not set.")
    after: Short | None = Field(None, description="Value now; absent where it is not set any more.")


class NextStep(Model):
    """Something that the operator will do."""

    action: Literal["Look", "Train", "Evaluate", "Stop", "Judge", "RollOut", "Prove", "Wait", "Nothing"] = (
        Field(
            description="Look, Train, Evaluate, Stop (a run), Judge, RollOut, Prove, Wait (for somebody) or Nothing."
        )
    )
    version: int | None = Field(None, description="Version that it is about.")
    message: Text = Field(description="What is done, and why.")
    not_before: datetime | None = Field(
        None, description="When it is done. Absent: now, or as soon as the step before has ended."
    )
    deadline: datetime | None = Field(None, description="When the operator gives it up.")


class Outlook(Model):
    """What the operator will do next, as far as it depends on nothing that is still to come."""

    steps: Annotated[list[NextStep], Field(max_length=8)] = Field(
        default_factory=list, description="In their order; the first is the next."
    )
    changes: Annotated[list[Change], Field(max_length=16)] = Field(
        default_factory=list,
        description="Training inputs that are not those that were last trained or tried.",
    )
    further_changes: int | None = Field(None, description="How many more changes there are than are listed.")


class Status(Model):
    """What the operator knows. Written by the operator alone."""

    observed_generation: int | None = Field(
        None, description="Generation of the specification that the status speaks of."
    )
    phase: Phase | None = Field(
        None,
        description="One word for the whole: Pending, Queued, Training, AwaitingApproval, RollingOut, Serving, Failed or Suspended.",
    )
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(
        default_factory=list,
        description="Ready, Reconciling, Stalled, ModelTrained, ModelAccepted and ModelServed.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    last_version: int | None = Field(None, description="Highest version number ever given out; never falls.")
    last_training_hash: Short | None = Field(
        None, description="Hash of the inputs that were last trained or tried."
    )
    run: Run | None = Field(None, description="The run of the pipeline under way, or the last one.")
    abandoned: Annotated[list[Abandoned], Field(max_length=32)] = Field(
        default_factory=list, description="Runs that were given up; stopped if they appear."
    )
    candidate: Candidate | None = Field(None, description="The newest version whose result was read.")
    served: Served | None = Field(None, description="What serves, and what is to serve.")
    rollout: Rollout | None = Field(
        None, description="How the version that is to be served comes to serve; absent when it does."
    )
    pin: Pin | None = Field(None, description="The pin that holds, if serving.pinnedVersion is set.")
    summary: Short | None = Field(
        None, description="The first metric of the newest version, for the printed table."
    )
    history: Annotated[list[HistoryEntry], Field(max_length=50)] = Field(
        default_factory=list, description="Past versions, newest first, at most historyLimit."
    )
    last_handled_retrain: Short | None = Field(
        None, description="Value of the retrain annotation that was last acted on."
    )
    last_handled_approval: Short | None = Field(
        None, description="Value of the approve annotation that was last answered."
    )
    plan: Outlook | None = Field(None, description="What the operator will do next, and why.")

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None."""
        return next((c for c in self.conditions if c.type == kind), None)


class Metadata(Model):
    """What the operator reads of the resource's metadata."""

    name: str
    namespace: str = "default"
    uid: str
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: list[str] = Field(default_factory=list)
    annotations: dict[str, str] = Field(default_factory=dict)


class TrainAndServe(Model):
    """A whole resource, as it is read from the API server."""

    metadata: Metadata
    spec: Spec
    status: Status = Field(default_factory=Status)

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return (self.metadata.namespace, self.metadata.name)
