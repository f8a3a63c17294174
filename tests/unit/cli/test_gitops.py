"""What Argo CD or Flux keeps from Git is not changed beside it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.cli.standing import Shell
from trainandserve.cli.gitops import for_git, keeper

FLUX = {"kustomize.toolkit.fluxcd.io/name": "models", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
HELM = {"helm.toolkit.fluxcd.io/name": "models", "helm.toolkit.fluxcd.io/namespace": "vision"}
INSTANCE = {"app.kubernetes.io/instance": "models"}
TRACKED = {"argocd.argoproj.io/tracking-id": "models:trainandserve.io/TrainAndServe:vision/mnist"}
BY_ARGO = [{"manager": "argocd-controller", "operation": "Apply"}]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "None"),
        ({"labels": FLUX}, "Flux (Kustomization flux-system/models)"),
        ({"labels": HELM}, "Flux (HelmRelease vision/models)"),
        ({"labels": FLUX, "annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}}, "None"),
        ({"annotations": TRACKED}, "Argo CD (Application models)"),
        ({"labels": {"argocd.argoproj.io/instance": "models"}}, "Argo CD (Application models)"),
        ({"labels": INSTANCE, "managedFields": BY_ARGO}, "Argo CD (Application models)"),
        ({"labels": INSTANCE, "managedFields": [{"manager": "helm", "operation": "Update"}]}, "None"),
    ],
    ids=["nobody", "Flux", "Flux's Helm", "Flux was told not to", "Argo CD's annotation", "Argo CD's own label", "Argo CD wrote it", "Helm alone"],
)  # fmt: skip
def test_who_keeps_it_is_read_from_its_metadata(metadata: dict[str, Any], said: str) -> None:
    assert str(keeper({"metadata": metadata})) == said


@pytest.mark.parametrize("command", ["retrain", "suspend"])
def test_the_lines_for_git_are_printed_and_nothing_is_changed(shell: Shell, command: str) -> None:
    shell.cluster.bodies["mnist"]["metadata"]["labels"] = FLUX
    answer = shell(command, "mnist")
    assert answer.code == 4
    assert shell.cluster.writes == []
    assert "Flux (Kustomization flux-system/models) keeps mnist from Git" in answer.err
    lines = yaml.safe_load(answer.out)
    assert lines in (
        {"spec": {"suspend": True}},
        {"metadata": {"annotations": {"trainandserve.io/retrain": "2026-11-20T12:04:00Z"}}},
    )


def test_force_changes_it_all_the_same_and_warns(shell: Shell) -> None:
    shell.cluster.bodies["mnist"]["metadata"]["annotations"] = TRACKED
    answer = shell("suspend", "mnist", "--force")
    assert answer.code == 0 and len(shell.cluster.writes) == 1
    assert "may take this back" in answer.err


def test_what_a_change_takes_away_stands_as_a_comment() -> None:
    assert for_git({"spec": {"suspend": None, "serving": {"minReplicas": 2}}}) == (
        "spec:\n  serving:\n    minReplicas: 2\n# take away: spec.suspend\n"
    )
