"""Tables in the documentation that the code knows better: fields, settings, metrics, parameters.

    python -m tests.unit.docs.tables

writes them anew between their markers; a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from prometheus_client import REGISTRY

from tests.cluster.settings import Settings as E2eSettings
from trainandserve import metrics
from trainandserve.cli.program import program
from trainandserve.crd import definition
from trainandserve.durations import format_duration
from trainandserve.settings import Settings
from trainer import reading
from trainer.recipe import Parameter
from trainer.recipes import image_classifier, tabular

ROOT = Path(__file__).parents[3]


def fields() -> str:
    """Every field of the specification, with the description that ``kubectl explain`` prints."""
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rows = [(f"`{path}`{' *' if needed else ''}", kind, words) for path, kind, needed, words in _walk(schema)]
    return table(("Field", "Type", "What it says"), rows)


def field_names() -> set[str]:
    """Every field of the specification, by its path below ``spec``."""
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return {path for path, *_ in _walk(schema)}


def _walk(schema: dict[str, Any]) -> Iterator[tuple[str, str, bool, str]]:
    yield from _parts(schema["properties"]["spec"], "")


def _parts(schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, bool, str]]:
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, _kind(part), name in required, part.get("description", "")
        yield from _parts(part, f"{path}.")
        yield from _parts(part.get("items", {}), f"{path}[].")


def _kind(part: dict[str, Any]) -> str:
    if part.get("x-kubernetes-int-or-string"):
        return "quantity"
    if part.get("type") == "array":
        return f"list of {_kind(part['items'])}s"
    if "additionalProperties" in part:
        return "map"
    return str(part.get("type", "any"))


def settings() -> str:
    """Every setting of the operator, as its environment variable."""
    rows = [
        (f"`TAS_{name.upper()}`", _default(name, field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return table(("Variable", "Default", "What it says"), rows)


def e2e() -> str:
    """Every setting of the suite on a cluster."""
    rows = [
        (f"`TAS_E2E_{name.upper()}`", _default(name, field.default), field.description or "")
        for name, field in E2eSettings.model_fields.items()
    ]
    return table(("Variable", "Default", "What it says"), rows)


def _default(name: str, value: object) -> str:
    if name == "trainer_image":
        return "this release's"
    if value in (None, (), ""):
        return ""
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def metric_names() -> dict[str, tuple[str, str, str]]:
    """Kind, labels and description of each of the operator's own metrics, by name."""
    assert metrics.PASSES is not None  # registered by the import
    found = {}
    for one in vars(metrics).values():
        if one is not REGISTRY and hasattr(one, "_documentation"):
            name = one._name + ("_total" if one._type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in one._labelnames)
            found[name] = (str(one._type), labels, str(one._documentation))
    return found


def metric_table() -> str:
    """Every metric of the operator."""
    rows = [
        (f"`{name}`", kind, labels, _unit(name), words)
        for name, (kind, labels, words) in metric_names().items()
    ]
    return table(("Metric", "Kind", "Labels", "Unit", "What it says"), rows)


def _unit(name: str) -> str:
    """The unit that a metric's name says, as Prometheus' conventions have it; a number of things where it names none."""
    return next((unit for unit in ("seconds", "bytes") if unit in name.split("_")), "number")


def parameters() -> str:
    """Every parameter of the recipe for images."""
    return _parameters(image_classifier.PARAMETERS)


def tabular_parameters() -> str:
    """Every parameter of the recipe for tables."""
    return _parameters(tabular.PARAMETERS)


def reading_parameters() -> str:
    """Every parameter that says how data is read."""
    return _parameters(reading.PARAMETERS)


def _parameters(known: tuple[Parameter, ...]) -> str:
    rows = [
        (
            f"`{one.name}`",
            f"`{str(one.default).lower()}`" if one.default != "" else "",
            one.description + _choices(one.choices),
        )
        for one in known
    ]
    return table(("Parameter", "Default", "What it says"), rows)


def _choices(choices: tuple[str, ...]) -> str:
    return f": {', '.join(choices)}" if choices else ""


def commands() -> str:
    """What every command of `kubectl tas` says with --help."""
    parts = [_help(program, "kubectl tas")]
    with click.Context(program, info_name="kubectl tas") as context:
        for name in program.list_commands(context):
            command = program.get_command(context, name)
            assert command is not None
            parts.append(_help(command, f"kubectl tas {name}"))
    return "\n\n".join(parts)


def _help(command: click.Command, name: str) -> str:
    context = click.Context(
        command, info_name=name, terminal_width=100, max_content_width=100, help_option_names=["-h", "--help"]
    )
    return f"### {name}\n\n```text\n{command.get_help(context).rstrip()}\n```"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


@dataclass(frozen=True)
class Place:
    """Where a table stands: between two comments with its name."""

    page: str
    name: str
    made: Callable[[], str]

    def found(self) -> str:
        """What stands there now."""
        match = re.search(self._frame("(.*?)"), (ROOT / self.page).read_text(), re.DOTALL)
        assert match is not None, f"{self.page} has no markers for the table of {self.name}"
        return match[1]

    def write(self) -> None:
        """Write the table anew."""
        file = ROOT / self.page
        file.write_text(file.read_text().replace(self._frame(self.found()), self._frame(self.made())))

    def _frame(self, inner: str) -> str:
        return f"<!-- {self.name} -->\n{inner}\n<!-- end of {self.name} -->"


PLACES = (
    Place("README.md", "fields", fields),
    Place("docs/operations.md", "settings", settings),
    Place("docs/operations.md", "metrics", metric_table),
    Place("docs/cli.md", "commands", commands),
    Place("docs/testing.md", "e2e", e2e),
    Place("docs/trainer.md", "parameters", parameters),
    Place("docs/trainer.md", "tabular", tabular_parameters),
    Place("docs/trainer.md", "reading", reading_parameters),
)

if __name__ == "__main__":
    for place in PLACES:
        place.write()
