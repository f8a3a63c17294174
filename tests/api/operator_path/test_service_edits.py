"""Other hands on the InferenceService."""

from __future__ import annotations

import pytest

from tests.api.operator_path.api import SERVICES, Json, until
from tests.api.operator_path.site import Site, served, told


async def test_a_field_of_ours_that_is_edited_comes_back(shared: Site) -> None:
    await shared.apply("ours")
    status = await shared.serves("ours", 1)
    elsewhere = {"spec": {"predictor": {"model": {"storageUri": "s3://elsewhere/model/"}}}}
    await shared.patch("ours", elsewhere, SERVICES)

    async def back() -> bool:
        service = await shared.service("ours")
        assert service is not None
        return service["spec"]["predictor"]["model"]["storageUri"] == status["served"]["uri"]

    await until(back)
    await shared.serves("ours", 1)
    assert len(shared.runs("ours")) == 1


@pytest.mark.slow
async def test_a_field_that_is_not_ours_stays(shared: Site) -> None:
    await shared.apply("theirs")
    await shared.serves("theirs", 1)
    await shared.patch("theirs", {"spec": {"predictor": {"timeout": 77, "minReplicas": 2}}}, SERVICES)

    async def only_ours_is_back() -> bool:
        service = await shared.service("theirs")
        assert service is not None
        assert service["spec"]["predictor"]["timeout"] == 77
        return service["spec"]["predictor"]["minReplicas"] == 1

    await until(only_ours_is_back)
    await shared.apply("theirs", training={"parameters": {"epochs": 2}})
    await shared.serves("theirs", 2)
    service = await shared.service("theirs")
    assert service is not None and service["spec"]["predictor"]["timeout"] == 77


async def test_a_service_that_is_deleted_comes_back(shared: Site) -> None:
    await shared.apply("deleted")
    await shared.serves("deleted", 1)
    before = await shared.service("deleted")
    await shared.delete("deleted", SERVICES)

    async def another() -> bool:
        now = await shared.service("deleted")
        return bool(now and before and now["metadata"]["uid"] != before["metadata"]["uid"])

    await until(another)
    status = await shared.serves("deleted", 1)
    await until(lambda: shared.recorder.phases("deleted")[-3:] == ["Serving", "RollingOut", "Serving"])
    assert told(status)["Ready"] == "True/Serving"
    assert len(shared.runs("deleted")) == 1


def _theirs(name: str) -> Json:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": {"serving.kserve.io/deploymentMode": "Standard"}},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "tensorflow"}}}},
    }


@pytest.mark.slow
async def test_a_service_of_somebody_else_holds_a_rollout_until_it_is_gone(shared: Site) -> None:
    await shared.apply("apart")
    await shared.serves("apart", 1)
    await shared.api.call("POST", shared.path(SERVICES), _theirs("apart-candidate"))
    await shared.apply("apart", training={"parameters": {"epochs": 2}})
    status = await shared.settles("apart", Ready="True/InferenceServiceNotOurs")
    assert status["rollout"]["stage"] == "Proving" and served(status) == 1
    service = await shared.service("apart-candidate")
    assert service is not None and "labels" not in service["metadata"]

    await shared.delete("apart-candidate", SERVICES)
    await shared.serves("apart", 2)


async def test_a_service_of_somebody_else_is_left_alone_until_it_is_gone(shared: Site) -> None:
    await shared.api.call("POST", shared.path(SERVICES), _theirs("taken"))
    await shared.apply("taken")
    status = await shared.settles("taken", ModelServed="False/InferenceServiceNotOurs")
    assert told(status)["Ready"] == "False/InferenceServiceNotOurs"
    service = await shared.service("taken")
    assert service is not None and service["spec"]["predictor"]["model"].get("storageUri") is None
    assert not [e for e in service["metadata"]["managedFields"] if e["manager"] == "trainandserve"]

    await shared.delete("taken", SERVICES)
    await shared.serves("taken", 1)
