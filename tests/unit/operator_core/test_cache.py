"""What the watches brought: never older than what is known."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from tests.unit.builders import a_spec
from trainandserve.cache import Cache, Store, deployment, owner_of_deployment, workflow
from trainandserve.observation import Deployment
from trainandserve.resource import TrainAndServe

KEY = ("vision", "mnist")


def body(version: int, uid: str = "one", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": KEY[0], "name": KEY[1], "uid": uid, "resourceVersion": str(version)},
        "spec": a_spec(),
        **more,
    }


def known(store: Store) -> tuple[str, str] | None:
    found = store.get(KEY)
    return (found["metadata"]["uid"], found["metadata"]["resourceVersion"]) if found else None


def test_an_object_never_goes_back() -> None:
    store = Store()
    assert store.put(KEY, body(9))
    assert not store.put(KEY, body(8)), "an event that our own write overtook"
    assert store.put(KEY, body(10)), "10 is after 9, not before it"
    assert known(store) == ("one", "10")


def test_one_that_was_deleted_and_created_again_is_another() -> None:
    store = Store()
    store.put(KEY, body(5))
    assert store.put(KEY, body(9, "two"))
    store.drop(KEY, "one")
    assert known(store) == ("two", "9"), "the late word of the first one's end"
    store.drop(KEY, "two")
    assert known(store) is None
    store.drop(KEY)


def test_a_late_event_of_the_one_before_does_not_replace_its_successor() -> None:
    store = Store()
    store.put(KEY, body(9, "two"))
    assert not store.put(KEY, body(7, "one"))
    assert known(store) == ("two", "9")


def test_a_list_lacks_what_was_not_seen_after_it() -> None:
    store = Store()
    store.put(KEY, body(5))
    store.put(("vision", "newer"), body(9))
    store.put(("vision", "listed"), body(4))
    assert store.missing({("vision", "listed")}, 7) == [KEY]


def test_what_others_manage_is_not_kept_and_what_we_applied_is() -> None:
    ours = {"manager": "trainandserve", "operation": "Apply", "fieldsV1": {}}
    entries = [
        ours,
        {"manager": "trainandserve", "operation": "Update"},
        {"manager": "kubectl", "operation": "Apply"},
    ]
    store, given = Store(), body(1)
    given["metadata"]["managedFields"] = entries
    store.put(KEY, given)
    assert store.get(KEY)["metadata"]["managedFields"] == [ours]  # type: ignore[index]
    assert given["metadata"]["managedFields"] == entries, "the event itself is left as it is"
    given["metadata"]["managedFields"] = entries[1:]
    store.put(KEY, given)
    assert "managedFields" not in store.get(KEY)["metadata"]  # type: ignore[index]


def test_a_resource_is_read_once_for_each_version() -> None:
    cache = Cache()
    cache.put_resource(KEY, body(1))
    first = cache.resource(KEY)
    assert isinstance(first, TrainAndServe)
    assert cache.resource(KEY) is first
    cache.put_resource(KEY, body(2))
    assert cache.resource(KEY) is not first
    assert [one.metadata.resource_version for one in cache.all_resources()] == ["2"]


def test_a_resource_that_cannot_be_read_is_an_error_and_not_counted() -> None:
    cache = Cache()
    cache.put_resource(KEY, {**body(1), "spec": {"data": 5}})
    assert isinstance(cache.resource(KEY), ValidationError)
    assert list(cache.all_resources()) == []
    assert cache.resource(("vision", "none")) is None


def test_a_run_leads_to_its_resource_also_when_it_was_given_up() -> None:
    cache = Cache()
    status = {"run": {"id": "r1"}, "abandoned": [{"id": "r0"}]}
    cache.put_resource(KEY, body(1, status=status))
    assert (cache.owner_of_run("r1"), cache.owner_of_run("r0"), cache.owner_of_run("x")) == (KEY, KEY, None)
    cache.drop_resource(KEY, "another")
    assert cache.owner_of_run("r1") == KEY
    cache.drop_resource(KEY, "one")
    assert cache.owner_of_run("r1") is None


def flow(name: str, run: str, phase: str = "") -> dict[str, Any]:
    labels = {"pipeline/runid": run} | ({"workflows.argoproj.io/phase": phase} if phase else {})
    return {"namespace": "kubeflow", "name": name, "labels": labels}


def test_workflows_are_known_by_their_run() -> None:
    cache = Cache()
    assert cache.put_workflow(flow("a", "r1", "Running")) == "r1"
    cache.put_workflow(flow("stray", "r1"))
    cache.put_workflow(flow("a", "r1", "Succeeded"))
    assert [(one.name, one.phase) for one in cache.workflows("r1")] == [("a", "Succeeded"), ("stray", "")]
    assert cache.drop_workflow(flow("a", "r1")) == "r1"
    cache.drop_workflow(flow("stray", "r1"))
    assert cache.workflows("r1") == ()
    cache.replace_workflows([{"metadata": flow("b", "r2")}])
    assert [one.name for one in cache.workflows("r2")] == ["b"]
    assert workflow({"namespace": "x", "name": "y"}).run_id == ""


def test_a_deployment_is_read_as_far_as_it_proves_something() -> None:
    annotations = {
        "trainandserve.io/run-id": "r1",
        "internal.serving.kserve.io/storage-initializer-sourceuri": "s3://m/model/",
    }
    given = {
        "metadata": {
            "namespace": "vision",
            "generation": 3,
            "labels": {"serving.kserve.io/inferenceservice": "mnist"},
        },
        "spec": {"replicas": 2, "template": {"metadata": {"annotations": annotations}}},
        "status": {
            "observedGeneration": 3,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
        },
    }
    found = deployment(given)
    assert found == Deployment("r1", "s3://m/model/", 3, 3, 2, 2, 2, 2, 2)
    assert found.settled
    assert owner_of_deployment(given) == KEY
    fresh = deployment({"metadata": {"namespace": "vision"}, "spec": {}})
    assert not fresh.settled
    assert owner_of_deployment({"metadata": {"namespace": "vision"}}) is None
