"""The dashboard and the alert rules ask only for what the operator measures."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import REGISTRY

from tests.unit.install.gotools import PROMQL
from tests.unit.install.rendering import ROOT, Json
from trainandserve import metrics, reasons
from trainandserve.decide.conditions import _ORDER
from trainandserve.resource import Phase

FOLDER = ROOT / "observability"
OF_PROMETHEUS = {"namespace", "le"}
"""Labels that are added on the way."""


def dashboard() -> Json:
    found: Json = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    return found


def groups() -> list[Json]:
    found: list[Json] = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return found


def rules() -> list[Json]:
    return [rule for group in groups() for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Every expression, with Grafana's variable filled in."""
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$namespace", ".*")
    for rule in rules():
        yield rule["expr"]


def known() -> dict[str, set[str]]:
    """Names of the samples that the operator gives, with their labels."""
    found: dict[str, set[str]] = {}
    assert metrics.__all__ == ["REGISTRY"]
    for collector in (one for one in vars(metrics).values() if hasattr(one, "_labelnames")):
        (family,) = collector.describe()
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        for ending in endings:
            found[family.name + ending] = set(collector._labelnames)
    assert found.keys() & {sample.name for family in REGISTRY.collect() for sample in family.samples}
    return found


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """Every name of a metric of ours with the labels that it is asked by."""
    found = []
    for name, braces in re.findall(r"(trainandserve_\w+)(\{[^}]*\})?", expression):
        found.append((name, dict(re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', braces))))
    return found


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    asked = selectors(expression)
    assert asked
    for name, labels in asked:
        assert name in known()
        assert set(labels) <= known()[name] | OF_PROMETHEUS
    grouped = {
        label for labels in re.findall(r"by \(([^)]*)\)", expression) for label in re.split(r",\s*", labels)
    }
    assert grouped <= set().union(*(known()[name] for name, _ in asked)) | OF_PROMETHEUS


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_asks_for_values_that_can_be(expression: str) -> None:
    said = {value for name, value in vars(reasons).items() if name.isupper()}
    values: dict[str, set[Any]] = {
        "reason": said,
        "type": set(_ORDER),
        "status": {"True", "False", "Unknown"},
        "phase": set(get_args(Phase)),
        "result": {"done", "error", "conflict", "not leading"},
    }
    for _, labels in selectors(expression):
        for label, value in labels.items():
            assert label not in values or set(value.split("|")) <= values[label]


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {
        name
        for panel in dashboard()["panels"]
        for target in panel["targets"]
        for name, _ in selectors(target["expr"])
    }
    endings = r"_(bucket|sum|count)$"
    assert {re.sub(endings, "", name) for name in shown} == {re.sub(endings, "", name) for name in known()}


def test_a_panel_says_what_it_shows_and_stands_in_nobodys_way() -> None:
    places = set()
    for panel in dashboard()["panels"]:
        assert panel["title"] and panel["description"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24 and not cells & places
        places |= cells
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_every_alert_says_how_bad_it_is_what_it_means_and_where_to_look() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        assert rule["for"]
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_the_prometheus_operator_gets_the_same_rules() -> None:
    documents = list(yaml.safe_load_all((FOLDER / "prometheus-operator.yaml").read_text()))
    (rule,) = [one for one in documents if one["kind"] == "PrometheusRule"]
    assert rule["spec"]["groups"] == groups()


@pytest.mark.timeout(1800)
def test_prometheus_itself_can_read_every_expression() -> None:
    asked = list(expressions())
    done = subprocess.run(
        [PROMQL.needed()], input=json.dumps(asked), check=True, capture_output=True, text=True, timeout=60
    )
    wrong = {
        expression: said for expression, said in zip(asked, json.loads(done.stdout), strict=True) if said
    }
    assert not wrong
