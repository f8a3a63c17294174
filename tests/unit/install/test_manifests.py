"""The manifests: what the operator is given, and what it is not."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml

from tests.unit.install.rendering import MANIFESTS, OVERLAYS, ROOT, Json, kustomize, of_kind, only, overlay
from trainandserve import operation
from trainandserve.settings import Settings

OPERATIONS = ROOT / "docs" / "operations.md"
ROLES = ("Role", "ClusterRole")
BINDINGS = ("RoleBinding", "ClusterRoleBinding")
Right = tuple[str, str, str]


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[Json]:
    return overlay(request.param)


def rights(role: Json) -> set[Right]:
    """Group, resource and verb of everything that a role grants."""
    rules: list[dict[str, list[str]]] = role["rules"]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted(objects: list[Json]) -> set[Right]:
    """What is granted to the operator by a binding of these objects."""
    names = {(one["roleRef"]["kind"], one["roleRef"]["name"]) for one in of_kind(objects, *BINDINGS)}
    bound = [one for one in of_kind(objects, *ROLES) if (one["kind"], one["metadata"]["name"]) in names]
    return set().union(*map(rights, bound))


def sandbox() -> list[Json]:
    return list(yaml.safe_load_all((MANIFESTS / "rbac.yaml").read_text()))


# --- Rights -------------------------------------------------------------------------------------------------------


def test_no_role_holds_a_wildcard(objects: list[Json]) -> None:
    for role in [*of_kind(objects, *ROLES), *of_kind(sandbox(), *ROLES)]:
        words = [word for right in rights(role) for word in right]
        assert "*" not in words, role["metadata"]["name"]
        assert not any("nonResourceURLs" in rule for rule in role["rules"])


def test_every_binding_names_the_operators_own_account(objects: list[Json]) -> None:
    account = only(objects, "ServiceAccount")["metadata"]
    wanted = [{"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}]
    assert {one["metadata"]["name"]: one["subjects"] for one in of_kind(objects, *BINDINGS)} == {
        one["metadata"]["name"]: wanted for one in of_kind(objects, *BINDINGS)
    }


def test_secrets_are_read_only_where_an_administrator_says_so() -> None:
    for name in ("cluster-wide", "single-user"):
        assert not [right for right in granted(overlay(name)) if right[1] == "secrets"]
        assert ("", "secrets", "get") in rights(
            only(overlay(name), "ClusterRole", "trainandserve-credentials")
        )
    (binding,) = kustomize(MANIFESTS / "tenant")
    assert binding["kind"] == "RoleBinding"
    assert binding["roleRef"]["name"] == "trainandserve-credentials"
    assert (
        binding["subjects"][0]["namespace"]
        == only(overlay("cluster-wide"), "ServiceAccount")["metadata"]["namespace"]
    )


def test_secrets_are_only_ever_read_one_by_one(objects: list[Json]) -> None:
    verbs = {right[2] for role in of_kind(objects, *ROLES) for right in rights(role) if right[1] == "secrets"}
    assert verbs == {"get"}


def test_one_teams_operator_has_no_right_outside_its_namespace() -> None:
    objects = overlay("single-namespace")
    assert not of_kind(objects, "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace")
    assert {one["metadata"]["namespace"] for one in objects} == {"vision"}


def test_single_user_runs_are_looked_after_in_the_platforms_namespace_alone() -> None:
    objects = overlay("single-user")
    everywhere = [
        role for role in of_kind(objects, "ClusterRole") if any(r[1] == "workflows" for r in rights(role))
    ]
    assert not everywhere
    assert only(objects, "Role", "trainandserve-runs")["metadata"]["namespace"] == "kubeflow"


def test_the_sandboxs_rights_are_those_of_the_cluster_wide_installation_and_a_few() -> None:
    more = {("", "secrets", "get"), ("", "namespaces", "list"), ("", "namespaces", "watch")}
    assert granted(sandbox()) == granted(overlay("cluster-wide")) | more


def test_people_get_what_their_role_in_a_namespace_says(objects: list[Json]) -> None:
    people = [one for one in of_kind(objects, "ClusterRole") if _aggregated(one)]
    for role in people:
        assert {right[0] for right in rights(role)} == {"trainandserve.io"}
    for role in people:  # nobody but the operator writes a status
        assert {right[1] for right in rights(role)} == {"trainandserves"}


def _aggregated(role: Json) -> list[str]:
    return [label for label in role["metadata"].get("labels", ()) if "aggregate-to" in label]


# --- The Deployment -----------------------------------------------------------------------------------------------


def pod(objects: list[Json]) -> Json:
    found: Json = only(objects, "Deployment")["spec"]["template"]
    return found


def container(objects: list[Json]) -> Json:
    (found,) = pod(objects)["spec"]["containers"]
    return dict(found)


def test_the_container_can_change_nothing_and_has_no_privilege(objects: list[Json]) -> None:
    spec, context = pod(objects)["spec"], container(objects)["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not [volume for volume in spec["volumes"] if set(volume) - {"name", "projected", "configMap"}]


@pytest.mark.parametrize("name", ["USER", "HOME"])
def test_a_bare_uid_is_told_what_it_is_asked_for_at_the_start(objects: list[Json], name: str) -> None:
    assert [one for one in container(objects)["env"] if one["name"] == name and one["value"]]


def test_the_token_for_kubeflow_pipelines_is_for_them_and_where_it_is_looked_for(objects: list[Json]) -> None:
    (source,) = only_volume(objects, "kfp-token")["projected"]["sources"]
    token = source["serviceAccountToken"]
    (mount,) = [one for one in container(objects)["volumeMounts"] if one["name"] == "kfp-token"]
    assert token["audience"] == "pipelines.kubeflow.org"
    assert f"{mount['mountPath']}/{token['path']}" == str(Settings().kfp_token_path)


def test_queries_are_mounted_where_there_are_any_and_asked_for_nowhere_else(objects: list[Json]) -> None:
    assert only_volume(objects, "queries")["configMap"] == {"name": "trainandserve-queries", "optional": True}
    (mount,) = [one for one in container(objects)["volumeMounts"] if one["name"] == "queries"]
    assert f"TAS_ANALYSIS_QUERIES={mount['mountPath']}/queries.yaml" in OPERATIONS.read_text()


def only_volume(objects: list[Json], name: str) -> Json:
    (found,) = [one for one in pod(objects)["spec"]["volumes"] if one["name"] == name]
    return dict(found)


def test_the_probes_ask_where_the_operator_answers(objects: list[Json]) -> None:
    (port,) = container(objects)["ports"]
    assert port == {"name": "http", "containerPort": Settings().port}
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    assert {kind: container(objects)[kind]["httpGet"] for kind in kinds} == {
        "startupProbe": {"path": "/healthz", "port": "http"},
        "livenessProbe": {"path": "/healthz", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }


def test_no_service_of_the_namespace_sets_a_setting(objects: list[Json]) -> None:
    """Kubernetes would give a pod TAS_PORT=tcp://... for a Service named tas: a setting of ours."""
    assert pod(objects)["spec"]["enableServiceLinks"] is False


