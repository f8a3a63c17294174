"""The platform on one machine: control plane, S3, Kubeflow Pipelines' and KServe's stand-ins, and the operator.

Every part is a process of its own on loopback, with its log in one folder; all of them end together, in the reverse order
of their start, however this process ends.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.credentials import ADMIN, write_kubeconfig
from sandbox.crds import argo_crds, knative_crds, kserve_crds
from sandbox.objects import apply, create
from sandbox.processes import ChildProcess, ProcessStack
from sandbox.prometheus.program import start as start_prometheus
from sandbox.s3 import S3Server

__all__ = ["BUCKETS", "NAMESPACE", "SECRET", "Platform", "add_tenant", "apply", "create", "platform"]

ROOT = Path(__file__).parents[1]
QUERIES = ROOT / "examples" / "analysis" / "queries.yaml"
NAMESPACE = "vision"
OPERATOR_NAMESPACE = "trainandserve"
KFP_NAMESPACE = "kubeflow"
SECRET = "object-store"
BUCKETS = ("datasets", "models")
START_SECONDS = 60.0
_TOKEN_SECONDS = 30 * 24 * 3600
_KFP_AUDIENCE = "pipelines.kubeflow.org"


@dataclass(frozen=True)
class Platform:
    """A running platform.

    Attributes
    ----------
    s3_url, kfp_url
        Where S3 and Kubeflow Pipelines answer.
    access_key, secret_key
        The only keys that S3 lets in.
    operator_settings
        Environment variables of the operator's process.
    namespace
        Where a user's resources go: it has the Secret for S3.
    prometheus_url
        Where queries about the model servers are answered; empty if nobody asked for that.
    """

    plane: ControlPlane
    folder: Path
    s3_url: str
    access_key: str
    secret_key: str
    kfp_url: str
    stack: ProcessStack
    operator_settings: Mapping[str, str]
    s3_server: S3Server
    namespace: str = NAMESPACE
    prometheus_url: str = ""

    @property
    def kubeconfig(self) -> Path:
        """A file that makes its reader cluster-admin, in the users' namespace if none is said."""
        return self.folder / "kubeconfig"

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.folder / "logs"

    def s3(self) -> Any:
        """A client of the object store."""
        return boto3.client(
            "s3",
            endpoint_url=self.s3_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def start_operator(self, name: str = "operator", **settings: str) -> ChildProcess:
        """Start an operator's process; settings beside or instead of the usual ones are given by their TAS_ names."""
        environment = {**os.environ, **self.operator_settings, **settings}
        return self.stack.start(
            name,
            [sys.executable, "-m", "trainandserve", "run"],
            self.logs / f"{name}.log",
            env=environment,
            grace=30,
        )

    def check(self) -> None:
        """Raise ProcessError if a part has ended."""
        self.plane.check()
        self.s3_server.check()
        self.stack.check()


@contextlib.contextmanager
def platform(
    folder: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
    operator: bool = True,
    multi_user: bool = True,
    knative: bool = False,
    prometheus: bool = False,
    settings: Mapping[str, str] | None = None,
    known_images: Sequence[str] = (),
) -> Iterator[Platform]:
    """Start the whole platform in a folder, and stop it at the end of the `with` block.

    Parameters
    ----------
    say
        Is told each step.
    operator
        Whether to start the operator as well.
    multi_user
        How Kubeflow Pipelines runs. Not multi-user: every run, and so every resource, is in its own namespace.
    knative
        Whether the cluster has Knative Serving, for InferenceServices in Knative mode.
    prometheus
        Whether something answers Prometheus queries about the model servers, for the operator's analysis with the queries
        of examples/analysis/: see `sandbox.prometheus`.
    settings
        The operator's settings beside the usual ones, by their TAS_ names.
    known_images
        Prefixes of the images that steps may name: with another one a step waits, as for an image that cannot be
        pulled. Empty: all may be named, for nothing is ever pulled.
    """
    logs = folder / "logs"
    access_key, secret_key = "sandbox", secrets.token_urlsafe(24)
    with contextlib.ExitStack() as parts:
        say("control plane")
        plane = parts.enter_context(
            ControlPlane.started(folder / "controlplane", crds=[*_their_crds(knative), *_our_crds()])
        )
        say("object store")
        s3 = parts.enter_context(S3Server.started(access_key, secret_key, log=logs / "s3.log"))
        _set_up_cluster(plane)
        stack = parts.enter_context(ProcessStack())
        say("stand-ins for Kubeflow Pipelines and KServe")
        kfp_url = _start_kfp(stack, plane, folder, multi_user, known_images)
        targets_url = _start_kserve(stack, plane, folder, knative)
        prometheus_url, analysis = "", {}
        if prometheus:
            say("Prometheus")
            log = folder / "logs" / "prometheus.log"
            prometheus_url = start_prometheus(stack, folder / "prometheus", targets_url, log)
            analysis = {"TAS_PROMETHEUS_URL": prometheus_url, "TAS_ANALYSIS_QUERIES": str(QUERIES)}
        running = Platform(
            plane=plane,
            folder=folder,
            s3_url=s3.url,
            access_key=access_key,
            secret_key=secret_key,
            kfp_url=kfp_url,
            stack=stack,
            operator_settings=_operator_settings(plane, folder, kfp_url, s3.url)
            | analysis
            | dict(settings or {}),
            s3_server=s3,
            namespace=NAMESPACE if multi_user else KFP_NAMESPACE,
            prometheus_url=prometheus_url,
        )
        _write_kubeconfig(running)
        add_tenant(running, running.namespace)
        for bucket in BUCKETS:
            running.s3().create_bucket(Bucket=bucket)
        if operator:
            say("operator")
            running.start_operator().wait_for_line(r".* leads", START_SECONDS)
        yield running


def _their_crds(knative: bool) -> list[dict[str, Any]]:
    return [*kserve_crds(), *argo_crds(), *(knative_crds() if knative else ())]


def _our_crds() -> list[dict[str, Any]]:
    return [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "crds").glob("*.yaml"))]


