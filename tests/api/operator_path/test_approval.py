"""A version that waits for a person, and what the person writes."""

from __future__ import annotations

import re

from tests.api.operator_path.api import Json, until
from tests.api.operator_path.site import Site, message, served, told
from tests.api.operator_path.traffic import Traffic


async def test_a_version_waits_until_a_person_sets_the_annotation_that_the_event_prints(shared: Site) -> None:
    await shared.apply("asked")
    status = await shared.serves("asked", 1)
    async with Traffic.on(status["served"]["url"], "asked") as traffic:
        asked = {"approval": "Manual"}
        await shared.apply("asked", evaluation=asked, training={"parameters": {"epochs": 2}})
        status = await shared.settles(
            "asked", ModelAccepted="Unknown/AwaitingApproval", Ready="True/AwaitingApproval"
        )
        assert (status["phase"], served(status), status["candidate"]["version"]) == ("AwaitingApproval", 1, 2)
        before = await shared.service("asked")

        await _set(shared, "1@00000000")
        ignored = await until(lambda: _event(shared, "ApprovalIgnored"))
        printed = re.search(
            r'trainandserve\.io/approve: "(2@[0-9a-f]{8})"',
            (await _event(shared, "ApprovalNeeded"))["message"],
        )
        assert printed is not None
        assert printed[1] in ignored["message"] and printed[1] in message(
            await shared.status("asked"), "ModelAccepted"
        )
        assert await shared.service("asked") == before

        await _set(shared, printed[1])
        status = await shared.serves("asked", 2)
        await traffic.more()

    assert told(status)["ModelAccepted"] == "True/Approved"
    assert status["candidate"]["verdict"]["approvedAt"]
    assert traffic.failures == [] and set(traffic.versions) == {1, 2}
    assert len(shared.runs("asked")) == 2


async def _set(site: Site, value: str) -> None:
    await site.patch("asked", {"metadata": {"annotations": {"trainandserve.io/approve": value}}})


async def _event(site: Site, reason: str) -> Json:
    found = [event for event in await site.events("asked") if event["reason"] == reason]
    assert len(found) <= 1, f"{reason} is said once"
    return found[0] if found else {}
