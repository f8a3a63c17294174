"""What an earlier release stored is left as it is: nothing is trained again, nothing restarts, nothing is lost.

A release may say more in a status than the one before; it says so once, beside all that was there.
"""

from __future__ import annotations

import pytest

from tests.api.operator_path.release import SETTINGS, STORED, Restored
from tests.api.operator_path.site import Ground
from tests.harness.api import OURS, SERVICES, Json, until
from tests.harness.process import OperatorProcess
from tests.unit.upgrade.stored import RELEASES, lost

PASSES = 3


@pytest.mark.slow  # test_resources.py asks the same of the decisions alone
@pytest.mark.parametrize("release", sorted(one.name for one in RELEASES.iterdir()))
async def test_the_resources_of_an_earlier_release_are_as_they_should_be(
    ground: Ground, release: str
) -> None:
    async with Restored.made(ground, operator=False, settings=SETTINGS) as site:
        await site.restore(release)
        before = {name: await _by_name(site, name) for name in STORED}
        await _definition_takes(site)

        operator = await site.start_operator(TAS_RESYNC="2s")
        await _looked_at(site)
        writes = [(one.method, one.path) for one in operator.proxy.writes()]
        await _looked_at(site)
        after = {name: await _by_name(site, name) for name in STORED}

    statuses = [("PUT", f"{site.path(OURS, name)}/status") for name in before["trainandserves"]]
    assert [one for one in writes if one not in statuses] == []
    assert len(operator.proxy.writes()) == len(writes), "it does not come to rest"
    assert after["inferenceservices"] == before["inferenceservices"]
    assert list(lost(before["trainandserves"], after["trainandserves"])) == []
    assert not [request for request in site.kfp.requests if request[0] != "GET"]
    assert "cannot be read" not in operator.log


async def _looked_at(site: Restored) -> None:
    """Wait until every resource was looked at some more times."""
    already = await _passes(site.operator)

    async def again() -> bool:
        return await _passes(site.operator) >= already + PASSES * len(site.recorded["trainandserves"])

    await until(again, 60)


async def _by_name(site: Restored, name: str) -> dict[str, Json]:
    path = {"trainandserves": OURS, "inferenceservices": SERVICES}[name]
    return {one["metadata"]["name"]: one for one in await site.items(path)}


async def _definition_takes(site: Restored) -> None:
    """Every stored specification is one that could be created today."""
    for one in site.recorded["trainandserves"]:
        body = {key: one[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "new"}}
        await site.api.call("POST", f"{site.path(OURS)}?dryRun=All&fieldValidation=Strict", body)


async def _passes(operator: OperatorProcess) -> float:
    found = await operator.metrics()
    return sum(value for name, value in found.items() if name.startswith("trainandserve_passes_total"))