def _set_up_cluster(plane: ControlPlane) -> None:
    create(plane, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KFP_NAMESPACE}})
    for document in yaml.safe_load_all((ROOT / "manifests" / "rbac.yaml").read_text()):
        create(plane, document)


def add_tenant(running: Platform, namespace: str) -> None:
    """A namespace with a Secret for the object store, annotated the way KServe reads it."""
    plane = running.plane
    if namespace != KFP_NAMESPACE:
        create(plane, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    # Kubeflow's profiles give each namespace this service account; runs that name none execute as it.
    account = {"name": "default-editor", "namespace": namespace}
    create(plane, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    host = running.s3_url.removeprefix("http://")
    annotations = {"serving.kserve.io/s3-endpoint": host, "serving.kserve.io/s3-usehttps": "0"}
    annotations["serving.kserve.io/s3-region"] = "us-east-1"
    keys = {"AWS_ACCESS_KEY_ID": running.access_key, "AWS_SECRET_ACCESS_KEY": running.secret_key}
    create(
        plane,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": SECRET,
                "namespace": namespace,
                "labels": {"trainandserve.io/credentials": "true"},
                "annotations": annotations,
            },
            "data": {name: base64.b64encode(value.encode()).decode() for name, value in keys.items()},
        },
    )


def _write_kubeconfig(running: Platform) -> None:
    plane = running.plane
    write_kubeconfig(
        running.kubeconfig,
        server=plane.server,
        ca_file=plane.ca_file,
        token=plane.token,
        user=ADMIN,
        namespace=running.namespace,
    )


def _start_kfp(
    stack: ProcessStack, plane: ControlPlane, folder: Path, multi_user: bool, known_images: Sequence[str]
) -> str:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "sandbox.kfp",
        "--kubeconfig",
        plane.kubeconfig,
        "--namespace",
        KFP_NAMESPACE,
    ]
    command += [*(["--multi-user"] if multi_user else []), "--workdir", folder / "kfp"]
    command += [part for prefix in known_images for part in ("--known-image", prefix)]
    child = stack.start("kfp", command, folder / "logs" / "kfp.log", cwd=ROOT)
    return child.wait_for_line(r"KFP stand-in: (http://[^,\s]+).*", START_SECONDS)[1]


def _start_kserve(stack: ProcessStack, plane: ControlPlane, folder: Path, knative: bool) -> str:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "sandbox.kserve",
        "--kubeconfig",
        plane.kubeconfig,
        "--workdir",
        folder / "kserve",
    ]
    command += ["--knative"] if knative else []
    child = stack.start("kserve", command, folder / "logs" / "kserve.log", cwd=ROOT)
    child.wait_for_line("KServe stand-in is running", START_SECONDS)
    return child.wait_for_line(r"metrics of the model servers are listed at (\S+)", START_SECONDS)[1]


def _operator_settings(plane: ControlPlane, folder: Path, kfp_url: str, s3_url: str) -> dict[str, str]:
    """What an administrator sets: here, where everything is."""
    kubeconfig = plane.kubeconfig_for_service_account(
        OPERATOR_NAMESPACE, "trainandserve", folder / "operator.kubeconfig", expiration_seconds=_TOKEN_SECONDS
    )
    return {
        "KUBECONFIG": str(kubeconfig),
        "TAS_KFP_ENDPOINT": kfp_url,
        "TAS_KFP_NAMESPACE": KFP_NAMESPACE,
        "TAS_KFP_TOKEN_PATH": str(_kfp_token(plane, folder / "kfp-token")),
        "TAS_S3_ENDPOINTS": s3_url.removeprefix("http://"),
        "TAS_PREDICTOR_HOSTS": "127.0.0.1",
        "TAS_LEASE_NAMESPACE": OPERATOR_NAMESPACE,
        "TAS_LISTEN": "127.0.0.1",
        "TAS_PORT": "0",
        "TAS_TRAINER_IMAGE": "trainandserve/trainer:sandbox",
    }


def _kfp_token(plane: ControlPlane, path: Path) -> Path:
    """The operator's token for Kubeflow Pipelines, as a projected volume would hold it."""
    answer = plane.rest.call(
        "POST",
        f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/serviceaccounts/trainandserve/token",
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _TOKEN_SECONDS, "audiences": [_KFP_AUDIENCE]},
        },
    )
    path.touch(mode=0o600)
    path.write_text(answer["status"]["token"])
    return path
