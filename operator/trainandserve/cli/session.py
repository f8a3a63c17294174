"""What a command works with: the API server, the terminal and the time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import click
import yaml
from pydantic import ValidationError
from rich.console import Console, RenderableType

from ..resource import KIND, TrainAndServe
from .cluster import Cluster, Json, Where
from .errors import CliError
from .words import Marks

Connect = Callable[[Where], Cluster]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Surroundings:
    """What a command is started in; tests give it others."""

    connect: Connect = Cluster.connected
    now: Callable[[], datetime] = _now
    width: int | None = None
    """Columns; None: those of the terminal, 80 where there is none."""


@dataclass(frozen=True)
class Session:
    """One command's way to the cluster and to the screen."""

    surroundings: Surroundings
    where: Where = field(default_factory=Where)

    @cached_property
    def cluster(self) -> Cluster:
        """The API server; connected to when it is first asked."""
        return self.surroundings.connect(self.where)

    @cached_property
    def console(self) -> Console:
        """The terminal: plain text where it is none, no colours with NO_COLOR."""
        return Console(width=self.surroundings.width, highlight=False)

    @property
    def marks(self) -> Marks:
        """Signs that the output can carry."""
        return Marks.of(self.console.encoding)

    @property
    def now(self) -> datetime:
        """The time."""
        return self.surroundings.now()

    def get(self, name: str) -> tuple[TrainAndServe, Json]:
        """A resource, read, and as the API server has it."""
        body = self.cluster.get(name)
        return parse(body), body

    def show(self, *parts: RenderableType) -> None:
        """Draw on the screen."""
        self.console.print(*parts)

    def say(self, text: str) -> None:
        """Say a line to the person, beside what is data."""
        click.echo(text, err=True)


def parse(body: Json) -> TrainAndServe:
    """A resource from the API server's answer.

    Raises
    ------
    CliError
        It is of a newer definition than this program.
    """
    try:
        return TrainAndServe.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CliError(
            f"this {KIND} cannot be read: {where}: {first['msg']}; is this program older than the definition?"
        ) from error


def print_data(value: Any, form: str) -> None:
    """Print data as JSON or YAML."""
    if form == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        yaml.safe_dump(value, sys.stdout, sort_keys=False, allow_unicode=True, width=100)
