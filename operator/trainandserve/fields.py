"""Types of the resource's fields, each with the rules that the API server refuses with.

A rule (CEL) stands where a schema's own words would be cryptic ("should match '^…$'") or cannot say it; its message says
what to write instead. The lengths are not only the user's bounds: the API server estimates a rule's cost from them and
refuses a definition that may cost too much.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints

from .durations import format_duration, parse_duration

Rule = dict[str, str]


def rule(expression: str, message: str) -> Rule:
    """One CEL rule of the definition; `message` says what to write instead."""
    return {"rule": expression, "message": message}


def rules(*items: Rule, **schema: Any) -> dict[str, Any]:
    """Schema extras that carry CEL rules, for `pydantic.Field` and `ConfigDict`."""
    return {"x-kubernetes-validations": list(items), **schema}


def quoted(pattern: str) -> str:
    """A regular expression (RE2, without single quotes) as a CEL string."""
    return "'" + pattern.replace("\\", "\\\\") + "'"


def matching(pattern: str, subject: str = "self") -> str:
    """CEL: the subject matches the pattern."""
    return f"{subject}.matches({quoted(pattern)})"


# --- Durations ----------------------------------------------------------------------------------------------------

_DURATION = "^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$"


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    return parse_duration(str(value))


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    Field(
        json_schema_extra=rules(
            rule(
                f"{matching(_DURATION)} && self.matches('[1-9]')",
                "write a duration above zero in hours, minutes and seconds, like 30s, 5m, 2h or 1h30m",
            ),
            rule(
                f"!({matching(_DURATION)} && self.matches('[1-9]')) || duration(self) <= duration('8760h')",
                "write a duration of at most a year (8760h)",
            ),
            type="string",
            maxLength=24,
            format=None,
        )
    ),
]
"""Hours, minutes and seconds in this order, at most a year."""


# --- Names and addresses ------------------------------------------------------------------------------------------

_BUCKET = "^s3://[a-z0-9][-a-z0-9.]{1,61}[a-z0-9](/|$)"

_S3_RULES = (
    rule(
        "!self.matches('^[A-Za-z0-9+.-]*://[^/]*@')",
        "a URI carries no credentials: name a Secret in secretName instead",
    ),
    rule(
        "self.startsWith('s3://')",
        "write an S3 URI, like s3://bucket/path/ (other schemes are not supported)",
    ),
    rule(
        "!self.contains('?') && !self.contains('#')",
        "write the URI without a query or a fragment: endpoint and region belong to the Secret's annotations",
    ),
    rule(
        "!self.matches('(^|/)[.][.]?(/|$)')",
        "write the URI without . or .. as a part of its path",
    ),
    rule(
        f"!self.startsWith('s3://') || ({matching(_BUCKET)} && !self.matches('^s3://[^/]*[.][.]'))",
        "write s3:// and a bucket's name (3 to 63 lower-case letters, digits, dots and hyphens), then /path",
    ),
    rule(
        matching(r"^[^\pZ\pC%\\]*$"),
        "write the path as the objects' keys are, without spaces, control characters, percent signs and backslashes",
    ),
    rule(
        "!self.contains('{{')",
        "write the path without {{: Kubeflow Pipelines takes what follows for the name of a variable",
    ),
    rule(
        "!self.matches('^[^:]*://[^/]*/(.*/)?/')",
        "write the path without empty parts (//)",
    ),
)
_PREFIX_RULE = rule(
    "self.size() <= 640",
    "write a prefix of at most 640 characters: an object's whole key has at most 1024 bytes",
)

S3Uri = Annotated[str, Field(max_length=1024, json_schema_extra=rules(*_S3_RULES))]
"""``s3://bucket/path``. ``%`` is refused because readers disagree whether it is an escape."""
S3Prefix = Annotated[str, Field(max_length=1024, json_schema_extra=rules(*_S3_RULES, _PREFIX_RULE))]
"""The same, with room for what is written below it."""

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
OBJECT_NAME = f"^{_DNS_LABEL}([.]{_DNS_LABEL})*$"
"""Name of an object of Kubernetes."""

