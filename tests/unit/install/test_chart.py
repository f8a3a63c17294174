"""The chart makes the same objects as the overlays."""

from __future__ import annotations

import copy
import functools
import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.install.gotools import HELM, on_path
from tests.unit.install.rendering import MANIFESTS, OVERLAYS, ROOT, Json, kustomize, of_kind, only, overlay
from trainandserve.queries import read_queries

pytestmark = pytest.mark.slow

CHART = ROOT / "charts" / "trainandserve"
NAMESPACES = {"single-namespace": "vision"}
KUBERNETES = "1.34.0"


@functools.cache
def _helm() -> Path:
    return on_path("helm") or HELM.needed()


def template(namespace: str, *options: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HELM_CACHE_HOME": str(home), "HELM_CONFIG_HOME": str(home)}
    command = [
        _helm(),
        "template",
        "tas",
        CHART,
        "--namespace",
        namespace,
        "--kube-version",
        KUBERNETES,
        *options,
    ]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)


def render(namespace: str, *options: str, home: Path) -> list[Json]:
    """The objects that the chart makes."""
    done = template(namespace, *options, home=home)
    assert done.returncode == 0, done.stderr
    return [body for body in yaml.safe_load_all(done.stdout) if body]


def plain(objects: list[Json]) -> dict[str, Json]:
    """The objects by kind, namespace and name, without what only tells which tool made them."""
    return {_key(body): body for body in map(_plain, copy.deepcopy(objects))}


def _plain(body: Json) -> Json:
    metadata = body["metadata"]
    labels = {name: v for name, v in metadata.pop("labels", {}).items() if "aggregate" in name}
    metadata |= {"labels": labels} if labels else {}
    metadata["name"] = _settings_name(metadata["name"])
    if body["kind"] == "CustomResourceDefinition":
        metadata.pop("annotations", None)
    if body["kind"] == "Deployment":
        pod = body["spec"]["template"]
        pod["metadata"]["annotations"].pop("trainandserve.io/settings", None)
        source = pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]
        source["name"] = _settings_name(source["name"])
    if body["kind"] in ("Role", "ClusterRole"):
        body["rules"] = sorted(body["rules"], key=lambda rule: json.dumps(rule, sort_keys=True))
    return body


def _settings_name(name: str) -> str:
    """A ConfigMap of kustomize carries a hash of its content; the chart annotates the pods with it."""
    return "trainandserve-settings" if name.startswith("trainandserve-settings-") else name


def _key(body: Json) -> str:
    return "/".join((body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]))


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_chart_makes_the_objects_of_the_overlay(name: str, tmp_path: Path) -> None:
    crds = "false" if name == "single-namespace" else "true"
    namespace = NAMESPACES.get(name, "trainandserve")
    made = plain(render(namespace, "--set", f"scope={name},crds.install={crds}", home=tmp_path))
    wanted = plain(overlay(name))
    wanted.pop(
        "Namespace//trainandserve", None
    )  # helm install --create-namespace; its labels are the administrator's
    assert set(made) == set(wanted)
    for key, body in wanted.items():
        assert made[key] == body, key


def test_named_namespaces_get_the_tenants_binding(tmp_path: Path) -> None:
    objects = render("trainandserve", "--set", "credentialsNamespaces={vision}", home=tmp_path)
    (binding,) = kustomize(MANIFESTS / "tenant")
    assert plain(objects)["RoleBinding/vision/trainandserve-credentials"] == binding


def test_queries_are_a_file_that_the_operator_takes_and_others_restart_the_pods(tmp_path: Path) -> None:
    example = (ROOT / "examples" / "analysis" / "queries.yaml").read_text()
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"queries": yaml.safe_load(example)}))
    objects = render("trainandserve", "--values", str(values), home=tmp_path)
    file = only(objects, "ConfigMap", "trainandserve-queries")["data"]["queries.yaml"]
    assert read_queries(file, ("namespace",)) == read_queries(example, ("namespace",))
    assert "TAS_ANALYSIS_QUERIES" in only(objects, "ConfigMap", "trainandserve-settings")["data"]
    template_of = [
        only(made, "Deployment")["spec"]["template"]
        for made in (objects, render("trainandserve", home=tmp_path))
    ]
    assert template_of[0] != template_of[1]


def test_other_settings_restart_the_pods(tmp_path: Path) -> None:
    def annotations(*options: str) -> Any:
        objects = render("trainandserve", *options, home=tmp_path)
        return only(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert annotations() == annotations() != annotations("--set", "settings.TAS_LOG_LEVEL=debug")


def test_a_digest_wins_over_the_tag(tmp_path: Path) -> None:
    digest = f"sha256:{'0' * 64}"
    objects = render("trainandserve", "--set-string", f"image.digest={digest},image.tag=1", home=tmp_path)
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(f"/operator@{digest}")


def test_the_definition_outlives_the_release_unless_told_otherwise(tmp_path: Path) -> None:
    def annotations(*options: str) -> Any:
        objects = render("trainandserve", *options, home=tmp_path)
        return only(objects, "CustomResourceDefinition")["metadata"].get("annotations")

    assert annotations() == {"helm.sh/resource-policy": "keep"}
    assert annotations("--set", "crds.keep=false") is None


@pytest.mark.parametrize(
    "wrong",
    [
        "scope=everywhere",
        "replicas=0",
        "replica=2",
        "settings.LOG_LEVEL=debug",
        "image.digest=latest",
        "credentialsNamespaces={Vision}",
        "queries.error-rate.expr=up",
    ],
)
def test_the_schema_refuses(wrong: str, tmp_path: Path) -> None:
    done = template("trainandserve", "--set", wrong, home=tmp_path)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


def test_everything_can_be_left_out(tmp_path: Path) -> None:
    options = "crds.install=false,networkPolicy.enabled=false,aggregateRoles=false"
    objects = render("trainandserve", "--set", options, home=tmp_path)
    assert not of_kind(objects, "CustomResourceDefinition", "NetworkPolicy")
    assert {one["metadata"]["name"] for one in of_kind(objects, "ClusterRole")} == {
        "trainandserve",
        "trainandserve-runs",
        "trainandserve-credentials",
    }


# --- Without helm -------------------------------------------------------------------------------------------------


def schema() -> Json:
    found: Json = json.loads((CHART / "values.schema.json").read_text())
    return found


def _described(part: Json, path: str) -> Iterator[tuple[str, bool]]:
    for name, value in part.get("properties", {}).items():
        if "properties" in value:
            yield from _described(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", bool(value.get("description"))


def test_every_value_is_described_and_has_a_default() -> None:
    described = dict(_described(schema(), ""))
    assert all(described.values()), described
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for path in described:
        found = values
        for name in path.split("."):
            assert path == "global" or name in found, path
            found = found.get(name, {})
    assert set(values) <= set(schema()["properties"])


def test_the_chart_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
