"""Commands that ask the operator for something: `retrain`, `suspend`, `resume`."""

from __future__ import annotations

import click

from ..names import RETRAIN
from ..resource import TrainAndServe
from .changing import Manner, Wanted, change
from .options import asks_cluster, dry_run, force, resource_name
from .session import Session


@click.command(short_help="Train a new version.")
@resource_name
@dry_run
@force
@asks_cluster
def retrain(session: Session, name: str, dry_run: bool, force: bool) -> None:
    """Train a new version, also where no input changed: for example after the data was overwritten in place."""
    resource, body = session.get(name)
    token = session.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"metadata": {"annotations": {RETRAIN: token}}}
    change(session, name, body, Wanted(patch, _after_retrain(resource)), Manner(dry_run, force))


def _after_retrain(resource: TrainAndServe) -> str:
    version = (resource.status.last_version or 0) + 1
    if resource.spec.suspend:
        return f"version {version} is trained when `resume` is called"
    run = resource.status.run
    if run is not None and run.state in ("Submitting", "Running"):
        return f"the run of version {run.version} is stopped, and version {version} is trained"
    return f"version {version} is trained; what serves goes on until it is accepted"


@click.command(short_help="Hold a resource: start and change nothing.")
@resource_name
@dry_run
@force
@asks_cluster
def suspend(session: Session, name: str, dry_run: bool, force: bool) -> None:
    """Hold a resource: start no run and change nothing that serves. A run under way goes on."""
    resource, body = session.get(name)
    if resource.spec.suspend:
        click.echo(f"{name} is suspended already")
        return
    then = "no run starts and nothing that serves is changed until `resume` is called"
    change(session, name, body, Wanted({"spec": {"suspend": True}}, then), Manner(dry_run, force))


@click.command()
@resource_name
@dry_run
@force
@asks_cluster
def resume(session: Session, name: str, dry_run: bool, force: bool) -> None:
    """Let a suspended resource go on."""
    resource, body = session.get(name)
    if not resource.spec.suspend:
        click.echo(f"{name} is not suspended")
        return
    then = "what was held back is done now"
    change(session, name, body, Wanted({"spec": {"suspend": None}}, then), Manner(dry_run, force))