Name = Annotated[
    str,
    StringConstraints(max_length=253),
    Field(
        json_schema_extra=rules(
            rule(
                matching(OBJECT_NAME),
                "write the name alone, in lower-case letters, digits, hyphens and dots (absent means the default)",
            )
        )
    ),
]
"""Name of another object. Never a path: nothing reaches out of the namespace."""

QUERY_NAME = f"^{_DNS_LABEL}$"
"""Name of one of the administrator's queries."""

QueryName = Annotated[
    str,
    StringConstraints(max_length=63),
    Field(
        json_schema_extra=rules(
            rule(
                matching(QUERY_NAME),
                "write the name of a query that the administrator has defined, in lower-case letters, digits and hyphens: "
                "PromQL is not taken",
            )
        )
    ),
]

_REPOSITORY = "[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"

Image = Annotated[
    str,
    StringConstraints(max_length=512),
    Field(
        json_schema_extra=rules(
            rule(
                matching(
                    f"^([A-Za-z0-9][-A-Za-z0-9.]*(:[0-9]{{1,5}})?/)?{_REPOSITORY}(/{_REPOSITORY})*"
                    "(:[A-Za-z0-9_][-A-Za-z0-9._]{0,127})?(@sha256:[0-9a-f]{64})?$"
                ),
                "write an image reference, like registry.example/trainer:1 or registry.example/trainer@sha256:<digest>",
            )
        )
    ),
]

Module = Annotated[
    str,
    StringConstraints(max_length=253),
    Field(
        json_schema_extra=rules(
            rule(
                f"{matching('^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*$')} && !self.endsWith('.py')",
                "write the name of a Python module, like mypackage.mymodule (no path, no .py, no function)",
            )
        )
    ),
]

_VERSION = "(===|==|>=|<=|~=|!=|<|>) *[-A-Za-z0-9.*+!_]+"
_PACKAGE = (
    r"^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?( *\[[-A-Za-z0-9._, ]+\])?"
    rf"( *{_VERSION}( *, *{_VERSION})*)?"
    r"""( *; *[A-Za-z][-A-Za-z0-9_."\x27<>=!~() ]*)?$"""
)

Package = Annotated[
    str,
    StringConstraints(max_length=253),
    Field(
        json_schema_extra=rules(
            rule(
                f"{matching(_PACKAGE)} && !self.matches('^[^ ;=<>~!]*[.](whl|zip|tar|gz|bz2|xz|tgz)$')",
                "write a package's name and version, like albumentations==2.0.8 (no URLs, files or pip options)",
            )
        )
    ),
]
"""A requirement of pip by name: extras, versions and markers, but nothing that pip would take from elsewhere."""


# --- Labels and annotations ---------------------------------------------------------------------------------------

_NAME_PART = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
KEY = f"^([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME_PART}$"
"""Key of a label, an annotation, a taint or a resource."""
LABEL_VALUE = f"^({_NAME_PART})?$"

LABEL_VALUE_RULE = rule(
    matching(LABEL_VALUE),
    "write a label value: at most 63 letters, digits, -, _ and ., starting and ending with a letter or digit",
)
_KEYS_RULE = rule(
    f"self.all(k, {matching(KEY, 'k')})",
    "write each key as an optional DNS prefix and a slash, then at most 63 letters, digits, -, _ and .",
)
_OWN_KEYS_RULE = rule(
    "self.all(k, !k.matches('^(pipeline|pipelines[.]kubeflow[.]org|workflows[.]argoproj[.]io)/'))",
    "write labels of your own: pipeline/, pipelines.kubeflow.org/ and workflows.argoproj.io/ belong to the platform",
)

_LabelValue = Annotated[
    str, StringConstraints(max_length=63), Field(json_schema_extra=rules(LABEL_VALUE_RULE))
]

