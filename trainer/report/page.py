"""A version's report as one file: no scripts, nothing loaded from anywhere, all that users wrote only as text."""

import json
from collections.abc import Mapping
from typing import Any

from trainer.report import sections
from trainer.report.style import CSS
from trainer.report.text import bytes_, cut, difference, is_number, number, safe, title

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_LONGEST_VALUE = 500
_MOST_FACTS = 100


def drawn(evaluation: Mapping[str, Any], version: Mapping[str, Any] | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    evaluation
        What the evaluate step wrote.
    version
        The result file, where there is one already: who the version is and where it comes from.
    """
    found = evaluation.get("report") or {}
    candidate, incumbent = found.get("candidate") or {}, found.get("incumbent")
    training = found.get("training") or {}
    who = f"Version {(evaluation.get('incumbent') or {}).get('version')}, serving now"
    body = [
        _header(evaluation, version or {}, training),
        sections.metrics(evaluation),
        sections.learning_curves(training),
        sections.confusion(candidate, incumbent, who),
        sections.curves(candidate, incumbent, who),
        sections.classes(candidate, incumbent),
        sections.mistakes(candidate),
        sections.section("Data and parameters", _inputs(found, training, evaluation)),
        sections.section("Where it comes from", _origin(version or {}, training)),
    ]
    name = f"Version {version['version']}" if version else "Evaluation"
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(name)}</title><style>{CSS}</style></head><body>"
    )
    return f"{head}{''.join(body)}</body></html>\n".encode(errors="replace").decode()


def _header(evaluation: Mapping[str, Any], version: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    heading = f"Version {version['version']}" if version else "Evaluation of a new model"
    when = training.get("finishedAt")
    said = [f"evaluated on {evaluation.get('samples', '?')} examples"]
    said += [f"trained until {when}"] if when else []
    return (
        f"<header><h1>{safe(heading)}</h1>"
        f'<p class="soft">{safe(", ".join(said))}</p><p>{_summary(evaluation)}</p></header>'
    )


def _summary(evaluation: Mapping[str, Any]) -> str:
    """One sentence: what it is worth, and against what serves now."""
    metrics = evaluation.get("metrics") or {}
    name = "accuracy" if "accuracy" in metrics else next(iter(metrics), None)
    if name is None:
        return "Nothing was measured."
    told = f"{title(name)} <b>{number(name, metrics[name])}</b>"
    incumbent = evaluation.get("incumbent")
    if not incumbent:
        return f"{told}. No version serves yet, so there is nothing to compare with."
    who = f"version {safe(incumbent.get('version'))}, which serves now"
    compared = (evaluation.get("comparison") or {}).get(name)
    if not compared or not is_number(compared.get("difference")):
        return f"{told}. It cannot be compared with {who}."
    verdict = sections.verdict_of(name, compared)
    said = {
        1: '<b class="better">better</b> than',
        -1: '<b class="worse">worse</b> than',
        0: "not clearly different from",
        None: "compared with",
    }[verdict]
    return f"{told}: {said} {who} ({difference(name, compared['difference'])})."


def _inputs(found: Mapping[str, Any], training: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    data = _data(found.get("data"))
    if examples := training.get("examples"):
        data["examples"] = ", ".join(f"{part} {count}" for part, count in examples.items())
    data["evaluated on"] = f"{evaluation.get('samples', '?')} examples"
    if "classes" in training:
        data["classes"] = training["classes"]
    other = _data(found.get("evaluationData"))
    return sections.columns(
        _facts("Data", data),
        _facts("Evaluation data", other),
        _facts("Parameters", training.get("parameters") or {}),
    )


def _data(record: Mapping[str, Any] | None) -> dict[str, Any]:
    if not record:
        return {}
    told = {name: record[name] for name in ("uri", "digest", "objects") if name in record}
    return {**told, "size": bytes_(record["bytes"])} if "bytes" in record else told


def _origin(version: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    identity = {name: version[key] for name, key in (("resource", "uid"), ("run", "runId")) if key in version}
    lineage = dict(version.get("lineage") or {})
    names = ("entrypoint", "packages", "python", "tensorflow", "startedAt", "finishedAt", "seconds")
    told = {name: training[name] for name in names if training.get(name) not in (None, [])}
    told.update({name: value for name, value in lineage.items() if name != "parameters" and value})
    files = version.get("manifest") or []
    if files:
        size = sum(entry["size"] for entry in files)
        identity["model"] = f"{len(files)} file{'s' if len(files) > 1 else ''}, {bytes_(size)}"
    return sections.columns(_facts("Version", identity), _facts("Training", told))


def _facts(heading: str, facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{safe(cut(str(name), 100))}</th><td>{safe(cut(_value(value), _LONGEST_VALUE))}</td></tr>'
        for name, value in list(facts.items())[:_MOST_FACTS]
    )
    return f'<h3>{safe(heading)}</h3><table class="facts">{rows}</table>' if rows else ""


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
