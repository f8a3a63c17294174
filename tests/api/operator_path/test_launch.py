"""A run is submitted once, whatever becomes of the answer."""

from __future__ import annotations

import pytest
from aiohttp import web

from sandbox.kfp import Fault, Faults
from sandbox.kfp.answers import invalid
from sandbox.kfp.faults import Cut
from tests.api.operator_path.api import until
from tests.api.operator_path.site import Site, message, told

LOST = [
    pytest.param("before", "reset", False, id="cut before anything was done"),
    pytest.param(
        "before", 503, False, id="a gateway says 503 before anything was done", marks=pytest.mark.campaign
    ),
    pytest.param(
        "before", 404, False, id="a gateway says 404 before anything was done", marks=pytest.mark.campaign
    ),
    pytest.param("between", "reset", False, id="cut between Workflow and row"),
    pytest.param("between", "hang", False, id="hangs between Workflow and row", marks=pytest.mark.campaign),
    pytest.param("after", "reset", True, id="cut after the commit"),
    pytest.param("after", "hang", True, id="hangs after the commit"),
    pytest.param("after", 500, True, id="500 after the commit", marks=pytest.mark.campaign),
    pytest.param("after", 404, True, id="a gateway says 404 after the commit", marks=pytest.mark.campaign),
]


@pytest.mark.parametrize(("when", "answer", "committed"), LOST)
async def test_a_lost_answer_leads_to_one_run_that_counts(
    shared: Site, when: str, answer: int | str, committed: bool, request: pytest.FixtureRequest
) -> None:
    name = f"lost-{when}-{answer}"
    posts = shared.posts()
    fault = shared.kfp.faults.add(Fault("POST", "/runs$", when, answer))  # type: ignore[arg-type]
    await shared.apply(name)
    status = await shared.serves(name, 1, seconds=40)

    assert fault.times == 0
    assert status["run"]["attempt"] == (1 if committed else 2)
    assert shared.posts() - posts == status["run"]["attempt"]
    counted = [state for state in shared.run_states(name) if state == "SUCCEEDED"]
    assert len(counted) == 1, shared.run_states(name)
    if not committed:  # nobody's failure: no retry is used up
        assert status["run"]["failures"] <= 1
    await until(lambda: _no_workflow_without_a_row(shared))


async def _no_workflow_without_a_row(site: Site) -> bool:
    flows = [flow["metadata"]["labels"]["pipeline/runid"] for flow in await site.workflows()]
    return set(flows) <= set(site.kfp.rows.runs)


class _Refusing(Faults):
    """Refuses every run as the real server refuses one that lacks a parameter."""

    async def strike(self, request: web.Request, when: str) -> None:
        if when == "before" and request.method == "POST" and request.path.endswith("/runs"):
            raise Cut(invalid("parameter n is not optional").response())


class _SilentOnceAsked(Faults):
    """Loses the answer to a submission, and then knows nothing of runs."""

    silent = False
    looks = 0

    async def strike(self, request: web.Request, when: str) -> None:
        posted = request.method == "POST" and request.path.endswith("/runs")
        if posted and when == "after":
            self.silent = True
            raise Cut(web.Response(status=503, text="<html>gateway</html>", content_type="text/html"))
        if self.silent and when == "before" and request.method == "GET" and "/runs/" in request.path:
            self.looks += 1
            raise Cut(web.Response(status=503, text="<html>gateway</html>", content_type="text/html"))


async def test_a_run_that_cannot_be_looked_for_is_waited_for(site: Site) -> None:
    site.kfp.faults = faults = _SilentOnceAsked()
    await site.apply("unknown")
    status = await site.settles("unknown", ModelTrained="Unknown/SubmissionUncertain")
    assert "was not confirmed" in message(status, "ModelTrained")
    await until(lambda: faults.looks >= 2)  # looked twice, past the patience
    assert site.posts() == 1
    faults.silent = False
    status = await site.serves("unknown", 1)
    assert (status["run"]["attempt"], site.posts()) == (1, 1)
    await site.check()


async def test_a_refused_run_fails_with_the_refusal_and_is_tried_as_often_as_the_spec_says(
    site: Site,
) -> None:
    site.kfp.faults = _Refusing()
    await site.apply("refused", training={"runRetries": 1})
    status = await site.settles("refused", Stalled="True", ModelTrained="False/RetriesExhausted", seconds=40)

    assert "parameter n is not optional" in message(status, "ModelTrained")
    assert site.posts() == 2
    assert status["run"]["failures"] == 2
    assert told(status)["Ready"].startswith("False/")
    assert (await site.reasons("refused")).count("RunFailed") == 2
    await site.check()
