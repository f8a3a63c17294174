"""Writes to the real API server: what raises the generation, what changes nothing, what the status keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.controlplane import ControlPlane
from sandbox.controlplane.rest import APPLY
from tests.api.bad_resources import good_resource, minimal_resource
from tests.api.crd_calls import MERGE, create, folder, refusal, write_status
from tests.unit.operator_resource.statuses import full_status
from trainandserve.resource import Abandoned, Status

# --- Generation and apply -----------------------------------------------------------------------------------------


def test_an_edit_of_the_spec_raises_the_generation_and_a_status_write_does_not(
    plane: ControlPlane, namespace: str
) -> None:
    created = create(plane, namespace, minimal_resource())
    assert created["metadata"]["generation"] == 1
    edited = plane.rest.call("PATCH", f"{folder(namespace)}/mnist", {"spec": {"suspend": True}}, MERGE)
    assert edited["metadata"]["generation"] == 2
    written = write_status(plane, namespace, full_status().dump())
    assert written["metadata"]["generation"] == 2
    assert written["metadata"]["resourceVersion"] != edited["metadata"]["resourceVersion"]


def test_an_annotation_does_not_raise_the_generation(plane: ControlPlane, namespace: str) -> None:
    create(plane, namespace, minimal_resource())
    asked = {"metadata": {"annotations": {"trainandserve.io/retrain": "1"}}}
    annotated = plane.rest.call("PATCH", f"{folder(namespace)}/mnist", asked, MERGE)
    assert annotated["metadata"]["generation"] == 1


def test_a_status_in_what_the_user_applies_is_ignored(plane: ControlPlane, namespace: str) -> None:
    created = create(plane, namespace, minimal_resource() | {"status": {"phase": "Serving"}})
    assert "status" not in created


def test_a_spec_in_what_the_operator_writes_as_status_is_ignored(plane: ControlPlane, namespace: str) -> None:
    create(plane, namespace, minimal_resource())
    body = {"spec": {"suspend": True}, "status": {"phase": "Serving"}}
    written = plane.rest.call("PATCH", f"{folder(namespace)}/mnist/status", body, MERGE)
    assert written["spec"] == minimal_resource()["spec"]


@pytest.mark.parametrize("body", [minimal_resource(), good_resource()], ids=["minimal", "every field"])
def test_applying_the_same_again_on_the_servers_side_changes_nothing(
    plane: ControlPlane, namespace: str, body: dict[str, Any]
) -> None:
    path = f"{folder(namespace)}/mnist?fieldManager=gitops&fieldValidation=Strict"
    first = plane.rest.call("PATCH", path, body, APPLY)
    write_status(plane, namespace, full_status().dump())
    before = plane.rest.call("GET", f"{folder(namespace)}/mnist")
    again = plane.rest.call("PATCH", path, body, APPLY)
    assert again["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert again["metadata"]["generation"] == first["metadata"]["generation"] == 1


def test_what_was_applied_reads_back_without_a_difference(plane: ControlPlane, namespace: str) -> None:
    path = f"{folder(namespace)}/mnist?fieldManager=gitops"
    plane.rest.call("PATCH", path, good_resource(), APPLY)
    assert plane.rest.call("GET", path)["spec"] == good_resource()["spec"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_writing_the_same_again_from_the_clients_side_changes_nothing(
    plane: ControlPlane, namespace: str, method: str
) -> None:
    created = create(plane, namespace, good_resource())
    version = {"resourceVersion": created["metadata"]["resourceVersion"]}
    body = (
        good_resource() if method == "PATCH" else good_resource() | {"metadata": {"name": "mnist"} | version}
    )
    kind = MERGE if method == "PATCH" else "application/json"
    written = plane.rest.call(method, f"{folder(namespace)}/mnist", body, kind)
    assert written["metadata"]["generation"] == 1
    assert written["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


def test_two_appliers_may_each_own_a_metric(plane: ControlPlane, namespace: str) -> None:
    for manager, metric in (("a", {"name": "accuracy", "min": 0.9}), ("b", {"name": "loss", "max": 1})):
        body = minimal_resource()
        body["spec"]["evaluation"] = {"metrics": [metric]}
        stored = plane.rest.call("PATCH", f"{folder(namespace)}/mnist?fieldManager={manager}", body, APPLY)
    assert [metric["name"] for metric in stored["spec"]["evaluation"]["metrics"]] == ["accuracy", "loss"]


# --- Status -------------------------------------------------------------------------------------------------------


def test_every_value_of_the_status_survives_the_way_to_the_server_and_back(
    plane: ControlPlane, namespace: str
) -> None:
    create(plane, namespace, minimal_resource())
    status = full_status()
    write_status(plane, namespace, status.dump())
    stored = plane.rest.call("GET", f"{folder(namespace)}/mnist")["status"]
    assert stored == status.dump()
    assert Status.model_validate(stored) == status


def test_a_metric_without_a_number_stays_in_the_status(plane: ControlPlane, namespace: str) -> None:
    create(plane, namespace, minimal_resource())
    candidate = {"version": 1, "runId": "a", "uri": "s3://models/a/", "metrics": {"loss": None}}
    body = plane.rest.call("GET", f"{folder(namespace)}/mnist") | {"status": {"candidate": candidate}}
    stored = plane.rest.call("PUT", f"{folder(namespace)}/mnist/status", body)["status"]
    assert stored["candidate"]["metrics"] == {"loss": None}


def test_a_status_by_server_side_apply_is_stored_whole_and_applied_again_changes_nothing(
    plane: ControlPlane, namespace: str
) -> None:
    create(plane, namespace, minimal_resource())
    body = minimal_resource() | {"status": full_status().dump()}
    del body["spec"]
    path = f"{folder(namespace)}/mnist/status?fieldManager=trainandserve&force=true"
    first = plane.rest.call("PATCH", path, body, APPLY)
    assert first["status"] == full_status().dump()
    again = plane.rest.call("PATCH", path, body, APPLY)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


_RUN = {"version": 1, "attempt": 1, "id": "a", "state": "Running", "submittedAt": "2026-11-20T19:00:00Z"}
_CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Served",
    "lastTransitionTime": "2026-11-20T19:00:00Z",
}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"phase": "Happy"}, "Unsupported value"),
        ({"observedGeneration": "4"}, "must be of type integer"),
        ({"conditions": {"Ready": True}}, "unknown field"),
        ({"conditions": [_CONDITION | {"status": True}]}, "must be of type string"),
        ({"conditions": [_CONDITION | {"status": "Maybe"}]}, "Unsupported value"),
        ({"conditions": [_CONDITION | {"lastTransitionTime": "yesterday"}]}, "must be of type date-time"),
        ({"conditions": [_CONDITION, _CONDITION]}, "Duplicate value"),
        ({"conditions": [{"type": "Ready"}]}, "Required value"),
        ({"run": {"id": "a"}}, "status.run.version: Required value"),
        ({"run": _RUN | {"state": "Dreaming"}}, "Unsupported value"),
        ({"run": _RUN | {"version": 1.5}}, "must be of type integer"),
        ({"served": {"metrics": {"accuracy": "good"}}}, "must be of type number"),
        ({"served": {"version": -1.5}}, "must be of type integer"),
        ({"history": [{"version": 1}]}, "Required value"),
        ({"summary": "a" * 254}, "may not be more than 253"),
        ({"mood": "good"}, 'unknown field "status.mood"'),
    ],
    ids=str,
)
def test_the_server_refuses_the_status(
    plane: ControlPlane, namespace: str, status: dict[str, Any], message: str
) -> None:
    create(plane, namespace, minimal_resource())
    path = f"{folder(namespace)}/mnist/status?fieldValidation=Strict"
    assert message in refusal(plane, "PATCH", path, {"status": status}, MERGE)


def test_times_are_stored_to_the_microsecond(plane: ControlPlane, namespace: str) -> None:
    create(plane, namespace, minimal_resource())
    at = datetime(2026, 11, 20, 19, 0, 0, 123456, tzinfo=UTC) + timedelta(days=1)
    status = Status(abandoned=[Abandoned(id="a", since=at)])
    write_status(plane, namespace, status.dump())
    stored = plane.rest.call("GET", f"{folder(namespace)}/mnist")["status"]
    assert Status.model_validate(stored).abandoned[0].since == at
