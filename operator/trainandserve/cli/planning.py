"""What comes next, and what a change would do: `plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..resource import API_VERSION, KIND, Change, NextStep, Outlook, TrainAndServe
from .applying import application
from .cluster import Json
from .errors import NotFound, NotNow, WrongInput
from .foresight import Effect, Foresight, foresight
from .options import ResourceName, asks_cluster, output
from .session import Session, parse, print_data
from .status_screen import section
from .words import when

_MEANS = {
    "training": "trains a new version",
    "evaluation": "evaluates the newest version again",
    "gate": "judges again",
    "serving": "changes the model server",
    "none": "",
}


@click.command(short_help="Show what comes next, or what a change would do.")
@click.argument("name", type=ResourceName(), metavar="[NAME]", required=False)
@click.option(
    "-f",
    "--filename",
    type=click.Path(path_type=Path, allow_dash=True),
    help="File with one TrainAndServe, not applied yet; - is standard input.",
)
@output
@asks_cluster
def plan(session: Session, name: str | None, filename: Path | None, output: str) -> None:
    """Show what the operator will do next with a resource, and why.

    With --filename: what it would do if this were applied. The API server checks the change and fills in what others set (a
    dry run), and the operator's own decision is made on the answer. Nothing is written.
    """
    if (name is None) == (filename is None):
        raise click.UsageError("give a NAME or --filename, and not both")
    if filename is None:
        _next(session, str(name), output)
    else:
        _if_applied(session, filename, output)


def _next(session: Session, name: str, output: str) -> None:
    resource, body = session.get(name)
    found = resource.status.plan
    if found is None:
        raise NotNow(
            f"the operator has not said what it will do with {name}: it has not looked at it, or it is being deleted"
        )
    if output == "table":
        session.show(steps(found, session))
    else:
        print_data(body["status"]["plan"], output)


def steps(found: Outlook, session: Session) -> RenderableType:
    """The steps in their order, and the fields that changed."""
    parts: list[RenderableType] = [section("Next", _steps(found.steps, session))]
    if found.changes:
        parts += [Text(), section("Training inputs that changed", changes_table(found.changes, session))]
    if found.further_changes:
        parts.append(Text(f"  and {found.further_changes} more", style="dim"))
    return Group(*parts)


def _steps(found: list[NextStep], session: Session) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for step in found:
        words = Text(step.message)
        if step.not_before:
            words.append(f" ({when(step.not_before, session.now)})", style="cyan")
        if step.deadline:
            words.append(f" (given up {when(step.deadline, session.now)})", style="dim")
        grid.add_row(step.action, words)
    return grid


def changes_table(changes: list[Change], session: Session) -> Table:
    """Fields before and after, and what each change means."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold", style="dim")
    for one in changes:
        values = f"{one.before or 'absent'} {session.marks.then} {one.after or 'absent'}"
        grid.add_row(escape(one.field), escape(values), _MEANS.get(one.hash, ""))
    return grid


# --- A change that is not applied yet -----------------------------------------------------------------------------


def _if_applied(session: Session, filename: Path, output: str) -> None:
    new = read(filename)
    cluster = session.cluster
    wanted = new["metadata"].setdefault("namespace", cluster.namespace)
    if session.where.namespace and wanted != session.where.namespace:
        raise WrongInput(
            f"{filename} is for namespace {wanted}, and --namespace says {session.where.namespace}"
        )
    cluster.namespace = wanted
    name = str(new["metadata"]["name"])
    try:
        live: Json | None = cluster.get(name)
    except NotFound:
        live = None
    answer = cluster.would_apply(name, application(new, live))
    before = parse(live) if live else None
    found = foresight(before, parse(answer), session.now)
    if output == "table":
        session.show(_shown(found, name, before, session))
    else:
        print_data(_as_data(found), output)


def read(filename: Path) -> Json:
    """The one TrainAndServe of a file.

    Raises
    ------
    WrongInput
        The file cannot be read, or has not exactly one.
    """
    try:
        with click.open_file(str(filename)) as file:
            documents = list(yaml.safe_load_all(file))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WrongInput(f"{filename}: {error}") from error
    found = [one for one in documents if isinstance(one, dict) and one.get("kind") == KIND]
    if len(found) != 1:
        raise WrongInput(f"{filename}: write one {KIND} into the file; it has {len(found)}")
    if found[0].get("apiVersion") != API_VERSION or not (found[0].get("metadata") or {}).get("name"):
        raise WrongInput(f"{filename}: write apiVersion: {API_VERSION} and a metadata.name")
    found[0].pop("status", None)
    body: Json = found[0]
    return body


def _shown(found: Foresight, name: str, before: TrainAndServe | None, session: Session) -> RenderableType:
    what = "is changed" if before else "is created"
    parts: list[RenderableType] = [
        Text.assemble(
            (name, "bold"), "  ", (session.cluster.namespace, "dim"), f"  {what} if this is applied"
        )
    ]
    if before is not None:
        table = changes_table(list(found.changes), session) if found.changes else Text("none")
        parts += [Text(), section("Changes", table)]
    parts += [
        Text(),
        section("Does", _effects(found.effects)),
        Text(),
        section("Next", _steps(found.outlook.steps, session)),
    ]
    return Group(*parts, Text(), Text("nothing was written", style="dim"))


def _effects(effects: tuple[Effect, ...]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for one in effects:
        grid.add_row(one.kind, Text(one.message))
    return grid


def _as_data(found: Foresight) -> dict[str, Any]:
    return {
        "changes": [one.dump() for one in found.changes],
        "effects": [{"kind": one.kind, "message": one.message} for one in found.effects],
        "plan": found.outlook.dump(),
    }
