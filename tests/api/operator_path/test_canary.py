"""In Knative mode a version gets its share of the requests step by step; in Standard mode a split is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any

import pytest

from tests.api.operator_path.api import SERVICES
from tests.api.operator_path.conftest import Sites
from tests.api.operator_path.site import Site, message, told
from tests.api.operator_path.traffic import Traffic
from tests.api.operator_path.training import Lesson

CANARY = {"rollout": {"strategy": "Canary", "steps": [20, 50], "stepDuration": "2s"}}


@pytest.fixture(scope="module")
async def knative(sites: Sites) -> AsyncIterator[Site]:
    """A site whose operator has KServe run InferenceServices in Knative mode."""
    async with sites(settings={"TAS_DEPLOYMENT_MODE": "Knative"}, kserve={"knative": True}) as made:
        yield made
        await made.check()


@pytest.mark.slow
async def test_a_version_gets_its_share_step_by_step(knative: Site) -> None:
    await knative.apply("steps", serving=CANARY)
    status = await knative.serves("steps", 1)
    assert status["served"]["deploymentMode"] == "Knative"
    async with Traffic.on(status["served"]["url"], "steps") as traffic:
        await traffic.more()
        await knative.apply("steps", serving=CANARY, training={"parameters": {"epochs": 2}})
        status = await knative.serves("steps", 2)
        await traffic.more()

    assert traffic.failures == []
    assert set(traffic.versions) == {1, 2} and set(traffic.versions[-5:]) == {2}
    went = [_stage(one) for one in knative.recorder.statuses("steps")]
    seen = [stage for stage, _ in groupby(went) if stage]
    assert [one for one in seen if one[0] != "Promoting"] == [("Proving", None), ("Canary", 1), ("Canary", 2)]
    shares = [one["rollout"].get("traffic") for one in knative.recorder.statuses("steps") if "rollout" in one]
    assert {0, 20, 50} <= set(shares), "what is reported is what was seen"
    assert await knative.service("steps-candidate") is None
    service = await knative.service("steps")
    assert service is not None and "canaryTrafficPercent" not in service["spec"]["predictor"]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param({"crash": True, "message": "no such op"}, id="crash"),
        pytest.param({"failPredict": True}, id="no answers", marks=pytest.mark.slow),
    ],
)
async def test_a_version_that_fails_never_gets_a_request(
    knative: Site, model: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    name = "fails-" + request.node.callspec.id.split()[0]
    await knative.apply(name, serving=CANARY)
    status = await knative.serves(name, 1)
    knative.lesson(name, Lesson(model=model))
    async with Traffic.on(status["served"]["url"], name) as traffic:
        await knative.apply(name, serving=CANARY, training={"parameters": {"epochs": 2}})
        await knative.settles(name, ModelAccepted="False/FailedToServe")
        status = await knative.serves(name, 1)
        await traffic.more()

    assert traffic.failures == [] and set(Counter(traffic.versions)) == {1}
    service = await knative.service(name)
    assert service is not None and "canaryTrafficPercent" not in service["spec"]["predictor"]


@pytest.mark.slow
async def test_in_standard_mode_a_canary_is_refused_and_said(shared: Site) -> None:
    await shared.apply("split", serving=CANARY)
    status = await shared.settles("split", Ready="True/CanaryNotSupported")
    assert status["served"]["deploymentMode"] == "Standard"
    await shared.apply("split", serving=CANARY, training={"parameters": {"epochs": 2}})
    status = await shared.settles("split", ModelServed="True/CanaryNotSupported")
    assert (
        "version 2 is held" in message(status, "ModelServed")
        and told(status)["Ready"] == "True/CanaryNotSupported"
    )
    assert await shared.service("split-candidate") is None

    await shared.apply("split", serving={"rollout": {"strategy": "Replace"}}, training={"parameters": {"epochs": 2}})  # fmt: skip
    await shared.serves("split", 2)
    await shared.gone("split-candidate", SERVICES)


def _stage(status: dict[str, Any]) -> tuple[str, int | None] | None:
    rollout = status.get("rollout")
    return (rollout["stage"], rollout.get("step")) if rollout else None
