"""Commands about which version serves: `approve`, `promote`, `rollback`."""

from __future__ import annotations

import click

from .. import reasons
from ..decide.approval import awaiting, token
from ..decide.history import GOOD
from ..names import APPROVE
from ..resource import Candidate, HistoryEntry, Status, TrainAndServe
from .changing import Manner, Wanted, change
from .cluster import Json
from .errors import NotNow
from .options import asks_cluster, dry_run, force, resource_name
from .session import Session


@click.command(short_help="Let the version be served that waits for approval.")
@resource_name
@dry_run
@force
@asks_cluster
def approve(session: Session, name: str, dry_run: bool, force: bool) -> None:
    """Approve the version that waits for a person, with just the result that is shown.

    The annotation that is set names the version and its result: were another one judged meanwhile, it would approve nothing.
    """
    resource, body = session.get(name)
    waits = awaiting(resource.status)
    if waits is None:
        raise NotNow(f"no version of {name} waits for approval")
    _say_what_is_approved(session, waits)
    change(session, name, body, _approval(resource, waits), Manner(dry_run, force))


def _say_what_is_approved(session: Session, waits: Candidate) -> None:
    verdict = waits.verdict
    session.say(f"version {waits.version}: {verdict.message if verdict else 'not judged'}")


def _approval(resource: TrainAndServe, waits: Candidate) -> Wanted:
    pinned = resource.spec.serve.pinned_version
    then = f"version {waits.version} is rolled out"
    if resource.spec.suspend:
        then += " when `resume` is called"
    elif pinned is not None:
        then = f"version {waits.version} is accepted; version {pinned} serves as long as it is pinned"
    return Wanted({"metadata": {"annotations": {APPROVE: token(waits)}}}, then)


@click.command(short_help="Serve the newest good version: take the pin away, or approve.")
@resource_name
@dry_run
@force
@asks_cluster
def promote(session: Session, name: str, dry_run: bool, force: bool) -> None:
    """Let the newest good version serve.

    Where a version is pinned, the pin is taken away, and the newest accepted version is served. Where none is pinned and one waits
    for approval, it is approved.
    """
    resource, body = session.get(name)
    waits = awaiting(resource.status)
    if resource.spec.serve.pinned_version is not None:
        change(session, name, body, _unpinning(resource, body), Manner(dry_run, force))
    elif waits is not None:
        _say_what_is_approved(session, waits)
        change(session, name, body, _approval(resource, waits), Manner(dry_run, force))
    else:
        raise NotNow(f"nothing to promote: no version of {name} is pinned, and none waits for approval")


def _unpinning(resource: TrainAndServe, body: Json) -> Wanted:
    # A section that held nothing but the pin goes with it: it would say nothing.
    serving = body["spec"]["serving"]
    patch: Json = {
        "spec": {"serving": None if set(serving) == {"pinnedVersion"} else {"pinnedVersion": None}}
    }
    newest = newest_good(resource.status)
    then = f"version {newest} is served again" if newest else "what serves stays: no version was accepted"
    return Wanted(patch, then)


def newest_good(status: Status) -> int | None:
    """The newest version that was accepted or approved, as far as the history goes."""
    return max((entry.version for entry in status.history if entry.verdict in GOOD), default=None)


@click.command(short_help="Serve a version of before, and hold it.")
@resource_name
@click.option(
    "--to", "version", type=click.IntRange(min=1), help="Version. Default: the one that served before."
)
@dry_run
@force
@asks_cluster
def rollback(session: Session, name: str, version: int | None, dry_run: bool, force: bool) -> None:
    """Pin a version: it is served whatever is trained or accepted, until `promote` takes the pin away.

    Without --to: the version that was proven to serve before the one that serves now.
    """
    resource, body = session.get(name)
    chosen = version if version is not None else before(resource.status)
    if chosen is None:
        raise NotNow(f"{name} has no version that served before the present one; say one with --to")
    if resource.spec.serve.pinned_version == chosen:
        click.echo(f"version {chosen} is pinned already")
        return
    session.say(_about(resource.status, chosen))
    patch = {"spec": {"serving": {"pinnedVersion": chosen}}}
    change(session, name, body, Wanted(patch, _after_pin(resource, chosen)), Manner(dry_run, force))


def before(status: Status) -> int | None:
    """The version that was last proven to serve before the one that serves; never one that failed to."""
    served = status.served
    past = [
        entry
        for entry in status.history
        if _served_once(entry) and (not served or entry.run_id != served.run_id)
    ]
    newest = max(past, key=lambda entry: entry.served_at or entry.at, default=None)
    return newest.version if newest else None


def _served_once(entry: HistoryEntry) -> bool:
    return entry.served_at is not None and entry.verdict != reasons.FAILED_TO_SERVE


def _about(status: Status, version: int) -> str:
    entry = next((one for one in status.history if one.version == version), None)
    if entry is None:
        return f"version {version} is not in status.history: the operator looks for it in the bucket"
    served = "was proven to serve" if entry.served_at else "never served"
    return f"version {version}: {entry.verdict}, {served}"


def _after_pin(resource: TrainAndServe, version: int) -> str:
    if resource.spec.suspend:
        return f"version {version} is rolled out when `resume` is called"
    return f"version {version} is proven and served; what serves now goes on until then"
