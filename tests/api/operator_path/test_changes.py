"""What each kind of edit does, and what it leaves alone."""

from __future__ import annotations

from itertools import groupby

import pytest

from tests.api.operator_path.api import SERVICES, until
from tests.api.operator_path.site import Site, message, served, told
from tests.api.operator_path.traffic import Traffic
from tests.api.operator_path.training import Lesson


async def test_new_parameters_replace_the_version_without_a_failed_request(shared: Site) -> None:
    await shared.apply("params")
    status = await shared.serves("params", 1)
    async with Traffic.on(status["served"]["url"], "params") as traffic:
        await traffic.more()
        await shared.apply("params", training={"parameters": {"epochs": 2}})
        status = await shared.serves("params", 2)
        await traffic.more()

    assert traffic.failures == []
    assert set(traffic.versions) == {1, 2}
    assert traffic.versions[0] == 1 and set(traffic.versions[-5:]) == {2}
    assert [entry["version"] for entry in status["history"]] == [2, 1]
    assert len(shared.runs("params")) == 2
    assert shared.recorder.services_made("params") == shared.recorder.services_made("params-candidate") == 1
    stages = [(one.get("rollout") or {}).get("stage") for one in shared.recorder.statuses("params")]
    assert [stage for stage, _ in groupby(stages) if stage] == ["Promoting", "Proving", "Promoting"]
    await shared.gone("params-candidate", SERVICES)


@pytest.mark.slow
async def test_a_serving_edit_changes_the_service_and_trains_nothing(shared: Site) -> None:
    await shared.apply("replicas")
    await shared.serves("replicas", 1)
    await shared.apply("replicas", serving={"minReplicas": 2, "maxReplicas": 3})

    async def two_pods() -> bool:
        service = await shared.service("replicas")
        status = await shared.status("replicas")
        predictor = service["spec"]["predictor"] if service else {}
        return predictor.get("minReplicas") == 2 and status["observedGeneration"] == 2

    await until(two_pods)
    status = await shared.serves("replicas", 1)
    assert status["run"]["version"] == 1
    assert len(shared.runs("replicas")) == 1


async def test_relaxed_bounds_serve_a_rejected_version_without_a_run(shared: Site) -> None:
    shared.lesson("relaxed", Lesson({"accuracy": 0.4}))
    await shared.apply("relaxed")
    status = await shared.settles("relaxed", Stalled="True/Rejected", Ready="False/Rejected")
    assert status["phase"] == "Failed"
    assert "accuracy 0.4 is below min 0.5" in message(status, "ModelAccepted")
    assert await shared.service("relaxed") is None

    await shared.apply("relaxed", evaluation={"metrics": [{"name": "accuracy", "min": 0.3}]})
    await shared.serves("relaxed", 1)
    assert len(shared.runs("relaxed")) == 1
    events = ["RunStarted", "RunSucceeded", "VersionRejected", "VersionAccepted", "VersionServed"]
    await until(lambda: _told(shared, "relaxed", events), what=lambda: shared.reasons("relaxed"))


async def _told(site: Site, name: str, events: list[str]) -> bool:
    """Whether these events were sent, and no others; an event follows the status that it speaks of."""
    return await site.reasons(name) == events


@pytest.mark.slow
async def test_stricter_bounds_leave_the_version_serving(shared: Site) -> None:
    await shared.apply("strict")
    await shared.serves("strict", 1)
    before = await shared.service("strict")
    await shared.apply("strict", evaluation={"metrics": [{"name": "accuracy", "min": 0.95}]})

    status = await shared.settles("strict", ModelAccepted="False/Rejected", Ready="True/Rejected")
    assert (served(status), status["phase"]) == (1, "Serving")
    assert await shared.service("strict") == before
    assert len(shared.runs("strict")) == 1


async def test_a_rejected_version_never_touches_the_service(shared: Site) -> None:
    await shared.apply("rejected")
    await shared.serves("rejected", 1)
    before = await shared.service("rejected")
    shared.lesson("rejected", Lesson({"accuracy": None}))
    await shared.apply("rejected", training={"parameters": {"epochs": 2}})

    status = await shared.settles("rejected", ModelAccepted="False/Rejected")
    assert "accuracy is missing or not a number" in message(status, "ModelAccepted")
    assert (told(status)["Ready"], served(status)) == ("True/Rejected", 1)
    assert await shared.service("rejected") == before


async def test_a_version_that_is_worse_than_the_one_serving_is_rejected(shared: Site) -> None:
    bounds = {"metrics": [{"name": "accuracy", "min": 0.5, "maxRegression": 0.01}]}
    await shared.apply("worse", evaluation=bounds)
    await shared.serves("worse", 1)
    shared.lesson("worse", Lesson({"accuracy": 0.85}))
    await shared.apply("worse", evaluation=bounds, training={"parameters": {"epochs": 2}})

    status = await shared.settles("worse", ModelAccepted="False/Rejected")
    assert status["candidate"]["incumbent"] == {"version": 1, "metrics": {"accuracy": 0.9}}
    assert "worse than the version serving (0.9)" in message(status, "ModelAccepted")
    assert served(status) == 1


@pytest.mark.slow
async def test_the_retrain_annotation_starts_a_run_once(shared: Site) -> None:
    await shared.apply("again")
    await shared.serves("again", 1)
    await shared.retrain("again", "monday")
    status = await shared.serves("again", 2)

    assert status["lastHandledRetrain"] == "monday"
    assert shared.execution.runs[-1].parameters["retrain_token"] == "monday"
    await shared.patch("again", {"metadata": {"annotations": {"trainandserve.io/retrain": None, "x": "y"}}})
    await shared.apply("again", serving={"maxReplicas": 2})
    await shared.settles("again", Ready="True/Serving")
    await until(lambda: _observed(shared, "again", 2))
    assert len(shared.runs("again")) == 2


async def _observed(site: Site, name: str, generation: int) -> bool:
    return (await site.status(name))["observedGeneration"] == generation


async def test_data_that_changes_between_plan_and_download_fails_the_run(shared: Site) -> None:
    lesson = shared.lesson("moving", Lesson(holds="download"))
    await shared.apply("moving")
    await lesson.held.wait()
    await shared.upload("moving", b"other bytes")
    lesson.go.set()

    await shared.serves("moving", 1)  # the next attempt is planned on what is there now
    failures = [event for event in await shared.events("moving") if event["reason"] == "RunFailed"]
    assert len(failures) == 1
    assert "step download" in failures[0]["message"] and "DataChanged" in failures[0]["message"]


@pytest.mark.slow
async def test_deployments_and_services_carry_the_run_that_made_the_model(shared: Site) -> None:
    await shared.apply("lineage")
    status = await shared.serves("lineage", 1)
    deployments = "/apis/apps/v1/namespaces/{namespace}/deployments"
    deployment = await shared.api.call("GET", shared.path(deployments, "lineage-predictor"))
    service = await shared.api.call("GET", shared.path(SERVICES, "lineage"))

    for part in (deployment["spec"]["template"]["metadata"], service["spec"]["predictor"]):
        assert part["annotations"]["trainandserve.io/run-id"] == status["served"]["runId"]
        assert part["annotations"]["trainandserve.io/version"] == "1"
    assert service["spec"]["predictor"]["model"]["storageUri"].endswith("/model/")
