"""The administrator's queries: none reads more than its namespace, and what is filled in is only ever a name."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.prometheus.expression import parse
from trainandserve.__main__ import main
from trainandserve.queries import QueriesError, Query, Subject, pods_pattern, read_queries

ROOT = Path(__file__).parents[3]
OURS = 'namespace="{namespace}"'
SUBJECT = Subject("vision", "mnist", "mnist-predictor", "mnist-predictor-00002", timedelta(minutes=1))
LABELS = ("namespace",)


def written(query: str) -> str:
    return f"errors:\n  query: '{query.replace(chr(39), chr(39) * 2)}'\n"


@pytest.mark.parametrize(
    "query",
    [
        f"sum(rate(a{{{OURS}}}[{{interval}}]))",
        f"sum by (le) (rate(a_bucket{{{OURS}}}[5m:1m] offset 5m))",
        f"sum(rate(a{{code=~'5..', {OURS},}}[1h30m])) without (pod)",
        f"(sum(a{{{OURS}}}) or vector(0)) / on() group_left sum(b{{{OURS}}}) > bool 0.5",
        f"histogram_quantile(0.9, sum by (le) (rate(a:b_bucket{{{OURS}, pod=~'{{pods}}'}}[{{interval}}])))",
        f"{{__name__='a', {OURS}}} unless ignoring (pod, instance) b{{{OURS}}}",
        f"label_replace(a{{{OURS}}}, 'x', '$1', 'y', '(.*)') * 1e-3",
        "a{namespace='{namespace}'} @ end()",
        f'{{"a.b", "{LABELS[0]}"="{{namespace}}"}}',
    ],
)
def test_a_query_that_selects_its_namespace_everywhere_is_taken(query: str) -> None:
    assert read_queries(written(query), LABELS)["errors"].template == query


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("a", 'write a{namespace="{namespace}"}'),
        ("sum(rate(a[5m]))", 'write a{namespace="{namespace}"}'),
        ("a{}", 'a selector needs namespace="{namespace}"'),
        ('a{pod="x"}', 'a selector needs namespace="{namespace}"'),
        ('a{namespace="prod"}', 'a selector needs namespace="{namespace}"'),
        ('a{namespace=~"{namespace}"}', 'a selector needs namespace="{namespace}"'),
        ('a{namespace=~"{namespace}|prod"}', 'a selector needs namespace="{namespace}"'),
        ('a{namespace!="{namespace}"}', 'a selector needs namespace="{namespace}"'),
        ('a{namespace="{namespace}x"}', 'a selector needs namespace="{namespace}"'),
        ('a{exported_namespace="{namespace}"}', 'a selector needs namespace="{namespace}"'),
        ('a{pod="namespace={namespace}"}', 'a selector needs namespace="{namespace}"'),
        (f"a{{{OURS}}} + b", "b is selected without a namespace"),
        (f"a{{{OURS}}} or b[5m]", "b is selected without a namespace"),
        (f"a{{{OURS}}} / on (x) group_left (y) b", "b is selected without a namespace"),
        (f"a{{{OURS}}} + offset", "offset is selected without a namespace"),
        (f"a{{{OURS}}} + {{job='x'}}", "a selector needs"),
        (f"a{{{OURS} or namespace='prod'}}", "or stands in a selector"),
        (f"a{{{OURS} b}}", "b stands in a selector"),
        (f"a{{{OURS}}} # {OURS}", "is not understood"),
        (f"a{{{OURS}, b=`x`}}", "is not understood"),
        (f"info(a{{{OURS}}})", "info reads series that no selector names"),
        ("vector(1)", "it selects no series"),
        (f"a{{{OURS}", "it ends too early"),
        (f"a{{{OURS}}}[5m", "it ends too early"),
        (f"sum by (a, 'b') (a{{{OURS}}})", "stands where labels are grouped by"),
        (f"a{{{OURS}}}[b]", "stands in a range"),
        (f"a{{{OURS}}} > {{interval}}", "write {interval} in square brackets"),
        (f'a{{{OURS}, x="{{secret}}"}}', "{secret} is not known: there are {namespace}, {service}"),
    ],
)
def test_a_query_that_may_read_more_than_its_namespace_is_refused(query: str, message: str) -> None:
    with pytest.raises(QueriesError, match=f"^errors: .*{re.escape(message)}"):
        read_queries(written(query), LABELS)


def test_which_label_says_the_namespace_is_for_the_administrator() -> None:
    query = written('a{kubernetes_namespace="{namespace}"}')
    assert read_queries(query, ("namespace", "kubernetes_namespace"))
    with pytest.raises(QueriesError, match="a selector needs"):
        read_queries(query, LABELS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "the file: "),
        ("errors: up", "errors: "),
        ("errors: {expr: up}", "errors.query: Field required"),
        ("Errors: {query: up}", "Errors"),
        ("errors: {query: ''}", "errors.query"),
        ("errors: [", "it is no YAML"),
        ("!!python/object/apply:os.getpid []", "it is no YAML"),
    ],
)
def test_another_file_than_one_of_queries_is_refused(text: str, message: str) -> None:
    with pytest.raises(QueriesError, match=message):
        read_queries(text, LABELS)


@pytest.mark.parametrize("text", [None, "errors: {query: up}"], ids=["missing", "of all namespaces"])
def test_the_operator_does_not_start_with_queries_that_it_cannot_take(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "queries.yaml"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("TAS_ANALYSIS_QUERIES", str(file))
    assert main(["run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("TAS_ANALYSIS_QUERIES: ")


def test_everything_is_filled_in() -> None:
    template = 'a{namespace="{namespace}",s="{service}",r="{revision}",pod=~"{pods}",x=~"5{2}"}[{interval}]'
    assert Query("a", template).about(SUBJECT) == (
        'a{namespace="vision",s="mnist",r="mnist-predictor-00002",pod=~"mnist-predictor-[a-z0-9]+-[a-z0-9]{5}",x=~"5{2}"}[1m]'
    )


@pytest.mark.parametrize("name", ['x"} or up{a="', "a.b", "", "a\n", "a|b", "A", "-a", "a" * 254])
@pytest.mark.parametrize("field", ["namespace", "service", "deployment", "revision"])
def test_nothing_is_filled_in_that_is_not_a_name(field: str, name: str) -> None:
    given: dict[str, Any] = {**vars(SUBJECT), field: name}
    with pytest.raises(QueriesError, match="is no name to measure by"):
        Query("a", f'a{{{OURS}, r="{{revision}}"}}').about(Subject(**given))


@pytest.mark.parametrize(
    ("deployment", "pod", "matches"),
    [
        ("mnist-predictor", "mnist-predictor-5d4f7c9b8d-x2x4z", True),
        ("mnist-predictor", "mnist-predictor-candidate-5d4f7c9b8d-x2x4z", False),
        ("mnist-predictor", "mnist-predictor-00001-deployment-5d4f7c9b8d-x2x4z", False),
        ("mnist-predictor", "amnist-predictor-5d4f7c9b8d-x2x4z", False),
        (f"{'m' * 40}-predictor-00001", f"{'m' * 40}-predictor-00001-5x2x4z", True),
        (f"{'m' * 40}-predictor-00001-deployment", f"{'m' * 40}-predictor-00001-dx2x4z", True),
        (f"{'m' * 40}-predictor-00001-deployment", f"{'m' * 40}-predictor-00002-dx2x4z", False),
    ],
)
def test_pods_are_those_of_the_deployment(deployment: str, pod: str, matches: bool) -> None:
    assert bool(re.fullmatch(pods_pattern(deployment), pod)) is matches


def test_the_example_can_be_taken_and_is_understood() -> None:
    queries = read_queries((ROOT / "examples" / "analysis" / "queries.yaml").read_text(), LABELS)
    assert {name: query.by_revision for name, query in queries.items()} == {
        "error-rate": True,
        "p90-milliseconds": True,
        "seconds-per-prediction": False,
    }
    for query in queries.values():
        assert query.description
        parse(query.about(SUBJECT))
