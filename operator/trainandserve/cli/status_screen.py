"""The screen of one resource: phase, run, verdict, what serves, what is not fine, what comes next. Pure.

Everything is drawn for 80 columns and takes more where there is more; no meaning is in a colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..decide.history import GOOD
from ..decide.run import active, steps_of
from ..resource import Candidate, Check, Condition, HistoryEntry, Run, Status, TrainAndServe
from .advice import findings
from .words import Marks, bounds, moment, number, span, when

_PHASES = {
    "Serving": "green",
    "Failed": "red",
    "Suspended": "yellow",
    "Pending": "yellow",
    "AwaitingApproval": "yellow",
}
_BUSY = "cyan"
_LAST_VERSIONS = 5
_FACT = len("coming up")


def screen(resource: TrainAndServe, now: datetime, marks: Marks) -> RenderableType:
    """All of it, in the order in which one asks."""
    parts = [
        _head(resource, now, marks),
        *_serves(resource.status, now),
        *_run(resource, now, marks),
        *_verdict(resource, marks),
        *_analysis(resource.status, now, marks),
        *_wrong(resource, marks),
        *_next(resource.status, now),
        *_versions(resource.status, now, marks),
    ]
    return Group(*_spaced(parts))


def _spaced(parts: list[RenderableType]) -> Iterator[RenderableType]:
    for place, part in enumerate(parts):
        if place:
            yield Text()
        yield part


def section(title: str, *inner: RenderableType) -> RenderableType:
    """A part of a screen, with its title."""
    return Group(Text(title, style="bold"), *(Padding(one, (0, 0, 0, 2), expand=False) for one in inner))


# --- Head and served version --------------------------------------------------------------------------------------


def _head(resource: TrainAndServe, now: datetime, marks: Marks) -> RenderableType:
    phase = resource.status.phase or "Pending"
    colour = _PHASES.get(phase, _BUSY)
    ready = resource.status.condition("Ready")
    grid = Table.grid(expand=True, padding=(0, 2))
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    namespace, name = resource.key
    title = Text.assemble((name, "bold"), "  ", (namespace, "dim"))
    grid.add_row(title, Text.assemble((f"{marks.busy} {phase}", colour), "  ", _ready(ready, marks)))
    lines: list[RenderableType] = [grid]
    told = {one.condition.reason for one in findings(resource.status)}
    if ready is None:
        lines.append(
            Text("the operator has not looked at it yet: does one run, and look after this namespace?")
        )
    elif ready.reason not in told:
        lines.append(Text(ready.message))
    if ready is not None and resource.status.observed_generation != resource.metadata.generation:
        lines.append(Text("the newest edit was not looked at yet", style="yellow"))
    if resource.metadata.deletion_timestamp:
        since = when(resource.metadata.deletion_timestamp, now)
        lines.append(Text(f"deletion was asked for {since}", style="yellow"))
    return Group(*lines)


def _ready(ready: Condition | None, marks: Marks) -> Text:
    if ready is None:
        return Text("not seen yet", style="yellow")
    if ready.status == "True":
        return Text(f"{marks.good} Ready", style="green")
    return Text(f"{marks.bad} not Ready", style="red")


def _serves(status: Status, now: datetime) -> Iterator[RenderableType]:
    served = status.served
    if served is None or served.version is None:
        return
    grid = _facts()
    since = f"since {moment(served.since)} ({span(now - served.since)})" if served.since else ""
    pinned = ", pinned" if status.pin is not None and status.pin.run_id == served.run_id else ""
    grid.add_row("version", f"{served.version}{pinned}  {since}")
    if served.url:
        grid.add_row("url", _link(served.url))
    if served.metrics:
        grid.add_row("metrics", _metrics(served.metrics))
    if served.observed:
        grid.add_row("observed", served.observed)
    if served.target is not None and served.target.run_id != served.run_id:
        grid.add_row("coming up", f"version {served.target.version}, since {span(now - served.target.since)}")
    yield section("Serves", grid)


def _facts() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=_FACT)
    grid.add_column(overflow="fold")
    return grid


def _link(url: str) -> Text:
    """An address; a terminal opens it even where a narrow screen breaks it."""
    return Text(url, style=f"link {url}", overflow="fold")


def _metrics(metrics: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in list(metrics.items())[:6])


# --- The run ------------------------------------------------------------------------------------------------------


def _run(resource: TrainAndServe, now: datetime, marks: Marks) -> Iterator[RenderableType]:
    run = resource.status.run
    if run is None:
        return
    grid = _facts()
    if run.only_evaluates:
        grid.add_row("kind", "evaluation of a version that was made before; nothing is trained")
    grid.add_row("version", f"{run.version}, attempt {run.attempt}: {run.reason}")
    if active(resource.status):
        grid.add_row("state", _state(run, now))
        grid.add_row("steps", _steps(resource, run, marks))
    else:
        took = f" after {span(run.finished_at - run.submitted_at)}" if run.finished_at else ""
        ended = f", {when(run.finished_at, now)}" if run.finished_at else ""
        grid.add_row("state", Text(f"{run.state}{took}{ended}", style=_end_colour(run)))
    if run.message:
        grid.add_row("says", Text(run.message, style="yellow" if run.state != "Failed" else "red"))
    grid.add_row("id", run.id)
    if run.url:
        grid.add_row("url", _link(run.url))
    yield section("Run", grid)


def _state(run: Run, now: datetime) -> str:
    since = run.started_at or run.submitted_at
    return f"{run.state} for {span(now - since)}"


def _end_colour(run: Run) -> str:
    return {"Succeeded": "green", "Failed": "red", "Lost": "red"}.get(run.state, "")


def _steps(resource: TrainAndServe, run: Run, marks: Marks) -> Text:
    """Each step as done, under way, or to come: ``✓ download  ● train  evaluate  export   1/4``."""
    steps = steps_of(resource, run)
    done = _done(run)
    text = Text()
    for place, step in enumerate(steps):
        if step == run.step:
            text.append(f"{marks.busy} {step}", style=f"{_BUSY} bold")
        elif place < done:
            text.append(f"{marks.good} {step}", style="green")
        else:
            text.append(step, style="dim")
        text.append("  ")
    text.append(f"{done}/{len(steps)}")
    return text


def _done(run: Run) -> int:
    head, _, tail = (run.progress or "").partition("/")
    return int(head) if tail and head.isdigit() else 0


# --- The verdict --------------------------------------------------------------------------------------------------


def _verdict(resource: TrainAndServe, marks: Marks) -> Iterator[RenderableType]:
    candidate = resource.status.candidate
    if candidate is None or candidate.verdict is None:
        return
    verdict = candidate.verdict
    head = Text.assemble(
        "version ",
        (str(candidate.version), "bold"),
        ": ",
        (verdict.reason, "green" if verdict.accepted else "red"),
    )
    if candidate.samples:
        head.append(f", on {candidate.samples} samples")
    if not verdict.checks:
        yield section("Verdict", head, Text(verdict.message))
        return
    yield section("Verdict", head, _checks(resource, candidate, verdict.checks, marks))


def _checks(resource: TrainAndServe, candidate: Candidate, checks: list[Check], marks: Marks) -> Table:
    before = f"version {candidate.incumbent.version}" if candidate.incumbent else "incumbent"
    found = table()
    found.add_column("metric", overflow="fold")
    found.add_column("bound", overflow="fold")
    found.add_column("value", justify="right", no_wrap=True)
    found.add_column(before, justify="right", no_wrap=True)
    found.add_column("change", justify="right", no_wrap=True)
    found.add_column("result", no_wrap=True)
    for check in checks:
        result = _result(check, marks)
        bound = bounds(check, marks)
        found.add_row(
            escape(check.name), bound, number(check.value), number(check.incumbent), _change(check), result
        )
    return found


def _analysis(status: Status, now: datetime, marks: Marks) -> Iterator[RenderableType]:
    """What was measured of the version that is rolled out, else of the newest one while it was."""
    verdict = status.candidate.verdict if status.candidate else None
    found = (status.rollout.analysis if status.rollout else verdict.analysis if verdict else None) or []
    if not found:
        return
    rows = table()
    rows.add_column("query", overflow="fold")
    rows.add_column("bound", overflow="fold")
    rows.add_column("value", justify="right", no_wrap=True)
    rows.add_column("failed", justify="right", no_wrap=True)
    rows.add_column("last", no_wrap=True)
    for one in found:
        last = one.state or (f"first {when(one.next_at, now)}" if one.next_at else "-")
        counts = f"{one.failed} of {one.measured}"
        rows.add_row(escape(one.query), bounds(one, marks), number(one.value), counts, last)
    yield section("Analysis", rows)


def _result(check: Check, marks: Marks) -> Text:
    if check.inconclusive:
        return Text(f"{marks.busy} unclear", style="yellow")
    return (
        Text(f"{marks.good} passed", style="green")
        if check.passed
        else Text(f"{marks.bad} missed", style="red")
    )


def _change(check: Check) -> str:
    return "-" if check.difference is None else f"{check.difference:+.3g}"


def table() -> Table:
    """A plain table, as narrow as its content."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")


