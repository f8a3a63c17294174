"""`kubectl tas` before a real API server and a working operator: what it reads is there, what it changes is followed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import ControlPlane
from tests.api.operator_path.api import until
from tests.api.operator_path.bodies import resource
from tests.api.operator_path.site import Site, told
from trainandserve.cli.program import main

Capture = pytest.CaptureFixture[str]


class Tas:
    """Runs commands as the administrator, in a thread: the stand-ins live in this loop."""

    def __init__(self, site: Site, kubeconfig: Path, capsys: Capture) -> None:
        self._place = ["-n", site.namespace, "--kubeconfig", str(kubeconfig)]
        self._capsys = capsys

    async def __call__(self, *words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, [*words, *self._place])
        out, err = self._capsys.readouterr()
        return code, out + err

    async def data(self, *words: str) -> Any:
        code = await asyncio.to_thread(main, [*words, "-o", "json", *self._place])
        assert code == 0
        return json.loads(self._capsys.readouterr().out)


@pytest.fixture
def tas(shared: Site, plane: ControlPlane, capsys: Capture) -> Tas:
    return Tas(shared, plane.kubeconfig, capsys)


@pytest.mark.slow
async def test_a_resource_is_held_let_go_and_trained_again(shared: Site, tas: Tas) -> None:
    await shared.apply("asked")
    await shared.serves("asked", 1)
    code, text = await tas("status", "asked")
    assert code == 0 and "✓ Ready" in text and "version 1: Accepted" in text

    assert (await tas("suspend", "asked", "--dry-run"))[0] == 0
    assert "suspend" not in (await shared.resource("asked"))["spec"]
    assert (await tas("suspend", "tas/asked"))[0] == 0
    await shared.settles("asked", Ready="True/Suspended")
    code, text = await tas("retrain", "asked")
    assert code == 0 and "when `resume` is called" in text
    assert (await tas("resume", "asked"))[0] == 0
    await shared.serves("asked", 2)
    assert [one["version"] for one in await tas.data("history", "asked")] == [2, 1]
    assert [one["metadata"]["name"] for one in await tas.data("status")].count("asked") == 1


async def test_what_flux_keeps_is_left_alone(shared: Site, tas: Tas) -> None:
    await shared.apply("kept", suspend=True)
    await shared.patch("kept", {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "models"}}})
    await until(lambda: _is_suspended(shared, "kept"))
    before = (await shared.resource("kept"))["metadata"]["resourceVersion"]
    code, text = await tas("resume", "kept")
    assert code == 4 and "# take away: spec.suspend" in text
    assert (await shared.resource("kept"))["metadata"]["resourceVersion"] == before


async def test_what_is_not_there_or_not_known_has_exit_codes(shared: Site, tas: Tas, tmp_path: Path) -> None:
    assert (await tas("status", "absent"))[0] == 3
    empty = tmp_path / "kubeconfig"
    empty.write_text("apiVersion: v1\nkind: Config\n")
    code = await asyncio.to_thread(main, ["status", "--kubeconfig", str(empty)])
    assert code == 2


async def _is_suspended(site: Site, name: str) -> bool:
    return told(await site.status(name)).get("Ready", "").endswith("/Suspended")


@pytest.mark.slow
async def test_a_plan_for_a_file_says_what_the_operator_then_does_and_writes_nothing(
    shared: Site, tas: Tas, tmp_path: Path
) -> None:
    await shared.apply("planned")
    await shared.serves("planned", 1)
    await shared.settles("planned", Ready="True/Serving")
    before = await shared.resource("planned")
    assert [step["action"] for step in before["status"]["plan"]["steps"]] == ["Nothing"]

    file = tmp_path / "new.yaml"
    training = {"parameters": {"epochs": 2}}
    file.write_text(yaml.safe_dump(resource(shared.storage, "planned", {"training": training})))
    found = await tas.data("plan", "-f", str(file))
    assert [(one["field"], one["before"], one["after"]) for one in found["changes"]] == [
        ("training.parameters.epochs", "1", "2")
    ]
    assert [one["kind"] for one in found["effects"]] == ["trains"]
    file.write_text(yaml.safe_dump(resource(shared.storage, "planned", {"evaluation": None})))
    assert [one["kind"] for one in (await tas.data("plan", "-f", str(file)))["effects"]] == ["judges"]
    file.write_text(yaml.safe_dump(resource(shared.storage, "planned", {"data": {"uri": "no-uri"}})))
    code, text = await tas("plan", "-f", str(file))
    assert code == 2 and "s3://" in text
    assert await shared.resource("planned") == before

    await shared.apply("planned", training=training)
    status = await shared.serves("planned", 2)
    assert status["run"]["reason"] == "the training inputs changed: training.parameters.epochs 1 -> 2"
    await shared.settles("planned", Ready="True/Serving")
    at_rest = await shared.resource("planned")
    assert at_rest["status"]["plan"]["steps"][0]["action"] == "Nothing"


@pytest.mark.slow
async def test_versions_are_approved_rolled_back_and_promoted(shared: Site, tas: Tas) -> None:
    by_hand = {"evaluation": {"metrics": [{"name": "accuracy", "min": 0.5}], "approval": "Manual"}}
    await shared.apply("handled", **by_hand)
    await shared.settles("handled", ModelAccepted="Unknown/AwaitingApproval")
    assert (await tas("rollback", "handled"))[0] == 5
    assert (await tas("approve", "handled"))[0] == 0
    await shared.serves("handled", 1)

    await shared.apply("handled", training={"parameters": {"epochs": 2}}, **by_hand)
    await shared.settles("handled", ModelAccepted="Unknown/AwaitingApproval")
    assert (await tas("promote", "handled"))[0] == 0
    await shared.serves("handled", 2)

    code, text = await tas("rollback", "handled")
    assert code == 0 and "spec.serving.pinnedVersion: absent -> 1" in text
    await shared.serves("handled", 1)
    assert "1, pinned" in (await tas("status", "handled"))[1]
    assert (await tas("promote", "handled"))[0] == 0
    await shared.serves("handled", 2)
    assert len(shared.runs("handled")) == 2
