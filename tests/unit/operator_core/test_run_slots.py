"""How many runs may be under way."""

from __future__ import annotations

from typing import Any

from tests.unit.builders import NOW, a_spec, run_id
from trainandserve.cache import Cache, Key
from trainandserve.run_slots import Slots


def put(cache: Cache, key: Key, state: str | None = None, version: int = 1) -> None:
    """A resource whose run is in that state."""
    namespace, name = key
    body: dict[str, Any] = {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": f"{namespace}-{name}",
            "resourceVersion": str(version),
        },
        "spec": a_spec(),
    }
    if state:
        run = {"version": 1, "attempt": 1, "id": run_id(1), "state": state, "submittedAt": NOW.isoformat()}
        body["status"] = {"run": run}
    cache.put_resource(key, body)


def filled(*states: str | None, in_all: int = 2, per_namespace: int = 2) -> tuple[Slots, Cache, list[Key]]:
    cache, keys = Cache(), [("ns", f"r{n}") for n in range(len(states))]
    for key, state in zip(keys, states, strict=True):
        put(cache, key, state)
    return Slots(cache, in_all, per_namespace), cache, keys


def test_a_place_is_taken_until_the_pass_is_over_and_then_counts_by_what_was_stored() -> None:
    slots, cache, (a, b, c) = filled(None, None, None)
    assert slots.take(a) and slots.take(b)
    assert not slots.take(c), "two passes cannot both take the last place"
    slots.give_back(a)
    assert slots.take(c), "the pass over a stored no run"
    slots.give_back(b)
    put(cache, b, "Submitting", version=2)
    slots.give_back(c)
    put(cache, c, "Running", version=2)
    assert not slots.take(a)


def test_only_runs_under_way_count() -> None:
    slots, _, (*_, last) = filled("Succeeded", "Failed", "Lost", "Stopped", "Stopping", None)
    assert slots.take(last)
    slots, _, (*_, last) = filled("Running", "Stopping", None)
    assert not slots.take(last)


def test_ones_own_run_does_not_stand_in_the_way() -> None:
    slots, _, (a, _) = filled("Stopping", "Running")
    assert slots.take(a)


def test_a_namespace_has_a_limit_of_its_own() -> None:
    cache = Cache()
    for key in (("one", "a"), ("one", "b"), ("two", "c")):
        put(cache, key, "Running" if key[1] == "a" else None)
    slots = Slots(cache, 10, 1)
    assert not slots.take(("one", "b"))
    assert slots.take(("two", "c"))


def test_who_waits_is_told_once_first_come_first() -> None:
    slots, cache, (a, b, c, d) = filled("Running", "Running", None, None)
    assert not slots.take(d) and not slots.take(c)
    put(cache, a, "Succeeded", version=2)
    put(cache, b, "Succeeded", version=2)
    assert slots.waiting(a) == [d, c]
    assert slots.waiting(a) == []


def test_nobody_is_told_while_there_is_no_place() -> None:
    """Else two that wait would wake each other for ever."""
    slots, cache, (_, b, c, d) = filled("Running", "Running", None, None)
    assert not slots.take(c) and not slots.take(d)
    assert slots.waiting(c) == []
    assert slots.waiting(d) == []
    put(cache, b, "Failed", version=2)
    assert slots.waiting(b) == [c], "one place, one that is told"
    assert slots.take(c)
    slots.give_back(c)
    assert slots.waiting(c) == [d], "c did not use it"


def test_a_full_namespace_does_not_keep_others_waiting() -> None:
    cache = Cache()
    for key in (("one", "a"), ("one", "b"), ("two", "c"), ("two", "d")):
        put(cache, key, "Running" if key[1] in "ac" else None)
    slots = Slots(cache, 2, 1)
    assert not slots.take(("one", "b")) and not slots.take(("two", "d"))
    put(cache, ("two", "c"), "Succeeded", version=2)
    assert slots.waiting(("two", "c")) == [("two", "d")]


def test_one_that_is_gone_is_not_waited_for() -> None:
    slots, cache, (a, _, c, d) = filled("Running", "Running", None, None)
    assert not slots.take(c) and not slots.take(d)
    cache.drop_resource(c)
    put(cache, a, "Succeeded", version=2)
    assert slots.waiting(a) == [d]
