"""What must end before a resource may go, and what is left when it is gone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.operator_path.api import SERVICES, until
from tests.api.operator_path.bodies import SECRET
from tests.api.operator_path.site import Site
from tests.api.operator_path.training import Lesson

SECRETS = "/api/v1/namespaces/{namespace}/secrets"


async def test_a_run_is_stopped_before_the_resource_goes(shared: Site) -> None:
    lesson = shared.lesson("busy", Lesson(holds="train"))
    await shared.apply("busy")
    await lesson.held.wait()
    await shared.delete("busy")
    await shared.gone("busy")
    assert shared.run_states("busy") == ["FAILED"]  # as a terminated run ends
    assert await shared.service("busy") is None


async def test_what_serves_goes_with_the_resource_and_the_versions_stay(shared: Site) -> None:
    await shared.apply("plain")
    await shared.serves("plain", 1)
    await shared.delete("plain")
    await shared.gone("plain")
    assert await shared.service("plain") is None
    kept = shared.storage.keys(shared.prefix("plain"))
    assert any(key.endswith("result.json") for key in kept)


@pytest.mark.slow
async def test_an_orphaned_service_outlives_the_resource(shared: Site) -> None:
    await shared.apply("orphan", serving={"deletionPolicy": "Orphan"})
    await shared.serves("orphan", 1)
    before = await shared.service("orphan")
    await shared.delete("orphan")
    await shared.gone("orphan")
    service = await shared.service("orphan")
    assert service is not None and before is not None
    assert service["metadata"]["uid"] == before["metadata"]["uid"]
    assert not service["metadata"].get("ownerReferences")
    assert service["spec"] == before["spec"]
    await shared.delete("orphan", SERVICES)


async def test_deleting_the_storage_deletes_exactly_what_the_resource_wrote(shared: Site) -> None:
    for key in ("models/other.txt", f"models/{shared.namespace}/cleaned-2/1-aaaaaaaa/result.json"):
        shared.storage.put("", key, b"theirs")
    await shared.apply("cleaned", storage={"deletionPolicy": "Delete"})
    await shared.serves("cleaned", 1)
    before = set(shared.storage.keys())
    gone = {key for key in before if key.startswith(shared.prefix("cleaned"))}
    assert gone
    await shared.delete("cleaned")
    await shared.gone("cleaned")
    assert before - set(shared.storage.keys()) == gone


@pytest.mark.slow
async def test_a_secret_that_is_gone_already_holds_nothing_up(site: Site) -> None:
    await site.apply("keyless", storage={"deletionPolicy": "Delete"})
    await site.serves("keyless", 1)
    await site.delete(SECRET, SECRETS)
    await site.delete("keyless")
    await site.gone("keyless")
    [event] = await until(lambda: _skipped(site, "keyless"))
    assert event["type"] == "Warning"
    assert site.storage.keys(site.prefix("keyless"))
    await site.check()


@pytest.mark.slow
async def test_a_namespace_that_is_deleted_whole_goes_with_the_next_resync(bare: Site) -> None:
    # kopf stops watching a namespace, one of a list, as soon as it is marked for deletion: only a resync looks again.
    site = bare
    await site.start_operator(TAS_RESYNC="2s")
    await site.apply("whole", storage={"deletionPolicy": "Delete"})
    await site.serves("whole", 1)
    await site.api.call("DELETE", f"/api/v1/namespaces/{site.namespace}")
    await site.gone("whole", seconds=60)


async def test_pipelines_that_do_not_answer_are_waited_for_and_then_let_go(site: Site) -> None:
    lesson = site.lesson("silent", Lesson(holds="train"))
    await site.apply("silent")
    await lesson.held.wait()
    await until(lambda: _runs(site, "silent"))
    site.kfp.faults.down = True
    await site.delete("silent")
    await site.gone("silent", seconds=40)
    [event] = await until(lambda: _skipped(site, "silent"))
    assert "may still be under way" in event["message"]


async def _skipped(site: Site, name: str) -> list[dict[str, Any]]:
    return [event for event in await site.events(name) if event["reason"] == "CleanupSkipped"]


async def _runs(site: Site, name: str) -> bool:
    return bool(((await site.status(name)).get("run") or {}).get("state") == "Running")
