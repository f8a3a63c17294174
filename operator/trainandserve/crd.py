"""The custom resource definition, made from the pydantic models of `resource`.

A structural schema knows no references, no ``null`` and (by this project's own rule) no defaults: what pydantic writes is
rewritten here to that form.
"""

from __future__ import annotations

from typing import Any

import yaml

from . import resource
from .fields import rule
from .resource import MAX_NAME

Schema = dict[str, Any]

_DROPPED = ("title", "default", "$defs", "examples")
_HEADER = "# Generated from the models of the operator by: make crds. Changes here are lost.\n"

COLUMNS = (
    ("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether a proven version serves."),
    ("Phase", ".status.phase", "One word for the whole."),
    ("Served", ".status.served.version", "Version that was proven to serve."),
    ("Candidate", ".status.candidate.version", "Newest version whose result was read."),
    ("Metric", ".status.summary", "First metric of the newest version."),
    ("Run", ".status.run.progress", "Steps done of all steps of the run under way, or of the last one."),
    ("URL", ".status.served.url", "Where predictions are asked for."),
)


class _Plain(yaml.SafeDumper):
    """Writes a part that occurs twice twice: an anchor would be legal YAML, but surprise who reads or patches it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def text() -> str:
    """The definition as the file in crds/: the same bytes for the same models."""
    return _HEADER + yaml.dump(definition(), Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)


def definition() -> dict[str, Any]:
    """The CustomResourceDefinition, as the API server takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.PLURAL}.{resource.GROUP}"},
        "spec": {
            "group": resource.GROUP,
            "names": {
                "kind": resource.KIND,
                "listKind": f"{resource.KIND}List",
                "plural": resource.PLURAL,
                "singular": resource.KIND.lower(),
                "shortNames": [resource.SHORT_NAME],
                "categories": ["kubeflow"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    columns = [{"name": n, "type": "string", "jsonPath": p, "description": d} for n, p, d in COLUMNS]
    for column in columns:
        if column["name"] in ("Served", "Candidate"):
            column["type"] = "integer"
    age = {
        "name": "Age",
        "type": "date",
        "jsonPath": ".metadata.creationTimestamp",
        "description": "Time since creation.",
    }
    return {
        "name": resource.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [*columns, age],
        "schema": {"openAPIV3Schema": _root()},
    }


def _root() -> Schema:
    spec = structural(resource.Spec.model_json_schema(by_alias=True))
    status = structural(resource.Status.model_json_schema(by_alias=True, mode="serialization"))
    status.pop("x-kubernetes-validations", None)
    return {
        "type": "object",
        "description": "Takes a model from data to traffic and keeps it there: trains it with Kubeflow Pipelines, checks it, serves it with KServe.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this API."},
            "kind": {"type": "string", "description": "Kind of this resource."},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": [
            rule(
                f"self.metadata.name.size() <= {MAX_NAME}",
                f"write a name of at most {MAX_NAME} characters: KServe makes longer names from it",
            ),
            rule(
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "write a name that starts with a letter and has only lower-case letters, digits and hyphens: KServe takes no other",
            ),
        ],
    }


def structural(schema: Schema) -> Schema:
    """Rewrite a JSON schema of pydantic as a structural schema of Kubernetes."""
    return _rewrite(schema, schema.get("$defs", {}))


def _rewrite(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    schema = _resolve(schema, definitions)
    if _is_any(schema):
        kept = {k: v for k, v in schema.items() if k == "description"}
        return {**kept, "x-kubernetes-preserve-unknown-fields": True}
    result = {k: v for k, v in schema.items() if k not in _DROPPED and v is not None}
    if result.get("x-kubernetes-int-or-string"):
        return result
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if "properties" in result:
        result["properties"] = {
            name: _rewrite(part, definitions) for name, part in result["properties"].items()
        }
    if "items" in result:
        result["items"] = _rewrite(result["items"], definitions)
    if isinstance(result.get("additionalProperties"), dict):
        result["additionalProperties"] = _value(result["additionalProperties"], definitions)
    return result


def _value(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """A map's value. Where it may be null it says so: the API server drops a key whose null it does not expect."""
    rewritten = _rewrite(schema, definitions)
    if _is_any(_resolve(schema, definitions)) or {"type": "null"} in schema.get("anyOf", ()):
        rewritten["nullable"] = True
    return rewritten


def _resolve(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Put in what a reference points to, and take the one real choice of ``X or null``; outer words win."""
    while True:
        if "$ref" in schema:
            inner = definitions[schema["$ref"].rsplit("/", 1)[1]]
            outer = {k: v for k, v in schema.items() if k != "$ref"}
        elif "anyOf" in schema and not schema.get("x-kubernetes-int-or-string"):
            choices = [choice for choice in schema["anyOf"] if choice.get("type") != "null"]
            if len(choices) != 1:
                raise ValueError(f"a structural schema has no choice of types: {schema}")
            inner, outer = choices[0], {k: v for k, v in schema.items() if k != "anyOf"}
        else:
            return schema
        both = [*inner.get("x-kubernetes-validations", ()), *outer.get("x-kubernetes-validations", ())]
        schema = {**inner, **outer}
        if both:
            schema["x-kubernetes-validations"] = both


def _is_any(schema: Schema) -> bool:
    return not any(
        key in schema for key in ("type", "enum", "const", "properties", "x-kubernetes-int-or-string")
    )
