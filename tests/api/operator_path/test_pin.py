"""A version that a person pins, in the specification, and lets go again."""

from __future__ import annotations

import pytest

from tests.api.operator_path.api import until
from tests.api.operator_path.site import Site, message, served, told
from tests.api.operator_path.traffic import Traffic
from tests.api.operator_path.training import Lesson


@pytest.mark.slow
async def test_a_pinned_version_serves_until_the_pin_is_taken_away_and_nothing_is_trained(
    shared: Site,
) -> None:
    await shared.apply("pinned")
    await shared.serves("pinned", 1)
    await shared.retrain("pinned", "once")
    status = await shared.serves("pinned", 2)
    async with Traffic.on(status["served"]["url"], "pinned") as traffic:
        await traffic.more()
        await shared.apply("pinned", serving={"pinnedVersion": 1})
        status = await shared.serves("pinned", 1)
        assert (status["pin"]["version"], status["pin"]["before"]["version"]) == (1, 2)
        await traffic.more()
        await shared.apply("pinned")
        status = await shared.serves("pinned", 2)
        await traffic.more()

    assert "pin" not in status
    assert traffic.failures == [] and set(traffic.versions[-5:]) == {2} and 1 in traffic.versions
    assert len(shared.runs("pinned")) == 2
    wanted = ["VersionPinned", "VersionServed", "PinRemoved", "VersionServed"]
    await until(lambda: _ends_with(shared, wanted), what=lambda: shared.reasons("pinned"))


async def _ends_with(site: Site, wanted: list[str]) -> bool:
    return (await site.reasons("pinned"))[-len(wanted) :] == wanted


@pytest.mark.slow
async def test_a_version_that_is_not_whole_is_not_served_by_a_pin_and_a_rejected_one_is(shared: Site) -> None:
    await shared.apply("choosy")
    before = await shared.serves("choosy", 1)
    shared.lesson("choosy", Lesson({"accuracy": 0.1}))
    await shared.apply("choosy", training={"parameters": {"epochs": 2}})
    await shared.settles("choosy", ModelAccepted="False/Rejected")

    edited = {"training": {"parameters": {"epochs": 2}}}
    await shared.apply("choosy", **edited, serving={"pinnedVersion": 7})
    status = await shared.settles("choosy", Ready="True/PinnedVersionUnavailable")
    assert "no version 7" in message(status, "Ready")

    rejected = shared.storage.key(status["candidate"]["uri"])
    key = f"{rejected}2/saved_model.pb"
    content = shared.storage.get(key)
    shared.storage.delete(key)
    await shared.apply("choosy", **edited, serving={"pinnedVersion": 2})
    status = await until(lambda: _says(shared, "saved_model.pb is missing"))
    assert served(status) == 1 and status["served"]["target"]["runId"] == before["served"]["runId"]

    shared.storage.put("", key, content)
    status = await shared.serves("choosy", 2, seconds=60)
    assert told(status)["ModelAccepted"] == "False/Rejected"
    assert len(shared.runs("choosy")) == 2


async def _says(site: Site, words: str) -> object:
    status = await site.status("choosy")
    return status if words in message(status, "Ready") else None