def test_the_end_is_given_the_time_that_it_takes(objects: list[Json]) -> None:
    longest = operation._FINISH_SECONDS + Settings().request_timeout.total_seconds()
    assert pod(objects)["spec"]["terminationGracePeriodSeconds"] > longest


def test_two_replicas_and_one_that_leads(objects: list[Json]) -> None:
    assert only(objects, "Deployment")["spec"]["replicas"] == 2
    assert environment(objects)["TAS_LEASE_NAMESPACE"] == "metadata.namespace"
    assert Settings().leader_election and "TAS_LEADER_ELECTION" not in environment(objects)
    lease = only(objects, "Role", "trainandserve-lease")["rules"]
    assert [rule.get("resourceNames") for rule in lease] == [None, [Settings().lease_name]]


def environment(objects: list[Json]) -> dict[str, str]:
    """The variables of the container, with the field's path for one that takes it from the pod."""
    found: dict[str, str] = dict(only(objects, "ConfigMap")["data"])
    for one in container(objects)["env"]:
        found[one["name"]] = one.get("value") or one["valueFrom"]["fieldRef"]["fieldPath"]
    return found


def test_every_setting_is_one_that_the_operator_has(
    objects: list[Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {name: value for name, value in environment(objects).items() if name.startswith("TAS_")}
    assert {name.removeprefix("TAS_").lower() for name in wanted} <= set(Settings.model_fields)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    Settings()


def test_the_settings_a_pod_started_with_are_those_of_its_config_map(objects: list[Json]) -> None:
    (source,) = container(objects)["envFrom"]
    name = source["configMapRef"]["name"]
    assert name == only(objects, "ConfigMap")["metadata"]["name"]
    assert re.fullmatch(
        "trainandserve-settings-[a-z0-9]{10}", name
    )  # another content, another name: pods restart


def test_everything_that_selects_pods_selects_these(objects: list[Json]) -> None:
    labels = pod(objects)["metadata"]["labels"]
    for selector in _selectors(objects):
        assert selector and selector.items() <= labels.items()


def _selectors(objects: list[Json]) -> Iterator[dict[str, Any]]:
    yield only(objects, "Service")["spec"]["selector"]
    yield only(objects, "Deployment")["spec"]["selector"]["matchLabels"]
    yield only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    yield only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    for spread in pod(objects)["spec"]["topologySpreadConstraints"]:
        yield spread["labelSelector"]["matchLabels"]


DESTINATIONS = [
    ("pod", "10.1.2.3", 8888, True),
    ("node", "10.0.0.4", 6443, True),
    ("outside", "203.0.113.5", 443, True),
    ("outside", "203.0.113.5", 9000, True),
    ("outside", "2001:db8::5", 9000, True),
    ("metadata", "169.254.169.254", 80, False),
    ("metadata", "fd00:ec2::254", 80, False),
]


@pytest.mark.parametrize("outside_alone", [False, True])
def test_the_operator_reaches_what_it_needs_and_no_metadata_service(
    objects: list[Json], outside_alone: bool
) -> None:
    """Also with a network plugin for which no pod and no node is in a block of addresses."""
    rules = only(objects, "NetworkPolicy")["spec"]["egress"]
    for where, address, port, reached in DESTINATIONS:
        blocks = not outside_alone or where in ("outside", "metadata")
        let = any(_lets(rule, where == "pod", blocks, address, port) for rule in rules)
        assert let == reached, (where, address, port)


def _lets(rule: Json, pod: bool, blocks: bool, address: str, port: int) -> bool:
    """Whether a rule lets a connection out; `blocks`: whether blocks of addresses say anything about where it goes."""
    ports, peers = rule.get("ports"), rule.get("to")
    if ports and port not in [one["port"] for one in ports]:
        return False
    if not peers or (pod and {"namespaceSelector": {}} in peers):
        return True
    return blocks and any(_within(one["ipBlock"], address) for one in peers if "ipBlock" in one)


def _within(block: Json, address: str) -> bool:
    inside, *excepted = [ip_network(one) for one in (block["cidr"], *block["except"])]
    return ip_address(address) in inside and not any(ip_address(address) in one for one in excepted)


def test_the_images_are_of_this_version(objects: list[Json]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert container(objects)["image"].endswith(f"/operator:{version}")
    assert environment(objects)["TAS_TRAINER_IMAGE"] == Settings().trainer_image


@pytest.mark.parametrize("name", ["cluster-wide", "single-user"])
def test_the_definition_is_the_one_made_of_the_models(name: str) -> None:
    made = yaml.safe_load((ROOT / "crds" / "trainandserves.yaml").read_text())
    assert only(overlay(name), "CustomResourceDefinition") == made
