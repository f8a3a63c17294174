"""What is written for readers agrees with the code."""

from __future__ import annotations

import json
import logging
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.builders import a_situation
from tests.unit.docs import tables
from tests.unit.install.rendering import kustomize, only
from trainandserve import logs, reasons
from trainandserve.resource import API_VERSION, KIND, Spec, TrainAndServe

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text()
BEHAVIOUR = (ROOT / "docs" / "behaviour.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SOURCE = "".join(file.read_text() for file in (ROOT / "operator").rglob("*.py") if file.name != "reasons.py")


def of(pages: list[Path]) -> Any:
    return pytest.mark.parametrize("page", pages, ids=[str(page.relative_to(ROOT)) for page in pages])


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as the usual renderers make them."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def all_reasons() -> dict[str, str]:
    return {name: value for name, value in vars(reasons).items() if name.isupper()}


def reasons_for_events() -> set[str]:
    listed = (ROOT / "operator" / "trainandserve" / "reasons.py").read_text().split("# Events")[1]
    return {value for name, value in all_reasons().items() if re.search(rf"^{name}:", listed, re.MULTILINE)}


def reasons_of_conditions() -> set[str]:
    """Those that the code uses, the events' own aside."""
    used = {value for name, value in all_reasons().items() if re.search(rf"\breasons\.{name}\b", SOURCE)}
    return used - reasons_for_events()


def first_column(text: str, heading: str) -> set[str]:
    """The words in backticks that the rows below a heading begin with."""
    section = re.split(r"^#+ ", text.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


@of(PAGES)
def test_relative_links_lead_somewhere(page: Path) -> None:
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", outside):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(file.read_text()), f"{target}: no such heading"


@of(PAGES)
def test_yaml_blocks_parse_and_resources_in_them_are_valid(page: Path) -> None:
    for block in code_blocks(page.read_text(), "yaml"):
        for document in yaml.safe_load_all(block):
            if isinstance(document, dict) and document.get("kind") == KIND:
                check_resource(document)


def check_resource(document: dict[str, Any]) -> None:
    assert document["apiVersion"] == API_VERSION
    TrainAndServe.model_validate({**document, "metadata": {**document["metadata"], "uid": "1"}})
    assert spec_paths(document["spec"]) <= tables.field_names(), "a field that the definition does not know"


def spec_paths(value: Any, prefix: str = "") -> set[str]:
    """Paths of the fields that are set, as far as the definition names them (a map's keys are the user's)."""
    found = set()
    for name, inner in value.items():
        path = f"{prefix}{name}"
        found.add(path)
        inside = [inner] if isinstance(inner, dict) else inner if isinstance(inner, list) else []
        separator = "[]." if isinstance(inner, list) else "."
        if any(known.startswith(path + separator) for known in tables.field_names()):
            for one in inside:
                found |= spec_paths(one, path + separator)
    return found


@pytest.mark.parametrize("place", tables.PLACES, ids=lambda place: place.name)
def test_tables_are_those_of_the_code(place: tables.Place) -> None:
    assert place.found() == place.made(), f"{place.page}: write it anew: python -m tests.unit.docs.tables"


def test_the_first_fields_of_the_table_are_those_of_the_models() -> None:
    own = {field.alias or name for name, field in Spec.model_fields.items()}
    assert own == {path for path in tables.field_names() if "." not in path}


def test_every_reason_of_a_condition_has_advice() -> None:
    listed = first_column(README, "## When something is not right")
    assert reasons_of_conditions() <= listed, "README.md, When something is not right: reasons are missing"
    assert listed <= set(all_reasons().values()), "README.md advises on reasons that there are not"


def test_every_event_is_described() -> None:
    listed = first_column(BEHAVIOUR, "## Events")
    sent = {
        value
        for name, value in all_reasons().items()
        if re.search(rf'Note\(\s*"\w+",\s*reasons\.{name}\b', SOURCE)
    }
    assert sent == listed


def test_every_setting_of_time_is_named_where_its_effect_is_described() -> None:
    named = set(re.findall(r"TAS_[A-Z0-9_]+", BEHAVIOUR))
    known = set(re.findall(r"`(TAS_[A-Z0-9_]+)`", tables.settings()))
    assert named <= known, "docs/behaviour.md names settings that there are not"
    times = {
        f"TAS_{name}" for name in ("SUBMIT_PATIENCE", "LOST_PATIENCE", "RUN_BACKOFF", "RUN_READ_INTERVAL")
    } | {f"TAS_{name}" for name in ("STALL_AFTER", "PROOF_DEADLINE", "PROOF_DURATION", "DELETION_PATIENCE")}
    times |= {"TAS_RESYNC", "TAS_LEASE_DURATION", "TAS_LEASE_RENEWAL", "TAS_REQUEST_TIMEOUT"}
    assert times <= named


def test_every_alert_says_what_to_do() -> None:
    (group,) = yaml.safe_load((ROOT / "observability" / "alerts.yaml").read_text())["groups"]
    rows = re.findall(r"^\| `(TrainAndServe\w+)` \| (\w+), (\d+) min \| (.+) \|$", OPERATIONS, re.MULTILINE)
    assert [row[:3] for row in rows] == [
        (rule["alert"], rule["labels"]["severity"], rule["for"].removesuffix("m")) for rule in group["rules"]
    ]


@of(PAGES)
def test_settings_metrics_alerts_and_reasons_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    settings = set(re.findall(r"`(TAS_[A-Z0-9_]+)`", tables.settings() + tables.e2e()))
    assert set(re.findall(r"`(TAS_[A-Z0-9_]+)`", text)) <= settings
    assert set(re.findall(r"`(trainandserve_[a-z_]+)`", text)) <= set(tables.metric_names()) | {
        name.removesuffix("_total") for name in tables.metric_names()
    }
    alerts = set(re.findall(r"alert: (\w+)", (ROOT / "observability" / "alerts.yaml").read_text()))
    assert set(re.findall(r"`(TrainAndServe[A-Z]\w+)`", text)) <= alerts


def test_every_field_of_the_log_is_described() -> None:
    record = logging.LogRecord("trainandserve.leader", logging.INFO, "leader.py", 1, "it leads", (), None)
    record.exc_info = (ValueError, ValueError("unforeseen"), None)
    with logs.about(a_situation().with_run("Running").resource):
        line = json.loads(logs._Json().format(record))
    assert set(line) == first_column(OPERATIONS, "## Log and events")


@of(PAGES)
def test_files_that_commands_name_exist(page: Path) -> None:
    own = {"install/"}  # the reader's, of the block before
    for block in code_blocks(page.read_text(), "sh"):
        for path in re.findall(r"(?:kubectl .*(?:-f|-k) |helm install \S+ )([\w./-]+)", block):
            assert path in own or (ROOT / path).exists(), f"{page.name}: {path}"


def test_the_overlay_of_ones_own_that_the_readme_shows_installs_what_it_says(tmp_path: Path) -> None:
    (block,) = [one for one in code_blocks(README, "yaml") if "# install/kustomization.yaml" in one]
    folder = tmp_path / "install"
    folder.mkdir()
    manifests = os.path.relpath(ROOT / "manifests", folder)
    (folder / "kustomization.yaml").write_text(block.replace("../manifests", manifests))
    objects = kustomize(folder)
    settings, deployment = only(objects, "ConfigMap")["data"], only(objects, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert container["image"] == f"registry.example/team/operator:{version}"
    assert container["envFrom"][0]["configMapRef"]["name"] == only(objects, "ConfigMap")["metadata"]["name"]
    for line in re.findall(r"- (TAS_\w+=.*)", block):
        name, _, value = line.partition("=")
        assert settings[name] == value


@of(PAGES)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    named = set(re.findall(r"`make ([a-z][a-z0-9-]*)", text))
    for block in code_blocks(text, "sh"):
        named |= set(re.findall(r"^(?:\$ )?make ([a-z][a-z0-9-]*)", block, re.MULTILINE))
    assert named <= targets


@of(PAGES)
def test_modules_and_files_that_are_named_exist(page: Path) -> None:
    for module in set(re.findall(r"python -m ((?:trainer|sandbox|tests)[a-z_.]*)", page.read_text())):
        path = ROOT / module.rstrip(".").replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), module
    for name in set(
        re.findall(
            r"`((?:operator|trainer|sandbox|tests|examples|crds|charts|manifests|gitops|observability|requirements)/[\w./-]*)`",
            page.read_text(),
        )
    ):
        assert (ROOT / name).exists(), f"{page.name} names {name}, which is not there"


@of(PAGES)
def test_decisions_are_dated(page: Path) -> None:
    if page.parent.name == "decisions" and page.name != "README.md":
        assert re.search(r"^Date: \d{4}-\d{2}-\d{2}$", page.read_text(), re.MULTILINE)
        assert "## Alternatives" in page.read_text()
