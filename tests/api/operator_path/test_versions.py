"""Old versions that nobody needs are deleted from the bucket."""

from __future__ import annotations

import pytest

from tests.api.operator_path.api import until
from tests.api.operator_path.site import Site

KEEP = {"keepVersions": 1}


@pytest.mark.slow
async def test_old_versions_go_but_for_the_one_before_and_those_of_others(shared: Site) -> None:
    await shared.apply("kept", storage=KEEP)
    await shared.serves("kept", 1)
    foreign = f"{shared.prefix('kept')}1-0badc0de/result.json"
    shared.storage.put("", foreign, b'{"uid": "another"}')
    for version, token in ((2, "a"), (3, "b")):
        await shared.retrain("kept", token)
        await shared.serves("kept", version)

    await until(lambda: _versions(shared) == {"3", "2", "1-0badc0de"}, what=lambda: shared.status("kept"))
    status = await shared.status("kept")
    assert status["served"]["previous"] == 2
    assert [entry["version"] for entry in status["history"]] == [3, 2, 1]

    await shared.apply("kept", storage=KEEP, serving={"pinnedVersion": 1})
    await shared.settles("kept", Ready="True/PinnedVersionUnavailable")


def _versions(site: Site) -> set[str]:
    folders = {
        key.removeprefix(site.prefix("kept")).split("/")[0] for key in site.storage.keys(site.prefix("kept"))
    }
    return {name if "0badc0de" in name else name.split("-")[0] for name in folders}
