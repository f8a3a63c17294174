"""Completion: of `trainandserve` in a shell, and of `kubectl tas` by kubectl's own."""

from __future__ import annotations

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

_NO_FILES = 4
"""What kubectl reads in the last line: offer no names of files."""


@click.command(short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete `trainandserve`, names of resources too.

    For example in ~/.bashrc: source <(trainandserve completion bash). What completes `kubectl tas` is kubectl_complete-tas:
    kubectl finds it on the PATH, where the installation puts it.
    """
    found = get_completion_class(shell)
    assert found is not None
    group = ctx.find_root().command
    click.echo(found(group, {}, "trainandserve", "_TRAINANDSERVE_COMPLETE").source())


def for_kubectl() -> int:
    """Answer kubectl, which starts `kubectl_complete-tas` with the words typed so far: an offer a line, then what it is to do."""
    from .program import program

    words = sys.argv[1:]
    offers = ShellComplete(program, {}, "kubectl tas", "_TRAINANDSERVE_COMPLETE").get_completions(
        words[:-1], words[-1] if words else ""
    )
    for offer in offers:
        click.echo(f"{offer.value}\t{offer.help}" if offer.help else offer.value)
    click.echo(f":{_NO_FILES}")
    return 0
