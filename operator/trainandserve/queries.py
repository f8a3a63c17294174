"""The administrator's queries: templates of PromQL, of which the operator alone fills in whom they are about. Pure.

A resource names one and gives bounds. It never writes PromQL, so no author reads what a query was not made to show; and what
is filled in is only ever a name that Kubernetes gave, a duration, or a pattern made of such a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from .durations import format_duration
from .fields import QUERY_NAME
from .query_scope import ScopeError, check_scope

PLACEHOLDERS = ("namespace", "service", "revision", "pods", "interval")
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_LABEL = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_MOST = 100
_LONGEST = 8192

_POD_NAME_BASE = 58
"""So much of its owner's name, at most, is in the name of a pod, before five letters and digits of its own:
k8s.io/apiserver, names.SimpleNameGenerator."""
_HASH = 10
"""Most letters of the hash of its template in a ReplicaSet's name."""


class QueriesError(ValueError):
    """The administrator's queries cannot be taken; the message names the query and says why."""


@dataclass(frozen=True)
class Subject:
    """What a measurement is about.

    Attributes
    ----------
    service
        Name of the InferenceService.
    deployment
        Name of the Deployment whose pods are the version's.
    revision
        Name of the Knative revision; empty in Standard mode.
    interval
        What the query looks back on.
    """

    namespace: str
    service: str
    deployment: str
    revision: str
    interval: timedelta


@dataclass(frozen=True)
class Query:
    """One query of the administrator."""

    name: str
    template: str
    description: str = ""

    @property
    def by_revision(self) -> bool:
        """Whether it is about a Knative revision."""
        return "revision" in _PLACEHOLDER.findall(self.template)

    def about(self, subject: Subject) -> str:
        """The PromQL that measures this subject.

        Raises
        ------
        QueriesError
            A name is none that could have come from Kubernetes.
        """
        values = {
            "namespace": _label(subject.namespace),
            "service": _label(subject.service),
            "revision": _label(subject.revision) if self.by_revision else "",
            "pods": pods_pattern(_label(subject.deployment)),
            "interval": format_duration(subject.interval),
        }
        return _PLACEHOLDER.sub(lambda match: values[match[1]], self.template)


def _label(name: str) -> str:
    """A name, if it has nothing in it that means something in a matcher or a regular expression."""
    if len(name) > 253 or _LABEL.fullmatch(name) is None:
        raise QueriesError(f"{name[:80]!r} is no name to measure by")
    return name


def pods_pattern(deployment: str) -> str:
    """A regular expression of the names of a Deployment's pods, and of no other one's in the namespace."""
    if len(f"{deployment}-") + _HASH + 1 <= _POD_NAME_BASE:
        return f"{deployment}-[a-z0-9]+-[a-z0-9]{{5}}"
    return f"{f'{deployment}-'[:_POD_NAME_BASE]}[-a-z0-9]*"


class _Written(BaseModel):
    """One query as the file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST)]
    description: Annotated[str, StringConstraints(max_length=1024)] = ""


_FILE = TypeAdapter(
    Annotated[
        dict[Annotated[str, StringConstraints(pattern=QUERY_NAME, max_length=63)], _Written],
        Field(max_length=_MOST),
    ]
)


def read_queries(text: str, labels: Sequence[str]) -> Mapping[str, Query]:
    """The queries of a file, each checked to read only the namespace that it is asked about.

    Parameters
    ----------
    text
        YAML: by name, ``query`` and, if wanted, ``description``.
    labels
        The labels that say a series' namespace.

    Raises
    ------
    QueriesError
        The file is not that, or a query may read more.
    """
    try:
        written = _FILE.validate_python(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise QueriesError(f"it is no YAML: {' '.join(str(error).split())[:200]}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise QueriesError(f"{place}: {first['msg']}") from error
    return {name: _checked(Query(name, one.query, one.description), labels) for name, one in written.items()}


def _checked(query: Query, labels: Sequence[str]) -> Query:
    try:
        check_scope(query.template, labels)
    except ScopeError as error:
        raise QueriesError(f"{query.name}: {error}") from error
    if unknown := set(_PLACEHOLDER.findall(query.template)) - set(PLACEHOLDERS):
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise QueriesError(f"{query.name}: {{{min(unknown)}}} is not known: there are {known}")
    return query
