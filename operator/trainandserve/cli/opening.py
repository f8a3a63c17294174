"""Where things are to be looked at: `open`."""

from __future__ import annotations

import click
from rich.table import Table
from rich.text import Text

from ..names import version_prefix
from ..resource import Status
from .errors import NotNow, WrongInput
from .options import asks_cluster, output, resource_name
from .session import Session, print_data

_WHAT = ("run", "report", "model")


@click.command("open", short_help="Print where the run, the report and the model are.")
@resource_name
@click.argument("what", type=click.Choice(_WHAT), required=False)
@click.option(
    "--version", type=int, help="Version whose report is meant. Default: the newest one that has a result."
)
@click.option("--browser", is_flag=True, help="Open it in a browser.")
@output
@asks_cluster
def open_(
    session: Session, name: str, what: str | None, version: int | None, browser: bool, output: str
) -> None:
    """Print where to look: the run in the pages of Kubeflow Pipelines, the report of a version, the model that serves.

    The report lies in the bucket, beside the model; the run's pages show it as well.
    """
    resource, _ = session.get(name)
    found = addresses(resource.status, version)
    if version is not None and "report" not in found:
        raise NotNow(f"no version {version} of {name} is in status.history")
    if what is None and browser:
        raise click.UsageError("say which: run, report or model")
    if what is not None and what not in found:
        raise NotNow(_absent(name, what))
    chosen = {what: found[what]} if what is not None else found
    if output != "table":
        print_data(chosen, output)
    elif what is not None:
        click.echo(found[what])
    else:
        session.show(_table(chosen))
    if browser and what is not None:
        _launch(found[what])


def addresses(status: Status, version: int | None = None) -> dict[str, str]:
    """What there is an address of, by its name."""
    found: dict[str, str] = {}
    if status.run is not None and status.run.url:
        found["run"] = status.run.url
    chosen = next((one for one in status.history if version in (None, one.version)), None)
    if chosen is not None:
        found["report"] = f"{version_prefix(chosen.uri)}report.html"
    if status.served is not None and status.served.url:
        found["model"] = status.served.url
    return found


def _absent(name: str, what: str) -> str:
    return {
        "run": f"{name} has no run with pages: there was none yet, or TAS_KFP_UI_URL is not set",
        "report": f"{name} has no version with a report yet",
        "model": f"{name} serves nothing yet",
    }[what]


def _table(found: dict[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for what, address in found.items():
        grid.add_row(what, Text(address, style=f"link {address}"))
    return grid


def _launch(address: str) -> None:
    if not address.startswith(("http://", "https://")):
        raise WrongInput(
            f"a browser cannot open {address}: fetch it with the tool for your bucket, or open the run's pages"
        )
    if click.launch(address):
        raise NotNow("no browser could be started here")
