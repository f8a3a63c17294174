"""The page's parts. Each returns HTML, or nothing where an evaluation has nothing of the kind."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.report import charts
from trainer.report.charts import Frame, Line
from trainer.report.text import cut, difference, direction, interval, is_number, number, safe, title

_OPEN_ROWS = 15
_CORNER_AREA = 0.99  # from which on all that is to be seen of a ROC curve is in its corner
_TENTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
Told = Mapping[str, Any]


def section(heading: str, content: str, about: str = "") -> str:
    """Return a card with a heading; nothing without content."""
    if not content:
        return ""
    said = f'<p class="soft">{about}</p>' if about else ""
    return f"<section><h2>{safe(heading)}</h2>{said}{content}</section>"


def columns(*parts: str) -> str:
    """Return parts side by side where there is room."""
    there = [f"<div>{part}</div>" for part in parts if part]
    return f'<div class="columns">{"".join(there)}</div>' if there else ""


def metrics(evaluation: Told) -> str:
    """Return the table of metrics: the candidate's, the incumbent's, and how far they are apart."""
    incumbent = evaluation.get("incumbent") or {}
    theirs = incumbent.get("metrics")
    head = ["Metric", "This model"]
    if theirs is not None:
        head += [f"Version {incumbent.get('version')}, serving now", "Difference"]
    rows = "".join(_metric(name, evaluation, theirs) for name in evaluation.get("metrics") or {})
    cells = "".join(
        f'<th{" class=number" if at else ""} scope="col">{safe(text)}</th>' for at, text in enumerate(head)
    )
    about = "In small print: 95% confidence intervals." if evaluation.get("intervals") else ""
    table = f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"
    return section("Metrics", _incumbent_note(incumbent) + table, about)


def _incumbent_note(incumbent: Told) -> str:
    if "error" not in incumbent:
        return ""
    who = safe(incumbent.get("version"))
    return f'<p class="note">Version {who}, serving now, cannot be evaluated on this data: {safe(incumbent["error"])}</p>'


def _metric(name: str, evaluation: Told, theirs: Told | None) -> str:
    mine = evaluation["metrics"][name]
    cells = f'<th scope="row">{title(name)}</th>' + _value(
        name, mine, (evaluation.get("intervals") or {}).get(name)
    )
    if theirs is not None:
        their_intervals = evaluation["incumbent"].get("intervals") or {}
        cells += _value(name, theirs.get(name), their_intervals.get(name))
        cells += _difference(name, (evaluation.get("comparison") or {}).get(name) or {})
    return f"<tr>{cells}</tr>"


def _value(name: str, value: Any, ends: Any) -> str:
    small = interval(name, ends)
    printed = f"<small>{small}</small>" if small else ""
    return f'<td class="number" data-of="{title(name)}">{number(name, value)}{printed}</td>'


def _difference(name: str, compared: Told) -> str:
    value, ends = compared.get("difference"), compared.get("interval")
    verdict = verdict_of(name, compared)
    said = {1: "better", -1: "worse", 0: "no clear difference", None: ""}[verdict]
    look = {1: " better", -1: " worse"}.get(verdict or 0, "")
    small = "; ".join(part for part in (said, interval(name, ends, of_difference=True)) if part)
    return (
        f'<td class="number{look}">{difference(name, value)}{f"<small>{small}</small>" if small else ""}</td>'
    )


def verdict_of(name: str, compared: Told) -> int | None:
    """Return 1 for better than the incumbent, -1 for worse, 0 where chance explains it, None where nobody knows."""
    ends, sense = compared.get("interval"), direction(name)
    if not is_number(compared.get("difference")) or not sense or not ends:
        return None
    if ends[0] <= 0 <= ends[1]:
        return 0
    return sense if ends[0] > 0 else -sense


def learning_curves(training: Told) -> str:
    """Return loss and accuracy (or whatever a recipe told) by epoch."""
    history = [entry for entry in training.get("history") or [] if isinstance(entry, Mapping)]
    told = {name for entry in history for name in entry if name != "epoch"}
    drawings = []
    for name in sorted(told, key=lambda each: (each != "loss", each != "accuracy", each)):
        if name.startswith("validation_") and name.removeprefix("validation_") in told:
            continue
        curves = [_by_epoch(history, name, "training", "candidate")]
        if f"validation_{name}" in told:
            curves.insert(0, _by_epoch(history, f"validation_{name}", "validation", "incumbent"))
        drawn = charts.lines(
            f"{name} by epoch", Frame("epoch", name), [curve for curve in curves if curve.points]
        )
        drawings.append(f"<h3>{title(name)}</h3>{drawn}" if drawn else "")
    return section("Learning curves", columns(*drawings[:6]))


def _by_epoch(history: Sequence[Told], name: str, said: str, look: str) -> Line:
    points = [
        (float(entry["epoch"]), float(entry[name]))
        for entry in history
        if is_number(entry.get(name)) and is_number(entry.get("epoch"))
    ]
    return Line(points, said, look, dots=len(points) <= 40)


def confusion(candidate: Told, incumbent: Told | None, who: str) -> str:
    """Return the confusion matrices side by side."""
    drawn = [_matrix("This model", candidate)]
    if incumbent:
        drawn.append(_matrix(who, incumbent))
    about = (
        "Rows are what it is, columns what it was taken for; the stronger the colour, the more of the row."
    )
    if left_out := (candidate.get("confusion") or {}).get("leftOut"):
        about += f" The {len(candidate['confusion']['names'])} most confused classes; {left_out} more are not shown."
    return section("Confusion matrix", columns(*drawn), about)


def _matrix(heading: str, found: Told) -> str:
    shown = found.get("confusion")
    if not shown or not shown["names"]:
        return ""
    return f"<h3>{safe(heading)}</h3>{charts.matrix(f'Confusion matrix of {heading}', shown)}"


def curves(candidate: Told, incumbent: Told | None, who: str) -> str:
    """Return ROC and calibration, each with the incumbent's beside the candidate's."""
    return section(
        "Curves", columns(_roc(candidate, incumbent, who), _calibration(candidate, incumbent, who))
    )


def _roc(candidate: Told, incumbent: Told | None, who: str) -> str:
    found = candidate.get("roc") or []
    if not found:
        return ""
    said = [_roc_line(curve, cut(str(curve["name"]), 40), "faint") for curve in reversed(found[1:])]
    if incumbent and (theirs := incumbent.get("roc")):
        said.append(_roc_line(theirs[0], who, "incumbent"))
    said.append(_roc_line(found[0], f"This model, {cut(str(found[0]['name']), 40)}", "candidate"))
    frame = Frame("false alarms", "found", (0, 1), (0, 1), diagonal=True, ticks=_TENTHS)
    if min(curve["auc"] for curve in found) >= _CORNER_AREA:
        frame = Frame("false alarms, up to 10%", "found, from 90%", (0, 0.1), (0.9, 1))
    faint = '<p class="soft">Thin: the classes with the smallest area.</p>' if len(found) > 1 else ""
    return f"<h3>ROC</h3>{charts.lines('ROC curves', frame, said)}{faint}"


def _roc_line(curve: Told, name: str, look: str) -> Line:
    return Line(list(zip(curve["fpr"], curve["tpr"], strict=True)), f"{name}: area {curve['auc']:.4f}", look)


def _calibration(candidate: Told, incumbent: Told | None, who: str) -> str:
    drawn = []
    for found, name, look in ((incumbent, who, "incumbent"), (candidate, "This model", "candidate")):
        points = [(row["confidence"], row["accuracy"]) for row in (found or {}).get("calibration") or []]
        if points:
            drawn.append(Line(points, name, look, dots=True))
    if not drawn:
        return ""
    frame = Frame("confidence", "accuracy", (0, 1), (0, 1), diagonal=True, ticks=_TENTHS)
    about = (
        '<p class="soft">On the dotted line, what is said with 80% confidence is right 80 times of 100.</p>'
    )
    return f"<h3>Calibration</h3>{charts.lines('Calibration', frame, drawn)}{about}"


def classes(candidate: Told, incumbent: Told | None) -> str:
    """Return the table of classes, the worst first; a long one is folded."""
    rows = sorted(
        candidate.get("classes") or [], key=lambda row: float(2.0 if row["f1"] is None else row["f1"])
    )
    if not rows:
        return ""
    theirs = {row["name"]: row for row in (incumbent or {}).get("classes") or []}
    drawn = [_class(row, theirs.get(row["name"], {}), bool(incumbent)) for row in rows]
    head = ["Class", "Examples", "Precision", "Recall", "F1"]
    head += ["F1 now"] if incumbent else []
    cells = "".join(
        f'<th{" class=number" if at else ""} scope="col">{text}</th>' for at, text in enumerate(head)
    )
    table = f'<table class="classes"><thead><tr>{cells}</tr></thead><tbody>%s</tbody></table>'
    content = table % "".join(drawn[:_OPEN_ROWS])
    if drawn[_OPEN_ROWS:]:
        rest = table % "".join(drawn[_OPEN_ROWS:])
        content += f"<details><summary>{len(drawn) - _OPEN_ROWS} more classes</summary>{rest}</details>"
    return section("Classes", content, "The worst first. In small print: 95% confidence intervals.")


def _class(row: Told, theirs: Told, compared: bool) -> str:
    name = f'<th scope="row" title="{safe(row["name"])}">{safe(cut(str(row["name"]), 80))}</th>'
    cells = f'<td class="number" data-of="Examples">{row["support"]}</td>'
    for metric in ("precision", "recall"):
        cells += _value(metric, row[metric], row.get(f"{metric}Interval"))
    width = f"{100 * row['f1']:.1f}" if is_number(row["f1"]) else "0"
    bar = f'<div class="bar"><i style="width:{width}%"></i></div>'
    cells += f'<td class="number" data-of="F1">{number("f1", row["f1"])}{bar}</td>'
    if compared:
        cells += f'<td class="number" data-of="F1 now">{number("f1", theirs.get("f1"))}</td>'
    return f"<tr>{name}{cells}</tr>"


def mistakes(candidate: Told) -> str:
    """Return the worst mistakes, as pictures where they are pictures."""
    found = candidate.get("mistakes") or []
    if not found:
        return ""
    shown = "".join(_mistake(each) for each in found)
    wrong = candidate.get("wrong", len(found))
    about = f"{len(found)} of {wrong} wrong answers: those that gave the right one the least probability."
    return section("Worst mistakes", f'<div class="pictures">{shown}</div>', about)


def _mistake(found: Told) -> str:
    what = f"example {found['index']}"
    if "picture" in found:
        drawn = f'<img src="{safe(found["picture"])}" alt="{safe(what)}" title="{safe(what)}">'
    else:
        drawn = f'<div class="values" title="{safe(what)}">{safe(found.get("values", ""))}</div>'
    said = f"<b>{safe(cut(str(found['actual']), 40))}</b> taken for <b>{safe(cut(str(found['predicted']), 40))}</b>"
    sure = f"<small>{100 * found['confidence']:.1f}\N{NO-BREAK SPACE}% sure</small>"
    return f"<figure>{drawn}<figcaption>{said} {sure}</figcaption></figure>"
