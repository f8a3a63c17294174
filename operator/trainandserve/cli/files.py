"""Commands that need no cluster, and the operator itself: `run`, `crd`, `compile`."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from .errors import CliError, WrongInput


@click.command()
def crd() -> None:
    """Print the custom resource definition."""
    from .. import crd as definition

    click.echo(definition.text(), nl=False)


@click.command(short_help="Write the Kubeflow pipeline of a resource.")
@click.option(
    "-f",
    "--filename",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with one TrainAndServe.",
)
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    help="File to write. Default: standard output.",
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with a Secret that it names: for the S3 endpoint.",
)
def compile(filename: Path, target: Path | None, secrets: tuple[Path, ...]) -> None:
    """Write the Kubeflow pipeline of a resource, as the pages of Kubeflow Pipelines import it."""
    try:
        from ..offline import OfflineError, compile_file
    except ModuleNotFoundError as error:
        raise CliError(f"this needs what the operator is installed with: {error}") from error
    try:
        text = compile_file(filename, list(secrets))
    except (OfflineError, OSError, yaml.YAMLError) as error:
        raise WrongInput(f"{filename}: {error}") from error
    if target is None:
        click.echo(text, nl=False)
    else:
        target.write_text(text)


@click.command(short_help="Run the operator.")
def run() -> None:
    """Run the operator. Its settings are environment variables TAS_…"""
    from ..__main__ import run_operator

    raise SystemExit(run_operator())
