"""A suspended resource starts nothing and changes nothing; what it holds back comes when it goes on."""

from __future__ import annotations

import pytest

from tests.api.operator_path.api import SERVICES, until
from tests.api.operator_path.site import Site, served, told
from tests.api.operator_path.training import Lesson


@pytest.mark.slow
async def test_a_run_in_flight_finishes_and_is_served_only_later(shared: Site) -> None:
    lesson = shared.lesson("flight", Lesson(holds="train"))
    await shared.apply("flight")
    await lesson.held.wait()
    await shared.apply("flight", suspend=True)
    await shared.settles("flight", Ready="False/Suspended")
    lesson.go.set()

    status = await shared.settles("flight", ModelAccepted="True/Accepted")
    assert status["phase"] == "Suspended" and served(status) is None
    assert await shared.service("flight") is None
    assert await _nothing_waits(shared)

    await shared.apply("flight", suspend=False)
    await shared.serves("flight", 1)
    assert len(shared.runs("flight")) == 1


@pytest.mark.slow
async def test_nothing_is_started_and_drift_stays(shared: Site) -> None:
    await shared.apply("held")
    await shared.serves("held", 1)
    await shared.apply("held", suspend=True, training={"parameters": {"epochs": 2}})
    await shared.settles("held", Ready="True/Suspended")
    await shared.patch("held", {"spec": {"predictor": {"minReplicas": 2}}}, SERVICES)

    # Another resource's whole path is behind this: long enough for anything that was to come.
    await shared.apply("beside")
    await shared.serves("beside", 1)
    service = await shared.service("held")
    assert service is not None and service["spec"]["predictor"]["minReplicas"] == 2
    assert len(shared.runs("held")) == 1
    assert told(await shared.status("held"))["Ready"] == "True/Suspended"

    await shared.apply("held", suspend=False, training={"parameters": {"epochs": 2}})
    await shared.serves("held", 2)
    service = await shared.service("held")
    assert service is not None and service["spec"]["predictor"]["minReplicas"] == 1


async def _nothing_waits(site: Site) -> bool:
    async def empty() -> bool:
        return await site.operator.metric("queue_depth") == 0

    return await until(empty)
