"""The pipeline of one resource: compiled for Kubeflow Pipelines, and the parameters of one run of it.

What the resource says about training is compiled in; what differs from run to run is a parameter. Importing this is cheap:
the KFP SDK is loaded by the first compilation.
"""

from __future__ import annotations

import copy
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import JsonValue

from ..hashes import retrain_token
from ..resource import Candidate, Run, Served, Target, TrainAndServe
from ..storage_access import StorageAccess

__all__ = [
    "CompiledPipeline",
    "PipelineInputs",
    "compile_pipeline",
    "evaluation_parameters",
    "run_parameters",
    "service_account",
]

_defining = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pipeline")
"""The one thread that defines pipelines: the SDK keeps the one that is being defined in a global, and for every setting of
a task it walks the caller's whole stack, which took 400 ms from deep inside a test and takes 15 ms from here."""


@dataclass(frozen=True)
class PipelineInputs:
    """What a pipeline needs beside its resource: the steps' image and the ways to the buckets."""

    image: str
    data: StorageAccess
    evaluation: StorageAccess | None
    storage: StorageAccess


@dataclass(frozen=True)
class CompiledPipeline:
    """A compiled pipeline. Equal inputs give equal bytes, in whatever process."""

    pipeline_spec: dict[str, Any] = field(repr=False)
    platform_spec: dict[str, Any] | None = field(repr=False)

    @cached_property
    def yaml(self) -> str:
        """The file that imports into Kubeflow Pipelines' own pages: the pipeline, then what only Kubernetes understands."""
        import yaml

        documents = [self.pipeline_spec, *([self.platform_spec] if self.platform_spec else [])]
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        return str(yaml.dump_all(documents, Dumper=dumper, sort_keys=True, allow_unicode=True, width=2**20))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.yaml.encode()).hexdigest()

    def body(self) -> dict[str, Any]:
        """What ``POST /apis/v2beta1/runs`` takes as ``pipeline_spec``; the caller's own copy."""
        body = {"pipeline_spec": self.pipeline_spec}
        if self.platform_spec:
            body["platform_spec"] = self.platform_spec
        return copy.deepcopy(body)


def compile_pipeline(
    resource: TrainAndServe, inputs: PipelineInputs, *, only_evaluates: bool = False
) -> CompiledPipeline:
    """Compile the pipeline of a resource. Any thread may call; nothing is read, written or printed.

    Parameters
    ----------
    only_evaluates
        Whether it makes nothing: it evaluates a version that was made before.

    Raises
    ------
    ValueError
        The resource holds something that no pipeline can carry; the message says what to write instead.
    """
    return _defining.submit(_compile, resource, inputs, only_evaluates).result()


def _compile(resource: TrainAndServe, inputs: PipelineInputs, only_evaluates: bool) -> CompiledPipeline:
    from .definition import define

    found = define(resource.metadata.name, resource.spec, inputs, only_evaluates=only_evaluates)
    return CompiledPipeline(*found)


def run_parameters(
    resource: TrainAndServe, run: Run, incumbent: Target | Served | None = None
) -> dict[str, JsonValue]:
    """``runtime_config.parameters`` of one run, in the types that the pipeline declares.

    Kubeflow Pipelines answers 400 to a missing, unknown or ill-typed parameter, so all of them are always there: empty or 0
    stands for none.
    """
    return {
        **_common_parameters(resource, run, incumbent),
        "retrain_token": retrain_token(resource).replace(
            "{{", "{ {"
        ),  # Argo and KFP would take it for a variable
    }


def evaluation_parameters(
    resource: TrainAndServe, run: Run, candidate: Candidate, incumbent: Target | Served | None = None
) -> dict[str, JsonValue]:
    """The same of a run that only evaluates a version."""
    return {
        **_common_parameters(resource, run, incumbent),
        "evaluates": candidate.run_id,
        "model_uri": candidate.uri,
        "result_digest": candidate.result_digest,
    }


def _common_parameters(
    resource: TrainAndServe, run: Run, incumbent: Target | Served | None
) -> dict[str, JsonValue]:
    version, uri = (incumbent.version or 0, incumbent.uri or "") if incumbent else (0, "")
    return {
        "uid": resource.metadata.uid,
        "version": run.version,
        "run_id": run.id,
        "destination": run.prefix,
        "data_digest": run.data_digest or "",
        "evaluation_digest": run.evaluation_digest or "",
        "incumbent_version": version if uri else 0,
        "incumbent_uri": uri if version else "",
        "training_hash": run.training_hash,
    }


def service_account(resource: TrainAndServe) -> str | None:
    """Service account of the run's pods; None: Kubeflow Pipelines' own."""
    return resource.spec.train.service_account_name