# --- What is not fine ---------------------------------------------------------------------------------------------


def _wrong(resource: TrainAndServe, marks: Marks) -> Iterator[RenderableType]:
    found = findings(resource.status)
    if not found:
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for one in found:
        grid.add_row(
            Text(marks.bad, style="red"),
            Text.assemble((one.condition.reason, "bold"), f": {one.condition.message}"),
        )
        grid.add_row(
            Text(marks.then, style="cyan"), Text(one.advice.replace("=NAME", f"={resource.metadata.name}"))
        )
    yield section("To look at", grid)


# --- What comes next ----------------------------------------------------------------------------------------------


def _next(status: Status, now: datetime) -> Iterator[RenderableType]:
    """The next step beyond the run under way, in one line or two; `plan` tells the rest."""
    steps = status.plan.steps if status.plan else []
    if active(status) and steps and steps[0].action == "Train":
        steps = steps[1:]
    if not steps:
        return
    step = steps[0]
    words = Text(step.message)
    if step.not_before:
        words.append(f" ({when(step.not_before, now)})", style="cyan")
    yield section("Next", words)


# --- Versions -----------------------------------------------------------------------------------------------------


def _versions(status: Status, now: datetime, marks: Marks) -> Iterator[RenderableType]:
    if status.history:
        yield section("Last versions", versions(status, status.history[:_LAST_VERSIONS], now, marks))


def versions(
    status: Status, entries: list[HistoryEntry], now: datetime, marks: Marks, *, reasons: bool = False
) -> Table:
    """Versions of the past, newest first; the one that serves is marked. `reasons` tells why each was trained."""
    found = table()
    found.add_column("version", no_wrap=True)
    found.add_column("verdict", no_wrap=True)
    found.add_column("metrics", overflow="fold", ratio=1)
    if reasons:
        found.add_column("trained because", overflow="fold", ratio=1)
    found.add_column("judged", no_wrap=True, justify="right")
    serving = status.served.run_id if status.served else None
    for entry in entries:
        name = Text(f"{entry.version}")
        if entry.run_id == serving:
            name.append(f" {marks.busy} serves", style="green")
        verdict = Text(entry.verdict, style="green" if entry.verdict in GOOD else "red")
        why = (Text(entry.trigger or "-"),) if reasons else ()
        found.add_row(name, verdict, _metrics(entry.metrics), *why, when(entry.at, now))
    return found
