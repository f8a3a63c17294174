"""Commands that look: `status`, `history`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..resource import TrainAndServe
from .advice import findings
from .cluster import Json
from .errors import CliError, NotFound
from .options import asks_cluster, maybe_resource_name, output, resource_name
from .session import Session, parse, print_data
from .status_screen import screen, table, versions
from .words import span

_LOOK_SECONDS = 2.0
_DRAW_SECONDS = 0.5


@click.command(short_help="Show how a resource is, and what to do.")
@maybe_resource_name
@click.option("-A", "--all-namespaces", is_flag=True, help="List the resources of all namespaces.")
@click.option("-w", "--watch", is_flag=True, help="Keep looking until Ctrl-C, or until the resource is gone.")
@output
@asks_cluster
def status(session: Session, name: str | None, all_namespaces: bool, watch: bool, output: str) -> None:
    """Show how a resource is: what serves, the run, the verdict, what is not fine and what to do about it.

    Without a NAME: all resources of the namespace, one line each.
    """
    if name is None:
        if watch:
            raise click.UsageError("--watch needs a NAME")
        _list(session, all_namespaces, output)
    elif watch:
        if output != "table":
            raise click.UsageError("--watch draws a screen: leave --output away")
        _watch(session, name)
    elif output == "table":
        resource, _ = session.get(name)
        session.show(screen(resource, session.now, session.marks))
    else:
        resource, body = session.get(name)
        print_data(_as_data(resource, body), output)


def _as_data(resource: TrainAndServe, body: Json) -> Json:
    found = body.get("metadata", {})
    kept = {
        key: found[key]
        for key in ("name", "namespace", "uid", "generation", "resourceVersion")
        if key in found
    }
    advice = [{"reason": one.condition.reason, "do": one.advice} for one in findings(resource.status)]
    return {"metadata": kept, "status": body.get("status") or {}, "advice": advice}


# --- All of a namespace -------------------------------------------------------------------------------------------


def _list(session: Session, all_namespaces: bool, output: str) -> None:
    bodies = session.cluster.all(all_namespaces=all_namespaces)
    resources = [(parse(body), body) for body in bodies]
    if output != "table":
        print_data([_as_data(*one) for one in resources], output)
    elif not resources:
        place = "any namespace" if all_namespaces else f"namespace {session.cluster.namespace}"
        session.say(f"no resources in {place}")
    else:
        session.show(_overview(session, [resource for resource, _ in resources], all_namespaces))


def _overview(session: Session, resources: list[TrainAndServe], all_namespaces: bool) -> Table:
    found = table()
    for title in (*(("namespace",) if all_namespaces else ()), "name", "ready", "phase"):
        found.add_column(title, overflow="fold")
    found.add_column("serves", justify="right")
    found.add_column("newest", justify="right")
    for title in ("metric", "run"):
        found.add_column(title)
    found.add_column("age", justify="right", no_wrap=True)
    for resource in resources:
        row = _row(resource, session)
        found.add_row(*((resource.metadata.namespace, *row) if all_namespaces else row))
    return found


def _row(resource: TrainAndServe, session: Session) -> tuple[RenderableType, ...]:
    status, marks = resource.status, session.marks
    ready = status.condition("Ready")
    good = ready is not None and ready.status == "True"
    created = resource.metadata.creation_timestamp
    return (
        resource.metadata.name,
        Text(f"{marks.good} yes", style="green") if good else Text(f"{marks.bad} no", style="red"),
        status.phase or "Pending",
        str(status.served.version) if status.served and status.served.version else "-",
        str(status.candidate.version) if status.candidate else "-",
        status.summary or "-",
        (status.run.progress or status.run.state) if status.run else "-",
        span(session.now - created) if created else "-",
    )


# --- Watching -----------------------------------------------------------------------------------------------------


def _watch(session: Session, name: str) -> None:
    """Draw the screen anew while it changes; in a file, only when it does."""
    first, _ = session.get(name)
    if not session.console.is_terminal:
        _watch_as_text(session, name)
        return
    with Live(console=session.console, auto_refresh=False, screen=True) as live:
        for resource, trouble in _looks(session, name, first):
            live.update(_drawn(session, resource, trouble), refresh=True)
    session.say(f"{name} is gone")


def _drawn(session: Session, resource: TrainAndServe, trouble: str) -> RenderableType:
    drawn = screen(resource, session.now, session.marks)
    foot = Text("Ctrl-C ends this", style="dim") if not trouble else Text(trouble, style="red")
    return Group(drawn, Text(), foot)


def _looks(session: Session, name: str, resource: TrainAndServe) -> Iterator[tuple[TrainAndServe, str]]:
    """The resource again and again, and why it could not be looked at; ends when it is gone."""
    looked, seen, trouble = time.monotonic(), session.now, ""
    while True:
        yield resource, trouble
        time.sleep(_DRAW_SECONDS)
        if time.monotonic() < looked + _LOOK_SECONDS:
            continue
        looked = time.monotonic()
        try:
            resource, seen, trouble = session.get(name)[0], session.now, ""
        except NotFound:
            return
        except CliError as error:
            trouble = f"this is {span(session.now - seen)} old: {error}"


def _watch_as_text(session: Session, name: str) -> None:
    seen = None
    while True:
        try:
            resource, body = session.get(name)
        except NotFound:
            session.say(f"{name} is gone")
            return
        if body["metadata"]["resourceVersion"] != seen:
            seen = body["metadata"]["resourceVersion"]
            session.show(screen(resource, session.now, session.marks), Text("-" * 40))
        time.sleep(_LOOK_SECONDS)


# --- History ------------------------------------------------------------------------------------------------------


@click.command(short_help="Show the past versions.")
@resource_name
@output
@asks_cluster
def history(session: Session, name: str, output: str) -> None:
    """Show the past versions, newest first, with verdict and metrics."""
    resource, body = session.get(name)
    entries = resource.status.history
    if output != "table":
        print_data((body.get("status") or {}).get("history") or [], output)
    elif not entries:
        session.say(f"{name}: no version was judged yet")
    else:
        session.show(versions(resource.status, entries, session.now, session.marks, reasons=True))
