"""Options that commands share, and what the shell completes for them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..resource import KIND, PLURAL, SHORT_NAME
from .cluster import Where
from .errors import CliError
from .session import Session, Surroundings

Command = Callable[..., Any]

_COMPLETION_SECONDS = 3.0


class ResourceName(click.ParamType[str]):
    """Name of a resource; ``tas/digits`` is read like ``digits``."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Without the kind before it."""
        kind, slash, name = value.rpartition("/")
        if slash and kind.partition(".")[0] not in (SHORT_NAME, PLURAL, KIND.lower()):
            self.fail(f"{value!r} is no {KIND}", param, ctx)
        return name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names of the namespace's resources that begin so; none where the API server does not say."""
        given = ctx.params
        where = Where(given.get("namespace"), given.get("context"), given.get("kubeconfig"))
        try:
            bodies = _surroundings(ctx).connect(where).all()
        except CliError:
            return []
        names = [str(body["metadata"]["name"]) for body in bodies]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _surroundings(ctx: click.Context) -> Surroundings:
    return ctx.find_object(Surroundings) or Surroundings()


resource_name = click.argument("name", type=ResourceName(), metavar="NAME")
maybe_resource_name = click.argument("name", type=ResourceName(), metavar="[NAME]", required=False)
output = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="Form of what is printed.",
)
dry_run = click.option(
    "--dry-run", is_flag=True, help="Have the API server check the change, and store nothing."
)
force = click.option(
    "--force", is_flag=True, help="Change the resource here although Argo CD or Flux keeps it from Git."
)

_CLUSTER = (
    click.option("-n", "--namespace", help="Namespace. Default: the context's."),
    click.option("--context", help="Context of the kubeconfig. Default: the current one."),
    click.option(
        "--kubeconfig",
        type=click.Path(dir_okay=False),
        help="Kubeconfig. Default: $KUBECONFIG, then ~/.kube/config.",
    ),
)


def asks_cluster(command: Command) -> Command:
    """Give a command kubectl's own options, and hand it the session that they ask for."""

    @click.pass_context
    @functools.wraps(command)
    def with_session(
        ctx: click.Context,
        /,
        *,
        namespace: str | None,
        context: str | None,
        kubeconfig: str | None,
        **given: Any,
    ) -> Any:
        return command(Session(_surroundings(ctx), Where(namespace, context, kubeconfig)), **given)

    wrapped: Command = with_session
    for option in reversed(_CLUSTER):
        wrapped = option(wrapped)
    return wrapped
