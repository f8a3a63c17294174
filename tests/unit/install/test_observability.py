"""The dashboard and the alert rules ask only for what the operator measures."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
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


# --- Prometheus' own code -----------------------------------------------------------------------------------------

SERVING = 'trainandserve_conditions{type="ModelServed",status="True",reason="Proven"}'


def condition(kind: str, status: str, reason: str) -> str:
    return f'trainandserve_conditions{{type="{kind}",status="{status}",reason="{reason}",namespace="ops"}}'


@dataclass(frozen=True)
class World:
    """Series and their values, a minute apart, in Prometheus' own notation; and what comes of them.

    Attributes
    ----------
    raised
        Each alert with the first minute at which it fires.
    says
        A part of the summary.
    """

    series: dict[str, str]
    raised: dict[str, int]
    says: str = ""
    leads: bool = True


def failing(result: str) -> str:
    return f'trainandserve_actions_total{{action="ApplyInferenceService",result="{result}",namespace="ops"}}'


PASSES = 'trainandserve_passes_total{result="error",namespace="ops"}'
AGE = 'trainandserve_queue_oldest_seconds{namespace="ops"}'
UNREACHABLE = condition("Ready", "True", "PipelinesUnreachable")
WORLDS = {
    "nothing is wrong": World({SERVING: "5x60", PASSES: "0x60", AGE: "0x60", failing("done"): "0+1x60"}, {}),
    "nobody holds the lease": World(
        {"trainandserve_leading{pod='a'}": "0x60", "trainandserve_leading{pod='b'}": "0x60"},
        {"TrainAndServeNobodyLeads": 5},
        leads=False,
    ),
    "no operator is there at all": World({}, {"TrainAndServeNobodyLeads": 5}, leads=False),
    "the lease changes hands": World(
        {"trainandserve_leading{pod='a'}": "1x10 0x50", "trainandserve_leading{pod='b'}": "0x12 1x48"},
        {},
        leads=False,
    ),
    "what served has no ready pod": World(
        {condition("Ready", "False", "NotAnswering"): "0x4 2x56"},
        {"TrainAndServeNotServing": 5 + 10},
        says="2 resources have a model server without a ready pod",
    ),
    "what served has no ready pod for a moment": World(
        {condition("Ready", "False", "NotAnswering"): "1x8 0x5 1x8 0x39"}, {}
    ),
    "a first version was rejected": World(
        {condition("Stalled", "True", "Rejected"): "1x60"},
        {"TrainAndServeGivenUp": 15},
        says="1 resources serve nothing and will not change by themselves (Rejected)",
    ),
    "a run does not move": World(
        {condition("ModelTrained", "Unknown", "RunStuck"): "1x60"}, {"TrainAndServeRunStuck": 30}
    ),
    "a run does not move for twenty minutes": World(
        {condition("ModelTrained", "Unknown", "RunStuck"): "1x20 0x40"}, {}
    ),
    "a newest version is not served": World(
        {condition("ModelAccepted", "False", "Rejected"): "0x9 1x51"},
        {"TrainAndServeVersionRejected": 10 + 5},
    ),
    "an edit does not come up": World(
        {condition("ModelServed", "True", "RolloutStuck"): "1x60"}, {"TrainAndServeRolloutStuck": 5}
    ),
    "something outside does not answer": World(
        {UNREACHABLE: "3x60"},
        {"TrainAndServeSomethingMissing": 15},
        says="3 resources wait for something outside (PipelinesUnreachable)",
    ),
    "something outside comes and goes": World({UNREACHABLE: "1x10 0x3 1x10 0x3 1x10 0x24"}, {}),
    "most effects fail": World(
        {failing("error"): "0+3x60", failing("done"): "0+1x60"},
        {"TrainAndServeEffectsFail": 1 + 15},
        says="More than half of the operator's ApplyInferenceService fail",
    ),
    "some effects fail": World({failing("error"): "0+1x60", failing("done"): "0+3x60"}, {}),
    "passes fail all the time": World({PASSES: "0+1x60"}, {"TrainAndServePassesFail": 1 + 15}),
    "a pass failed once": World({PASSES: "0x9 1x51"}, {}),
    "somebody waits for the operator": World(
        {AGE: "0+30x60"}, {"TrainAndServeQueueOld": 3 + 5}, says="A resource has been waiting 4m 0s"
    ),
}


@functools.cache
def prometheus() -> Json:
    """What Prometheus makes of the expressions, the rule file and the worlds."""
    series = [
        world.series | ({"trainandserve_leading{pod='a'}": "1x60"} if world.leads else {})
        for world in WORLDS.values()
    ]
    rules_file = (FOLDER / "alerts.yaml").read_text()
    question = {"expressions": list(expressions()), "rules": rules_file, "series": series, "minutes": 60}
    done = subprocess.run(
        [PROMQL.needed()],
        input=json.dumps(question),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found: Json = json.loads(done.stdout)
    return found


@pytest.mark.timeout(1800)
def test_prometheus_itself_can_read_every_expression_and_the_rule_file() -> None:
    read = zip(expressions(), prometheus()["expressions"], strict=True)
    assert not {expression: said for expression, said in read if said}
    assert not prometheus()["rules"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WORLDS)
def test_an_alert_fires_when_it_should_and_only_then(name: str) -> None:
    fired: list[Json] = prometheus()["alerts"][list(WORLDS).index(name)]
    first: dict[str, Json] = {}
    for one in fired:
        first.setdefault(one["labels"]["alertname"], one)
    assert {alert: one["minute"] for alert, one in first.items()} == WORLDS[name].raised
    for one in first.values():
        assert WORLDS[name].says in one["annotations"]["summary"]
        assert "<error" not in str(one) and "<no value>" not in str(one)


def test_every_alert_has_a_world_that_raises_it() -> None:
    assert {alert for world in WORLDS.values() for alert in world.raised} == {
        rule["alert"] for rule in rules()
    }
