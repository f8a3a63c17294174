"""What the served model says: `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ..resource import TrainAndServe
from .errors import CliError, NotNow
from .model_server import Answered, NoWayThere, Way, ways
from .options import asks_cluster, output, resource_name
from .pictures import Shape, instances, parse_shape, shape_of
from .session import Session, print_data
from .status_screen import table


def _shape(ctx: click.Context, param: click.Parameter, value: str | None) -> Shape | None:
    try:
        return parse_shape(value) if value else None
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


@click.command(short_help="Ask the served model.")
@resource_name
@click.option(
    "-f",
    "--file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="PNG or JPEG; or JSON with instances, as the V1 protocol has them.",
)
@click.option("--url", help="Address of the model server. Default: status.served.url.")
@click.option(
    "--shape",
    callback=_shape,
    metavar="HxWxC",
    help="What an image is made to fit. Default: what the model server says, else the image as it is.",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=3, show_default=True, help="How many classes are printed."
)
@output
@asks_cluster
def predict(
    session: Session, name: str, file: Path, url: str | None, shape: Shape | None, top: int, output: str
) -> None:
    """Ask the served model what it makes of a file, and print the likeliest classes.

    The address in the status is asked first. Where it cannot be reached from here, the API server passes the request on, as for
    kubectl's proxy: that needs the right to create services/proxy or pods/proxy.
    """
    resource, _ = session.get(name)
    served = resource.status.served
    if url is None and (served is None or served.version is None):
        raise NotNow(f"{name} serves no version yet")
    way, found = _first_answer(session, resource, file, url, shape)
    session.say(f"version {served.version if served else '?'} answered, by {way.words}")
    predictions = found.get("predictions") if isinstance(found, dict) else None
    if not isinstance(predictions, list):
        raise Answered(f"the answer has no predictions: {str(found)[:200]}")
    if output != "table":
        print_data(found, output)
    else:
        session.show(_table(predictions, top))


def _first_answer(
    session: Session, resource: TrainAndServe, file: Path, url: str | None, shape: Shape | None
) -> tuple[Way, Any]:
    """The answer by the first way that leads there."""
    name = resource.metadata.name
    served = resource.status.served
    known = url or (served.url if served else None)
    refused: list[str] = []
    for way in ways(session.cluster, name, known):
        try:
            fitting = shape or _asked_shape(way, name)
            body = {"instances": instances(file, fitting)}
            return way, way.call(f"/v1/models/{name}:predict", body)
        except NoWayThere as error:
            refused.append(str(error))
            if url is not None:
                break
    raise CliError("; ".join(refused))


def _asked_shape(way: Way, name: str) -> Shape | None:
    """What the model takes, where its server says so: TensorFlow Serving does."""
    try:
        return shape_of(way.call(f"/v1/models/{name}/metadata", None))
    except NoWayThere:
        raise
    except CliError:
        return None


def _table(predictions: list[Any], top: int) -> Table:
    """The likeliest classes of each instance; what is no list of numbers is shown as it is."""
    found = table()
    for title in ("instance", "class"):
        found.add_column(title)
    found.add_column("confidence", justify="right")
    for place, one in enumerate(predictions):
        ranked = likeliest(one, top)
        if ranked is None:
            found.add_row(str(place), str(one), "-")
        for rank, (label, value) in enumerate(ranked or ()):
            found.add_row(
                "" if rank else str(place), str(label), f"{value:.2%}" if 0 <= value <= 1 else f"{value:.6g}"
            )
    return found


def likeliest(prediction: Any, top: int) -> list[tuple[int, float]] | None:
    """Classes by their probability; None where the prediction is no list of numbers."""
    if not isinstance(prediction, list) or not prediction:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in prediction):
        return None
    ranked = sorted(range(len(prediction)), key=lambda label: -prediction[label])
    return [(label, float(prediction[label])) for label in ranked[:top]]
