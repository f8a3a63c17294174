"""What a run's step says: `logs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from ..names import KFP_RUN_LABEL
from ..resource import Run, TrainAndServe
from ..steps import is_executor, step_of
from .cluster import Json
from .errors import CliError, NotFound, NotNow
from .options import asks_cluster, resource_name
from .session import Session

_CONTAINER = "main"
_KFP_NAMESPACE = "kubeflow"


@click.command(short_help="Show what the run's step says.")
@resource_name
@click.option(
    "--step", help="Step: download, train, evaluate, … Default: the failing one, else the one under way."
)
@click.option("-f", "--follow", is_flag=True, help="Go on until the step ends.")
@click.option("--tail", type=click.IntRange(min=0), help="Only so many of the last lines.")
@click.option(
    "--run-namespace",
    help="Where the run's pods are. Default: the resource's namespace, then that of Kubeflow Pipelines (kubeflow).",
)
@asks_cluster
def logs(
    session: Session, name: str, step: str | None, follow: bool, tail: int | None, run_namespace: str | None
) -> None:
    """Show the log of a step of the newest run: of the failing one, else of the one under way, else of the last.

    Where the pod is gone, or never started, what is still known of it is said on standard error.
    """
    resource, _ = session.get(name)
    run = resource.status.run
    if run is None:
        raise NotNow(f"{name} has had no run yet")
    places = [run_namespace] if run_namespace else [session.cluster.namespace, _KFP_NAMESPACE]
    where, pods = _pods(session, run, places)
    pod = choose(resource, run, pods, step)
    if pod is None:
        raise NotNow(_nothing_left(run, step, pods, places))
    session.say(
        f"step {step_of(pod)} of version {run.version}, attempt {run.attempt}: pod {where}/{pod['metadata']['name']}"
    )
    _print(session, where, pod, follow, tail)


def _pods(session: Session, run: Run, places: Sequence[str]) -> tuple[str, list[Json]]:
    """The run's pods, where there are any. A namespace that one may not look into does not hide another."""
    refused: CliError | None = None
    for place in dict.fromkeys(places):
        try:
            found = session.cluster.items(f"/api/v1/namespaces/{place}/pods", f"{KFP_RUN_LABEL}={run.id}")
        except NotFound:
            continue
        except CliError as error:
            refused = error
            continue
        if found:
            return place, found
    if refused is not None:
        raise refused
    return places[0], []


def choose(resource: TrainAndServe, run: Run, pods: Sequence[Json], step: str | None) -> Json | None:
    """The pod to read: of the step that was asked for, of the one that failed, of the one under way, or the newest."""
    own = sorted((pod for pod in pods if is_executor(pod)), key=_created, reverse=True)
    if step is not None:
        return next((pod for pod in own if step_of(pod) == step), None)
    failed = next((pod for pod in own if failure(pod) is not None), None)
    # A step that is tried again inside the run has a newer pod than the one that failed.
    if failed is not None and step_of(own[0]) != step_of(failed):
        return failed
    under_way = next((pod for pod in own if step_of(pod) == run.step), None)
    return under_way or next(iter(own), None)


def _created(pod: Json) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


@dataclass(frozen=True)
class Ended:
    """How a container ended, or why it does not start."""

    container: str
    words: str


def failure(pod: Json) -> Ended | None:
    """How a container of the pod failed; None where none did."""
    for container in pod.get("status", {}).get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            words = ended.get("message") or ended.get("reason") or ""
            return Ended(str(container.get("name")), f"exit code {ended['exitCode']}: {words}".rstrip(": \n"))
    return None


def waiting(pod: Json) -> Iterator[Ended]:
    """Containers that do not start, and why."""
    status = pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield Ended("the pod", f"{condition.get('reason')}: {condition.get('message')}")
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if found := (container.get("state") or {}).get("waiting"):
            yield Ended(
                str(container.get("name")), f"{found.get('reason')}: {found.get('message', '')}".rstrip(": ")
            )


def _print(session: Session, where: str, pod: Json, follow: bool, tail: int | None) -> None:
    query = {"container": _CONTAINER} | ({"follow": "true"} if follow else {})
    if tail is not None:
        query["tailLines"] = str(tail)
    path = f"/api/v1/namespaces/{where}/pods/{pod['metadata']['name']}/log"
    printed = False
    try:
        for line in session.cluster.lines(path, query, endless=follow):
            click.echo(line)
            printed = True
    except CliError as error:
        _tell_what_is_known(session, pod, f"the log cannot be read: {error}")
        return
    if not printed and not pod.get("spec", {}).get("nodeName"):  # the API server's log of such a pod is empty
        _tell_what_is_known(session, pod, "there is no log: no node runs the pod")


def _tell_what_is_known(session: Session, pod: Json, why: str) -> None:
    """Print how the pod's containers ended, or why they do not start, in place of a log."""
    known = [one for one in (failure(pod), *waiting(pod)) if one is not None]
    if not known:
        raise NotNow(why)
    session.say(why)
    for one in known:
        click.echo(f"{one.container}: {one.words}")


def _nothing_left(run: Run, step: str | None, pods: Sequence[Json], places: Sequence[str]) -> str:
    if pods:
        steps = ", ".join(sorted({step_of(pod) for pod in pods if is_executor(pod)}))
        return (
            f"the run has no pod of step {step}; there are: {steps}"
            if steps
            else "the run's own pods have not started yet"
        )
    known = f"; what is known: {run.message}" if run.message else ""
    looked = " and ".join(dict.fromkeys(places))
    pages = f" Its pages: {run.url}" if run.url else ""
    return f"no pods of run {run.id} are left in {looked}{known}.{pages}"
