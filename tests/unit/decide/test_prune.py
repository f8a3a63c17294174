"""Which versions the bucket no longer needs, and which it always does."""

from __future__ import annotations

import pytest

from tests.unit.builders import (
    NOW,
    SILENT,
    Situation,
    a_situation,
    a_target,
    in_bucket,
    prefix,
    run_id,
    words,
)
from trainandserve.decide.looks import Known, Look, first_looks
from trainandserve.decide.prune import prunable, worth_a_look
from trainandserve.observation import Folder
from trainandserve.plan import DeleteVersion
from trainandserve.resource import Pin

STORAGE = {"uri": "s3://models/", "keepVersions": 2}


def folders(*versions: int, failed: tuple[int, ...] = ()) -> tuple[Folder, ...]:
    """The folders of these versions' first attempts, newest first; those of the failed ones hold no result."""
    return tuple(
        Folder(version, run_id(version), prefix(version), version not in failed)
        for version in sorted((*versions, *failed), reverse=True)
    )


def base(newest: int = 6, serving: int = 6) -> Situation:
    return a_situation(storage=STORAGE).sees(preflight=None).judged(newest).serving(serving)


def deleted(situation: Situation, found: object = folders(1, 2, 3, 4, 5, 6)) -> list[int]:
    plan = situation.sees(versions=found).decide()
    return [action.version for action in plan.actions if isinstance(action, DeleteVersion)]


def test_the_newest_are_kept_and_the_others_go_oldest_first() -> None:
    assert deleted(base()) == [1, 2, 3, 4]
    plan = base().sees(versions=folders(1, 2, 3)).decide()
    assert [words(action) for action in plan.actions] == [f"Delete {prefix(1)}"]
    assert plan.again


def test_as_many_as_are_kept_are_too_few_to_delete_any() -> None:
    assert deleted(base(2, 2), folders(1, 2)) == []


def test_without_the_field_nothing_goes() -> None:
    assert deleted(base().spec(storage={"uri": "s3://models/"})) == []


@pytest.mark.parametrize(
    ("says", "situation"),
    [
        ("it serves", base(serving=1)),
        ("it served before", base().status(served=base().resource.status.served.changed(previous=1))),  # type: ignore[union-attr]
        ("it is to be served", base().judged(6, accepted=False).serving(6, target=1, since=30)),
        ("it is pinned", base().pinned(1, found=SILENT)),
        ("it serves by a pin", base().pinned(1, found=in_bucket(1)).after().serving(1)),
        ("a pin leads back to it", base().pinned(6).status(pin=Pin(version=6, run_id=run_id(6), since=NOW, before=a_target(1)))),
        ("it is the newest that was judged, although newer folders are there", base(1, 6)),
        ("the last run compared with it", base().with_run("Succeeded", 6, incumbent=1)),
    ],
)  # fmt: skip
def test_a_version_that_may_be_needed_stays(says: str, situation: Situation) -> None:
    assert deleted(situation) == [2, 3, 4], says


def test_what_failed_is_no_version_that_is_kept_and_goes_with_its_elders() -> None:
    assert deleted(base(), folders(1, 2, 4, 6, failed=(3, 5))) == [1, 2, 3]


def test_all_attempts_at_an_old_version_go() -> None:
    second = Folder(1, run_id(1, 2), prefix(1, 2))
    plan = base().sees(versions=(*folders(2, 3), *folders(1), second)).decide()
    assert sum(isinstance(action, DeleteVersion) for action in plan.actions) == 2


def test_nothing_goes_while_a_run_is_on_or_the_resource_is_suspended_or_the_bucket_silent() -> None:
    running = base().with_run("Running", 7).kfp_says("RUNNING")
    assert deleted(running) == deleted(base().suspended()) == deleted(base(), SILENT) == []
    assert base().sees(versions=SILENT).decide().again


def test_the_bucket_is_looked_at_once_for_each_thing_that_may_make_a_version_superfluous() -> None:
    def looks(situation: Situation, pruned: str | None) -> bool:
        return Look.VERSIONS in first_looks(situation.observation(), Known(pruned=pruned), NOW)

    known = worth_a_look(base().resource, base().resource.status)
    assert known is not None
    assert looks(base(), None) and not looks(base(), known)
    assert looks(base(7, 6), known) and looks(base(serving=5), known)
    assert looks(base().spec(storage=STORAGE | {"keepVersions": 3}), known)
    assert not looks(base().spec(storage={"uri": "s3://models/"}), None)


def test_a_folder_that_is_gone_is_not_asked_for_again() -> None:
    assert prunable(base().resource, base().resource.status, folders(5, 6)) == []
