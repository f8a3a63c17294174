"""What the tools that bring resources from Git conclude, by their own code, in every row of the table of conditions.

The rows are the situations of the decision's own table, and each resource is what the operator's decision makes of it.
"""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.builders import a_resource
from tests.unit.decide.test_conditions import TABLE, edited, proven, stored
from tests.unit.install.gotools import ARGOCD, KSTATUS
from trainandserve.resource import API_VERSION, KIND

pytestmark = pytest.mark.slow

GITOPS = Path(__file__).parents[3] / "gitops"
Json = dict[str, Any]

NEW = "just created, not seen by the operator"
EDITED = "just edited, the edit not seen by the operator"
ROWS = [*TABLE, NEW, EDITED]


@functools.cache
def resources() -> dict[str, Json]:
    """The resource of every row, as the API server has it."""
    found = {name: stored(case.situation) for name, case in TABLE.items()}
    found[NEW] = {name: part for name, part in a_resource().dump().items() if name != "status"}
    found[EDITED] = proven.after().spec(**edited).resource.dump()
    found[EDITED]["metadata"]["generation"] = found[EDITED]["status"]["observedGeneration"] + 1
    return {name: {"apiVersion": API_VERSION, "kind": KIND, **body} for name, body in found.items()}


def _ask(program: Path, question: Json) -> list[Json]:
    done = subprocess.run(
        [program], input=json.dumps(question), check=True, capture_output=True, text=True, timeout=60
    )
    found: list[Json] = json.loads(done.stdout)
    return found


def documents(path: str) -> list[Json]:
    return list(yaml.safe_load_all((GITOPS / path).read_text()))


# --- kstatus and Flux ---------------------------------------------------------------------------------------------


@functools.cache
def flux_expressions() -> Json:
    (kustomization,) = [one for one in documents("flux/application.yaml") if one["kind"] == "Kustomization"]
    (check,) = kustomization["spec"]["healthCheckExprs"]
    assert (check.pop("apiVersion"), check.pop("kind")) == (API_VERSION, KIND)
    return dict(check)


@functools.cache
def kstatus() -> dict[str, Json]:
    question = {"expressions": flux_expressions(), "resources": list(resources().values())}
    return dict(zip(resources(), _ask(KSTATUS.needed(), question), strict=True))


def expected_status(name: str) -> str:
    return TABLE[name].kstatus if name in TABLE else "InProgress"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [name for name in ROWS if name != NEW])
def test_kstatus_concludes_what_the_table_says(name: str) -> None:
    found = kstatus()[name]
    assert (found["kstatus"], found["flux"]) == (expected_status(name), expected_status(name))


@pytest.mark.timeout(1800)
def test_kstatus_takes_a_resource_without_a_status_for_done() -> None:
    """Which is why the operator's first write, before anything that takes time, says that it is not."""
    assert kstatus()[NEW]["kstatus"] == "Current"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ROWS)
def test_fluxs_expressions_conclude_the_same_and_wait_for_nobody_who_is_suspended(name: str) -> None:
    wanted = "Current" if name.startswith("suspended") else expected_status(name)
    assert kstatus()[name]["expressions"] == ("Unknown" if name == NEW else wanted)


# --- Argo CD ------------------------------------------------------------------------------------------------------


@functools.cache
def argocd_customisations() -> Json:
    (config,) = documents("argocd/argocd-cm.yaml")
    kind = "trainandserve.io_TrainAndServe"
    return {part: config["data"][f"resource.customizations.{part}.{kind}"] for part in ("health", "actions")}


@functools.cache
def argocd() -> dict[str, Json]:
    question = argocd_customisations() | {"resources": list(resources().values())}
    return dict(zip(resources(), _ask(ARGOCD.needed(), question), strict=True))


def expected_health(name: str) -> str:
    if name.startswith("suspended"):
        return "Suspended"
    return {"Current": "Healthy", "InProgress": "Progressing", "Failed": "Degraded"}[expected_status(name)]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ROWS)
def test_argo_cd_shows_the_health_that_the_conditions_tell(name: str) -> None:
    found = argocd()[name]
    assert found["status"] == expected_health(name)
    assert found["message"]


@pytest.mark.timeout(1800)
def test_argo_cd_shows_the_operators_own_words() -> None:
    name = "the first version was rejected, nothing serves"
    stalled = [one for one in resources()[name]["status"]["conditions"] if one["type"] == "Stalled"]
    assert argocd()[name]["message"] == stalled[0]["message"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ROWS)
def test_argo_cds_action_sets_the_annotation_and_nothing_else(name: str) -> None:
    found = argocd()[name]
    assert found["offered"] == ([] if name.startswith("suspended") else ["retrain"])
    before, after = resources()[name], found["retrained"]
    assert after["metadata"]["annotations"].pop("trainandserve.io/retrain").endswith("Z")
    assert after["spec"] == before["spec"]


def test_the_scripts_in_the_config_map_are_the_files_beside_it() -> None:
    found = argocd_customisations()
    assert found["health"] == (GITOPS / "argocd" / "health.lua").read_text()
    (action,) = yaml.safe_load(found["actions"])["definitions"]
    assert action == {"name": "retrain", "action.lua": (GITOPS / "argocd" / "retrain.lua").read_text()}


def test_both_examples_apply_the_same_folder_to_the_same_namespace() -> None:
    (application,) = documents("argocd/application.yaml")
    (kustomization,) = [one for one in documents("flux/application.yaml") if one["kind"] == "Kustomization"]
    source, there = application["spec"]["source"], application["spec"]["destination"]
    assert kustomization["spec"]["path"] == f"./{source['path']}"
    assert kustomization["spec"]["targetNamespace"] == there["namespace"]
