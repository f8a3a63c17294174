"""The program: all commands in one group, and what they answer to a script."""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from . import asking, completion, files, logs, opening, planning, predicting, status, versions
from .errors import CliError, Exit
from .session import Surroundings


def _version() -> str:
    try:
        return version("trainandserve")
    except PackageNotFoundError:  # the operator's image has the files only
        return "not installed as a package"


class _InOrder(click.Group):
    """Lists its commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


_EXIT_CODES = """\b
Exit codes:
  0  done
  1  the API server, or what else was asked, refuses or does not answer
  2  the command line, or a file that it names, is not what is needed
  3  there is no such resource
  4  Argo CD or Flux keeps the resource: the lines for Git were printed
     and nothing was changed
  5  the resource is not in a state in which this can be done
"""


@click.group(
    cls=_InOrder,
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(_version(), prog_name="trainandserve")
def program() -> None:
    """From `kubectl apply` to a served model."""


for _command in (
    status.status,
    status.history,
    planning.plan,
    versions.approve,
    versions.promote,
    versions.rollback,
    asking.retrain,
    asking.suspend,
    asking.resume,
    logs.logs,
    predicting.predict,
    opening.open_,
    completion.completion,
    files.compile,
    files.crd,
    files.run,
):
    program.add_command(_command)


def main(arguments: list[str] | None = None, surroundings: Surroundings | None = None) -> int:
    """Run one command; the exit code (see `Exit`)."""
    name = Path(sys.argv[0]).name
    called = "kubectl tas" if name == "kubectl-tas" else "trainandserve"
    try:
        ended = program.main(
            arguments,
            prog_name=called,
            obj=surroundings,
            standalone_mode=False,
            complete_var="_TRAINANDSERVE_COMPLETE",
        )
    except CliError as error:
        click.echo(f"{called}: {error}", err=True)
        return error.code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Who read has read enough; nothing may be flushed into the pipe on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except OSError as error:
        click.echo(f"{called}: {error}", err=True)
        return Exit.FAILED
    return int(ended or Exit.DONE)
