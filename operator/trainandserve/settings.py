"""The operator's own configuration, from environment variables that start with ``TAS_``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .durations import parse_duration

Seconds = Annotated[timedelta, BeforeValidator(lambda v: parse_duration(v) if isinstance(v, str) else v)]


def _split(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A comma-separated list."""


class Settings(BaseSettings):
    """Everything that an administrator can set; the defaults are those of an ordinary installation."""

    model_config = SettingsConfigDict(env_prefix="TAS_", frozen=True, extra="ignore")

    namespaces: Names = Field((), description="Namespaces to look after, comma-separated. Empty: all.")
    trainer_image: str = Field(
        "trainandserve/trainer:0.1.0",
        description="Image of the pipeline's steps where a resource names none.",
    )

    kfp_namespace: str = Field("kubeflow", description="Namespace of Kubeflow Pipelines.")
    kfp_endpoint: str | None = Field(
        None, description="URL of its API. Default: its Service in kfp_namespace."
    )
    kfp_mode: Literal["auto", "single-user", "multi-user"] = Field(
        "auto", description="How it runs; auto: as it says itself."
    )
    kfp_token_path: Path = Field(
        Path("/var/run/secrets/kubeflow/pipelines/token"),
        description="Service account token for it; sent where the file exists.",
    )
    kfp_ca_file: Path | None = Field(None, description="Certificates to trust for an https endpoint.")
    kfp_ui_url: str | None = Field(None, description="Where people see its pages; makes status.run.url.")
    allowed_namespaces: Names = Field(
        (),
        description="Namespaces whose resources may run in a single-user installation, beside its own; * for all.",
    )

    s3_endpoints: Names = Field(
        (),
        description="S3 endpoints (host, host:port or *.suffix) that Secrets may name, beside Amazon's own. The administrator vouches for them.",
    )
    pod_identity_buckets: Names = Field(
        (),
        description="Buckets, or prefixes in them, that the operator may reach as itself, for resources that name no Secret; {namespace} stands for the resource's: shared/{namespace}.",
    )
    predictor_hosts: Names = Field(
        ("*.{namespace}.svc", "*.{namespace}.svc.cluster.local"),
        description="Hosts (or *.suffix, without a port) that predictions are asked of to prove a version; {namespace} stands for the resource's.",
    )
    istio_sidecar: bool | None = Field(
        None, description="Sets sidecar.istio.io/inject on the model server's pods."
    )
    pre_stop: Seconds = Field(
        timedelta(seconds=6),
        description="Pause before a model server stops, so that nobody is sent to it any more.",
    )
    pre_stop_runtimes_with_own: Names = Field(
        (),
        description="Serving runtimes that bring a preStop of their own: ours is left out, two would make an invalid Deployment.",
    )

    max_concurrent_runs: int = Field(10, ge=1, description="Runs at a time in all.")
    max_concurrent_runs_per_namespace: int = Field(5, ge=1, description="Runs at a time for one namespace.")
    submit_patience: Seconds = Field(
        timedelta(seconds=60), description="How long a submission may stay without a trace."
    )
    lost_patience: Seconds = Field(
        timedelta(seconds=60), description="How long a run's Workflow may be missing."
    )
    run_backoff: Seconds = Field(
        timedelta(seconds=30), description="Pause before the second run for a version; doubled each time."
    )
    run_read_interval: Seconds = Field(
        timedelta(seconds=10), description="Least time between two looks at a run for its progress."
    )
    run_reads_per_second: float = Field(
        10.0,
        gt=0,
        le=1000,
        description="Looks at runs for their progress in a second, in all. A run that may have ended is read at once.",
    )
    stall_after: Seconds = Field(
        timedelta(seconds=30), description="Without progress for so long, the run's pods are looked at."
    )
    proof_deadline: Seconds = Field(
        timedelta(minutes=5), description="How long a new version may take until it is proven to serve."
    )
    proof_duration: Seconds = Field(
        timedelta(seconds=10),
        description="How long predictions must be answered before a version counts as served.",
    )
    deployment_mode: Literal["Standard", "Knative"] = Field(
        "Standard",
        description="How KServe is to run new InferenceServices; one that exists keeps its mode, which cannot be changed.",
    )
    smoke_tolerance: float = Field(
        0.02,
        ge=0,
        description="How far a prediction may be from the one of the version's evaluation, as a part of the largest number in it.",
    )
    smoke_slowdown: float = Field(
        5.0,
        gt=0,
        description="How many times as long as the version that serves the next one may take for a prediction.",
    )
    prometheus_url: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="Where Prometheus answers, for serving.rollout.analysis: http://prometheus.monitoring:9090. Its path, if any, ends before /api/v1.",
    )
    prometheus_token_path: Path | None = Field(
        None, description="File with a bearer token for it; read anew for each request."
    )
    prometheus_ca_file: Path | None = Field(
        None, description="Certificates to trust for an https address of it."
    )
    analysis_queries: Path | None = Field(
        None, description="YAML file with the queries that resources may name in serving.rollout.analysis."
    )
    analysis_namespace_labels: Names = Field(
        ("namespace",),
        min_length=1,
        description="Labels that say a series' namespace, set by Prometheus and not by what it scrapes: every selector of a query must match one.",
    )
    analysis_min_interval: Seconds = Field(
        timedelta(seconds=10),
        description="Least time between two measurements, whatever a resource asks for.",
    )
    deletion_patience: Seconds = Field(
        timedelta(minutes=10), description="How long the deletion of a resource waits for Kubeflow Pipelines."
    )
    resync: Seconds = Field(
        timedelta(minutes=10), description="How often everything is looked at without an event."
    )
    workers: int = Field(8, ge=1, le=256, description="Resources that are worked on at a time.")
    request_timeout: Seconds = Field(
        timedelta(seconds=20), description="Longest time for one request to another system."
    )

    leader_election: bool = Field(
        True, description="Whether a Lease decides which of several operators acts."
    )
    lease_namespace: str = Field("trainandserve", description="Namespace of the Lease.")
    lease_name: str = Field("trainandserve", description="Name of the Lease.")
    lease_duration: Seconds = Field(
        timedelta(seconds=15), description="How long a leader that says nothing stays leader."
    )
    lease_renewal: Seconds = Field(timedelta(seconds=5), description="How often the leader renews.")

    listen: str = Field("0.0.0.0", description="Address of the health and metrics endpoints.")  # noqa: S104 - probes come from the node
    port: int = Field(
        8080, ge=0, le=65535, description="Port of the health and metrics endpoints; 0: a free one."
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of the log.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )

    @property
    def kfp_url(self) -> str:
        """The endpoint of Kubeflow Pipelines, without a slash at the end."""
        found = self.kfp_endpoint or f"http://ml-pipeline.{self.kfp_namespace}.svc.cluster.local:8888"
        return found.rstrip("/")