Labels = Annotated[dict[str, _LabelValue], Field(max_length=16, json_schema_extra=rules(_KEYS_RULE))]
PodLabels = Annotated[
    dict[str, _LabelValue], Field(max_length=16, json_schema_extra=rules(_KEYS_RULE, _OWN_KEYS_RULE))
]
Annotations = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=1024)]],
    Field(max_length=16, json_schema_extra=rules(_KEYS_RULE)),
]


# --- Quantities ---------------------------------------------------------------------------------------------------

_CPU = "^([0-9]{1,6}([.][0-9]{1,3})?|[.][0-9]{1,3}|[0-9]{1,9}m)$"
_CPU_TEXT = "string(self['cpu'])"
_UNIT = "(k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)"
_BYTES = f"^([0-9]{{1,15}}{_UNIT}?|[0-9]{{1,12}}[.][0-9]{{1,9}}{_UNIT})$"
_WHOLE_BYTES = f"^[0-9]{{1,15}}{_UNIT}?$"

Quantity = Annotated[
    int | str,
    Field(
        json_schema_extra={
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 24,
        }
    ),
]
Quantities = Annotated[
    dict[str, Quantity],
    Field(
        max_length=8,
        json_schema_extra=rules(
            rule(
                f"self.all(k, k in ['cpu', 'memory', 'ephemeral-storage'] || k.startsWith('hugepages-') || (k.contains('/') && {matching(KEY, 'k')}))",
                "write each key as cpu, memory, ephemeral-storage or a device's full name, like nvidia.com/gpu",
            ),
            rule(
                f"!('cpu' in self) || {matching(_CPU, _CPU_TEXT)}",
                "write cpu as a number of cores or millicores, like 2, '0.5' or 500m",
            ),
            rule(
                f"self.all(k, k == 'cpu' || k.contains('/') || {matching(_BYTES, 'string(self[k])')})",
                "write memory and storage as a number of bytes, not negative, with an optional unit, like 512Mi or 8Gi",
            ),
            rule(
                "self.all(k, !k.contains('/') || string(self[k]).matches('^[0-9]{1,6}$'))",
                "write the number of devices as a whole number, not negative, without a unit",
            ),
        ),
    ),
]

RESOURCES_RULES = (
    rule(
        "!has(self.limits) || !has(self.requests) || self.requests.all(k, !(k in self.limits)"
        " || !isQuantity(string(self.requests[k])) || !isQuantity(string(self.limits[k]))"
        " || !quantity(string(self.requests[k])).isGreaterThan(quantity(string(self.limits[k]))))",
        "write requests that are not above the limits",
    ),
    rule(
        "!has(self.requests) || self.requests.all(k, !k.contains('/')"
        " || (has(self.limits) && k in self.limits && string(self.requests[k]) == string(self.limits[k])))",
        "write devices, such as nvidia.com/gpu, in limits: requests of them may only say the same",
    ),
)
"""What Kubernetes would refuse in the pod, long after the resource was accepted."""

TRAINING_RESOURCES_RULES = (
    RESOURCES_RULES[0],
    rule(
        "!has(self.limits) || self.limits.all(k, k in ['cpu', 'memory'] || k.contains('/'))",
        "in training.resources.limits write cpu, memory and at most one accelerator, such as nvidia.com/gpu",
    ),
    rule(
        "!has(self.limits) || self.limits.filter(k, k.contains('/')).size() <= 1",
        "write one accelerator at most: a Kubeflow pipeline step takes one kind",
    ),
    rule(
        "!has(self.requests) || self.requests.all(k, k in ['cpu', 'memory'])",
        "in training.resources.requests write only cpu and memory: an accelerator belongs to the limits",
    ),
    rule(
        " && ".join(
            f"(!has(self.{part}) || !('memory' in self.{part}) || !{matching(_BYTES, memory)} || {matching(_WHOLE_BYTES, memory)})"
            for part in ("limits", "requests")
            for memory in (f"string(self.{part}['memory'])",)
        ),
        "in training.resources write memory without a fraction, like 1536Mi for 1.5Gi: a Kubeflow pipeline step takes none",
    ),
)
