"""The table of conditions, and what the tools that wait for a resource conclude from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.builders import (
    READY_TO_RUN,
    SILENT,
    Situation,
    a_deployment,
    a_resource,
    a_result,
    a_situation,
    a_target,
    problem,
    rolling_deployment,
    seconds,
)
from trainandserve.decide.conditions import with_condition
from trainandserve.observation import ABSENT, Preflight, ServerTrouble
from trainandserve.resource import Condition, Status


def kstatus(resource: Mapping[str, Any]) -> str:
    """What Flux and cli-utils conclude: the rules of their generic status, in their order."""
    metadata, status = resource["metadata"], resource.get("status") or {}
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != metadata["generation"]:
        return "InProgress"
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    if "Ready" in conditions:
        return "Current" if conditions["Ready"] == "True" else "InProgress"
    return "Current"


def kubectl_waits_no_more(resource: Mapping[str, Any]) -> bool:
    """Whether ``kubectl wait --for=condition=Ready`` returns: the condition is of this generation or a later one."""
    status = resource.get("status") or {}
    ready = next((one for one in status.get("conditions") or () if one["type"] == "Ready"), None)
    if ready is None:
        return False
    spoken_of = ready.get("observedGeneration", status.get("observedGeneration", 0))
    return bool(spoken_of >= resource["metadata"]["generation"] and ready["status"] == "True")


@dataclass(frozen=True)
class Case:
    """A row of the table: Ready, Reconciling, Stalled, phase (dots: absent), and what kstatus makes of it."""

    situation: Situation
    words: str
    kstatus: str
    reason: str | None = None


idle = a_situation().sees(preflight=None)
first = idle.judged(1)
proven = first.serving(1)
edited = {"training": {"image": "b"}}
failed = {"failures": 3, "attempt": 3}
missing = Preflight((problem(),))

TABLE = {
    "nothing serves yet; queued": Case(a_situation().sees(preflight=Preflight(slot=False)), "False True . Queued", "InProgress"),
    "nothing serves yet; a run is submitted": Case(a_situation(), "False True . Training", "InProgress"),
    "nothing serves yet; training": Case(idle.with_run("Running").kfp_says("RUNNING"), "False True . Training", "InProgress"),
    "nothing serves yet; a run is stopped": Case(idle.with_run("Stopping").kfp_says("CANCELING"), "False True . Training", "InProgress"),
    "nothing serves yet; a retry is due": Case(idle.with_run("Failed", failures=1), "False True . Training", "InProgress", "NotServedYet"),
    "nothing serves yet; rolling out": Case(first.rolling_to(1), "False True . RollingOut", "InProgress"),
    "a proven version serves, nothing to do": Case(proven, "True . . Serving", "Current", "Serving"),
    "a proven version serves, a new one trains": Case(
        proven.spec(**edited).with_run("Running", 2).kfp_says("RUNNING"), "True . . Training", "Current"),
    "a proven version serves, a new one is launched": Case(
        proven.spec(**edited).sees(preflight=READY_TO_RUN), "True . . Training", "Current"),
    "a proven version serves, a new one is queued": Case(
        proven.spec(**edited).sees(preflight=Preflight(slot=False)), "True . . Queued", "Current"),
    "a proven version serves, a new one is judged and applied": Case(
        proven.with_run("Succeeded", 2).sees(result=a_result(2)), "True True . RollingOut", "InProgress"),
    "a proven version serves, a new one is coming up": Case(proven.judged(2).serving(1, target=2, since=30), "True True . RollingOut", "InProgress"),
    "a proven version serves, its pods are being changed": Case(
        proven.sees(deployment=rolling_deployment(1)), "True True . RollingOut", "InProgress"),
    "the new version was rejected, an older one serves": Case(proven.judged(2, accepted=False), "True . . Serving", "Current", "Rejected"),
    "the new version failed to serve, an older one serves": Case(
        proven.judged(2, accepted=False, reason="FailedToServe"), "True . . Serving", "Current", "FailedToServe"),
    "its runs failed, an older one serves": Case(proven.with_run("Failed", 2, **failed), "True . . Serving", "Current", "RetriesExhausted"),
    "the first version was rejected, nothing serves": Case(idle.judged(1, accepted=False), "False . True Failed", "Failed", "Rejected"),
    "the first version failed to serve, nothing serves": Case(
        idle.judged(1, accepted=False, reason="FailedToServe"), "False . True Failed", "Failed", "FailedToServe"),
    "its runs failed, nothing serves": Case(idle.with_run("Failed", **failed), "False . True Failed", "Failed", "RetriesExhausted"),
    "something outside is missing, a version serves": Case(
        proven.status(phase="Serving").spec(**edited).sees(preflight=missing), "True . . Serving", "Current", "BucketRefused"),
    "something outside is missing, none serves": Case(a_situation().sees(preflight=missing), "False True . Pending", "InProgress", "BucketRefused"),
    "something outside is unknown, a version serves while another trains": Case(
        proven.spec(**edited).with_run("Running", 2).status(phase="Training").sees(run=SILENT), "True . . Training", "Current",
        "PipelinesUnreachable"),
    "the status was lost and nobody answers": Case(
        a_situation().status(last_version=None).sees(preflight=None, recovery=SILENT), "False True . Pending", "InProgress", "PipelinesUnreachable"),
    "an effect did not work, a version serves": Case(
        proven.status(phase="Serving").sees(failure=problem("KubernetesRefused")), "True . . Serving", "Current", "KubernetesRefused"),
    "an InferenceService of somebody else, a version served before": Case(
        proven.status(phase="Serving").sees(inference_service=proven.service(a_target(1), ownerReferences=[])), "True . . Serving", "Current",
        "InferenceServiceNotOurs"),
    "an InferenceService of somebody else, none serves": Case(
        first.sees(inference_service=first.service(a_target(1), ownerReferences=[]), deployment=ABSENT), "False True . RollingOut", "InProgress",
        "InferenceServiceNotOurs"),
    "what served has no pod that is ready": Case(
        proven.sees(deployment=a_deployment(1, available=0)), "False True . RollingOut", "InProgress", "NotAnswering"),
    "what served was deleted, its pods still answer": Case(
        proven.sees(inference_service=ABSENT), "True True . RollingOut", "InProgress", "Serving"),
    "what served was made again, the pods are still those of the one before": Case(
        proven.sees(deployment=a_deployment(1, owner="of the one before")), "True True . RollingOut", "InProgress", "Serving"),
    "what served is gone": Case(proven.sees(inference_service=ABSENT, deployment=ABSENT), "False True . RollingOut", "InProgress", "NotAnswering"),
    "suspended while a version serves": Case(proven.suspended(), "True . . Suspended", "Current", "Suspended"),
    "suspended before anything served": Case(a_situation().suspended(), "False . . Suspended", "InProgress", "Suspended"),
    "suspended while a run goes on": Case(
        proven.with_run("Running", 2).kfp_says("RUNNING").suspended(), "True . . Suspended", "Current", "Suspended"),
    "suspended after everything failed": Case(idle.judged(1, accepted=False).suspended(), "False . . Suspended", "InProgress", "Suspended"),
    "suspended while what served stops answering": Case(
        proven.suspended().sees(deployment=a_deployment(1, available=0)), "False . . Suspended", "InProgress", "Suspended"),
}  # fmt: skip


def stored(situation: Situation) -> dict[str, Any]:
    """The resource as the API server holds it after the pass."""
    return situation.resource.changed(status=situation.decide().status).dump()


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_conditions(name: str) -> None:
    case = TABLE[name]
    status = case.situation.decide().status
    found = [status.condition(kind) for kind in ("Ready", "Reconciling", "Stalled")]
    assert " ".join([*(one.status if one else "." for one in found), str(status.phase)]) == case.words
    assert case.reason is None or status.condition("Ready").reason == case.reason  # type: ignore[union-attr]


@pytest.mark.parametrize("name", TABLE)
def test_what_waits_for_the_resource_concludes_the_same(name: str) -> None:
    body = stored(TABLE[name].situation)
    assert kstatus(body) == TABLE[name].kstatus
    assert kubectl_waits_no_more(body) == TABLE[name].words.startswith("True")


@pytest.mark.parametrize("name", TABLE)
def test_every_condition_says_a_reason_a_sentence_and_the_generation_it_speaks_of(name: str) -> None:
    situation = TABLE[name].situation
    status = situation.decide().status
    assert {one.type for one in status.conditions} >= {
        "Ready",
        "ModelTrained",
        "ModelAccepted",
        "ModelServed",
    }
    for one in status.conditions:
        assert one.reason.isalpha() and one.message
        assert one.observed_generation == situation.resource.metadata.generation
        assert "None" not in one.message


@pytest.mark.parametrize("name", TABLE)
def test_the_same_world_a_pass_later_says_the_same(name: str) -> None:
    situation = TABLE[name].situation.after().after().after()
    later = situation.later(1)
    assert [c.last_transition_time for c in later.decide().status.conditions] == [
        c.last_transition_time for c in situation.resource.status.conditions
    ] or later.decide().status.phase != situation.resource.status.phase


def test_a_resource_that_was_just_created_is_in_progress_from_the_first_write_on() -> None:
    new = Situation(a_resource())
    body = stored(new)
    assert kstatus(body) == "InProgress"
    assert not kubectl_waits_no_more(body)
    assert body["status"]["observedGeneration"] == 3


def test_a_resource_that_was_just_edited_is_in_progress_until_the_edit_was_seen() -> None:
    seen = proven.after()
    just_edited = seen.spec(**edited)
    body = just_edited.resource.dump()
    assert (kstatus(body), kubectl_waits_no_more(body)) == ("InProgress", False)
    body = stored(just_edited.sees(preflight=READY_TO_RUN))
    assert (kstatus(body), kubectl_waits_no_more(body)) == ("Current", True), "an older version serves"


def test_a_resource_that_is_being_deleted_is_terminating() -> None:
    assert kstatus(stored(proven.deleting())) == "Terminating"


def test_a_change_that_does_not_get_done_is_said_after_the_deadline() -> None:
    changing = proven.sees(
        deployment=rolling_deployment(1), server_trouble=ServerTrouble("its pod waits for a node")
    ).after()
    served = changing.later(301).decide().status.condition("ModelServed")
    assert served is not None
    assert (served.status, served.reason) == ("True", "RolloutStuck")
    assert served.message.endswith("its pod waits for a node")


def test_the_transition_time_moves_with_the_status_alone() -> None:
    one = with_condition(Status(), "Ready", "True", "A", "a", 1, a_situation().now)
    two = with_condition(one, "Ready", "True", "B", "b", 2, a_situation().now + seconds(5))
    three = with_condition(two, "Ready", "False", "B", "b", 2, a_situation().now + seconds(5))
    times = [status.conditions[0].last_transition_time for status in (one, two, three)]
    assert times == [a_situation().now, a_situation().now, a_situation().now + seconds(5)]


def test_a_condition_of_a_type_that_is_not_known_stays() -> None:
    """Another version of the operator, or a hand, may have written it."""
    foreign = Condition(
        type="Foreign", status="True", reason="X", message="x", last_transition_time=a_situation().now
    )
    status = proven.status(conditions=[foreign, *proven.resource.status.conditions]).decide().status
    assert status.condition("Foreign") == foreign
    assert status.conditions[-1] == foreign
