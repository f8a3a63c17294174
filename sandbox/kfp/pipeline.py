"""The submitted pipeline: intermediate representation, platform spec, and what the server checks of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]
from kfp.pipeline_spec import pipeline_spec_pb2

from sandbox.kfp.answers import INTERNAL, KfpError, internal, invalid

Document = dict[str, Any]
SCHEMA_VERSION = "2.1.0"

_FETCH = "Failed to create a run due to error fetching manifest"
_TEMPLATE = f"{_FETCH}: Failed to fetch a template with an invalid pipeline spec manifest: InvalidInputError"
_EXECUTION_SPEC = "Failed to generate the ExecutionSpec: invalid pipeline job inputs"
_WANTED = {
    "NUMBER_INTEGER": ("double or integer", "number"),
    "NUMBER_DOUBLE": ("double or integer", "number"),
    "STRING": ("string", "string"),
    "BOOLEAN": ("bool", "bool"),
    "LIST": ("list", "list"),
    "STRUCT": ("struct", "struct"),
}


@dataclass(frozen=True)
class SecretVariable:
    """An environment variable of a step that comes from a Secret of the run's namespace."""

    name: str
    secret: str
    key: str
    optional: bool


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline.

    Attributes
    ----------
    spec
        The first document that the compiler writes (PipelineSpec as JSON).
    platform
        The second one (`platforms`), empty if there is none.
    """

    spec: Document
    platform: Document = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def tasks(self) -> dict[str, Document]:
        dag = self.spec["root"].get("dag") or {}
        return dict(dag.get("tasks") or {})

    @property
    def inputs(self) -> dict[str, Document]:
        definitions = self.spec["root"].get("inputDefinitions") or {}
        return dict(definitions.get("parameters") or {})

    def component(self, task: str) -> Document:
        return dict(self.spec["components"][self.tasks[task]["componentRef"]["name"]])

    def container(self, task: str) -> Document:
        """The container of a task: image, command, args, env, resources; empty for an unknown task."""
        if task not in self.tasks:
            return {}
        label = self.component(task).get("executorLabel")
        executors = (self.spec.get("deploymentSpec") or {}).get("executors") or {}
        return dict((executors.get(label) or {}).get("container") or {})

    def kubernetes(self, task: str) -> Document:
        """What the platform spec says of a task's pod (secretAsEnv, nodeSelector, ...); empty if nothing."""
        if task not in self.tasks:
            return {}
        platform = (self.platform.get("platforms") or {}).get("kubernetes") or {}
        executors = (platform.get("deploymentSpec") or {}).get("executors") or {}
        return dict(executors.get(self.component(task).get("executorLabel")) or {})

    def secret_variables(self, task: str, inputs: Mapping[str, Any]) -> Iterator[SecretVariable]:
        """Variables that a task takes from Secrets; `inputs` are the pipeline's parameters, with defaults."""
        for entry in self.kubernetes(task).get("secretAsEnv") or []:
            secret = self._secret_name(task, entry, inputs)
            for pair in entry.get("keyToEnv") or []:
                yield SecretVariable(pair["envVar"], secret, pair["secretKey"], bool(entry.get("optional")))

    def _secret_name(self, task: str, entry: Document, inputs: Mapping[str, Any]) -> str:
        parameter = entry.get("secretNameParameter") or {}
        if "componentInputParameter" in parameter:
            name = parameter["componentInputParameter"]
            bound = (self.tasks[task].get("inputs") or {}).get("parameters", {}).get(name) or {}
            return str(inputs.get(bound.get("componentInputParameter", name), ""))
        constant = (parameter.get("runtimeValue") or {}).get("constant")
        return str(constant or entry.get("secretName") or "")

    def with_defaults(self, given: Mapping[str, Any]) -> Document:
        """The pipeline's parameters: those given, defaults for the rest."""
        defaults = {
            name: spec["defaultValue"] for name, spec in self.inputs.items() if "defaultValue" in spec
        }
        return defaults | dict(given)


def read_pipeline(source: Any) -> Pipeline:
    """Read `pipeline_spec` of a request body, plain or as a pair of pipeline_spec and platform_spec.

    Raises
    ------
    KfpError
        500/13 for what the server cannot use: this is no promise that a repeated request would do better.
    """
    if not source:
        raise internal(
            f"{_FETCH}: Invalid input error: Failed to fetch a template with an empty pipeline spec manifest"
        )
    nested = isinstance(source, Mapping) and "pipeline_spec" in source
    spec = source["pipeline_spec"] if nested else source
    platform = (source.get("platform_spec") or {}) if nested else {}
    version = spec.get("schemaVersion") if isinstance(spec, Mapping) else None
    if version is not None and version != SCHEMA_VERSION:
        raise internal(
            f"{_TEMPLATE}: KFP only supports schema version {SCHEMA_VERSION}, "
            f"but the pipeline spec has version {version}: pipeline spec is invalid"
        )
    if not _is_pipeline_spec(spec):
        raise internal(f"{_TEMPLATE}: unknown template format: pipeline spec is invalid")
    return Pipeline(dict(spec), dict(platform))


def _is_pipeline_spec(spec: Any) -> bool:
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    except (json_format.ParseError, AttributeError, TypeError):
        return False
    return bool(spec.get("root")) and bool((spec.get("pipelineInfo") or {}).get("name"))


def check_components(pipeline: Pipeline) -> None:
    """Refuse a task whose component is not there: the compiler to Argo fails on it, without a code."""
    components = pipeline.spec.get("components") or {}
    for task in pipeline.tasks.values():
        name = (task.get("componentRef") or {}).get("name")
        if name not in components:
            text = (
                'Internal error: error processing component name="root": '
                f'cannot find component ref name="{name}"\nFailed to compile job'
            )
            raise KfpError(INTERNAL, text, text, detail_code=2)


def check_parameters(pipeline: Pipeline, given: Mapping[str, Any]) -> None:
    """Check the given parameters against the pipeline's inputs.

    1.5 for an integer passes here and fails when the step is started: the server checks for a number only.
    """
    for name, spec in pipeline.inputs.items():
        if name in given:
            _check_type(name, spec.get("parameterType", "STRING"), given[name])
        elif "defaultValue" not in spec and not spec.get("isOptional"):
            text = f"parameter {name} is not optional, yet has neither default value nor user provided value"
            raise invalid(text).wrapped(_EXECUTION_SPEC)
    unknown = sorted(set(given) - set(pipeline.inputs))
    if unknown:
        text = f"parameter(s) provided are not required by pipeline: {', '.join(unknown)}"
        raise invalid(text).wrapped(_EXECUTION_SPEC)


def _check_type(name: str, kind: str, value: Any) -> None:
    fits = {
        "number": isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
        "string": isinstance(value, str),
        "bool": isinstance(value, bool),
        "list": isinstance(value, list),
        "struct": isinstance(value, dict),
    }
    wanted, value_kind = _WANTED.get(kind, ("string", "string"))
    if not fits[value_kind]:
        text = (
            f"input parameter {name} requires type {wanted}, "
            f"but the parameter value is not of {value_kind} value type"
        )
        raise invalid(text).wrapped(_EXECUTION_SPEC)
