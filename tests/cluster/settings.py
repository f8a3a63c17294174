"""What the suite is told about the cluster: environment variables that start with ``TAS_E2E_``."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from trainandserve.durations import parse_duration

Duration = Annotated[timedelta, BeforeValidator(lambda v: parse_duration(v) if isinstance(v, str) else v)]

NEEDED = ("storage", "kfp_endpoint")


class Settings(BaseSettings):
    """The cluster, and how hard to try it."""

    model_config = SettingsConfigDict(env_prefix="TAS_E2E_", frozen=True, extra="ignore")

    storage: str = Field(
        "",
        description="Needed. A prefix in S3 for data and versions, such as s3://models/e2e/ ; what the suite puts there is removed at the end.",
    )
    kfp_endpoint: str = Field(
        "",
        description="Needed. URL of Kubeflow Pipelines' API as this machine reaches it; also the operator's, where the suite starts that.",
    )
    kfp_namespace: str = Field(
        "kubeflow", description="Namespace of Kubeflow Pipelines: where runs are, if it is for a single user."
    )
    s3_endpoint: str = Field(
        "",
        description="host:port of S3 for everybody: this machine, the operator, the steps, the model servers. Empty: Amazon's own.",
    )
    s3_https: bool = Field(True, description="Whether to speak TLS to it.")
    s3_region: str = Field("us-east-1", description="Its region.")
    namespace: str = Field(
        "",
        description="An existing namespace to work in. Empty: one is made, with all that a team needs, and deleted.",
    )
    secret: str = Field(
        "",
        description="An existing Secret there for S3. Empty: one is made from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )
    operator: Literal["running", "process"] = Field(
        "running",
        description="running: an operator is installed and works. process: the suite starts one here, from this environment's TAS_ variables, and may kill it.",
    )
    operator_account: str = Field(
        "trainandserve/trainandserve",
        description="Namespace and name of the operator's service account: that of the process, and the one that may read the Secret.",
    )
    image: str = Field("", description="Image of the steps. Empty: the operator's own setting.")
    unpullable_image: str = Field(
        "registry.invalid/trainandserve/none:1",
        description="An image that nobody can pull. Empty, where steps are processes and nothing is pulled: that case is skipped.",
    )
    predictor: str = Field(
        "address",
        description="How this machine reaches a model server: address (its name in the cluster), url (where users go), service (the Service's IP), api-server (through it), or a URL with {namespace} and {name}.",
    )
    probed: bool = Field(
        True,
        description="Whether the operator reaches model servers: then a version must be proven by predictions.",
    )
    rate: float = Field(25.0, gt=0, description="Requests a second while versions are switched.")
    requests: int = Field(1_000, ge=1, description="Requests at least, while versions are switched.")
    patience: Duration = Field(
        timedelta(minutes=15),
        description="Longest time for a training and what follows, until it is a failure.",
    )

    @property
    def bucket(self) -> str:
        return self.storage.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """Key in the bucket, ending in a slash; empty for the whole of it."""
        key = self.storage.removeprefix("s3://").partition("/")[2].strip("/")
        return f"{key}/" if key else ""

    def missing(self) -> str:
        """Why there is nothing to work with; empty if there is."""
        absent = [f"TAS_E2E_{name.upper()}" for name in NEEDED if not getattr(self, name)]
        if not kubeconfig().exists():
            absent.append("KUBECONFIG")
        return f"no cluster is configured: {', '.join(absent)} not set (docs/testing.md)" if absent else ""


def kubeconfig() -> Path:
    """The file that says which cluster, and as whom."""
    return Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
