"""A change to a resource: said first, refused where Git keeps it, then made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click

from ..resource import KIND
from .cluster import Json
from .errors import FromGit
from .gitops import Keeper, for_git, keeper
from .session import Session


@dataclass(frozen=True)
class Wanted:
    """A change, as a merge patch, and what the operator makes of it."""

    patch: Json
    then: str


@dataclass(frozen=True)
class Manner:
    """How a change is made."""

    dry_run: bool = False
    force: bool = False


def change(session: Session, name: str, body: Json, wanted: Wanted, manner: Manner) -> None:
    """Say what changes, and change it.

    Raises
    ------
    FromGit
        Argo CD or Flux keeps the resource, and `force` is not set: the lines for Git are printed instead.
    """
    kept_by = keeper(body)
    if kept_by is not None and not manner.force:
        click.echo(for_git(wanted.patch), nl=False)
        raise FromGit(_refusal(name, kept_by))
    click.echo(f"{KIND.lower()}/{name} in {session.cluster.namespace}:")
    for line in differences(wanted.patch, body):
        click.echo(f"  {line}")
    if kept_by is not None:
        session.say(f"warning: {kept_by} keeps it from Git, and may take this back")
    session.cluster.patch(name, wanted.patch, dry_run=manner.dry_run)
    if manner.dry_run:
        click.echo("the API server would take it; nothing was changed (dry run)")
    else:
        click.echo(f"changed; {wanted.then}")


def _refusal(name: str, kept_by: Keeper) -> str:
    return (
        f"nothing was changed: {kept_by} keeps {name} from Git. Write the lines above into its manifest there, "
        "or change it here with --force"
    )


def differences(patch: Mapping[str, Any], body: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Each field that a merge patch sets, before and after: ``spec.suspend: absent → true``."""
    for name, value in patch.items():
        before = body.get(name) if isinstance(body, Mapping) else None
        here = f"{path}[{name}]" if "/" in name else f"{path}.{name}".lstrip(".")
        if isinstance(value, Mapping):
            yield from differences(value, before or {}, here)
        else:
            yield f"{here}: {_written(before)} -> {_written(value)}"


def _written(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False)
