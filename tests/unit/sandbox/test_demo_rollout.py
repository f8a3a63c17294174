import json
from http.server import ThreadingHTTPServer

import numpy as np
import pytest

from sandbox.controlplane.rest import Rest, RestError
from sandbox.demo.requests import Answered, RequestStream
from sandbox.demo.rollout import shares, versions
from sandbox.demo.rollout.knative import way_back
from sandbox.demo.rollout.part import check_requests
from sandbox.demo.rollout.shares import Share, Step, Steps
from sandbox.demo.rollout.versions import Versions
from sandbox.demo.rollout.wears_out import _wrap
from sandbox.demo.rollout.writes import Write, Writes
from sandbox.demo.waiting import DemoError
from tests.unit.http_servers import Quiet, serving


def canary(version, step, traffic):
    rollout = {"version": version, "stage": "Canary", "step": step, "traffic": traffic}
    return {"status": {"rollout": rollout}}


def observed(*bodies):
    """Steps that were shown these bodies, asked for at 0, 2, 4, … and there at 1, 3, 5, …"""
    now = [0.0]
    steps = Steps([10, 50], clock=lambda: now[0])
    for number, body in enumerate(bodies):
        now[0] = 2.0 * number + 1
        steps.observe(body, 2.0 * number)
    return steps.all


def test_a_step_lasts_from_the_first_answer_that_tells_its_share_to_the_last_question():
    proving, promoting = ({"status": {"rollout": {"stage": stage}}} for stage in ("Proving", "Promoting"))
    seen = [
        proving,
        canary(3, 1, 0),
        canary(3, 1, 10),
        canary(3, 1, 10),
        canary(3, 2, 10),
        canary(3, 2, 50),
        canary(3, 2, 50),
        promoting,
    ]

    assert observed(*seen) == (Step(3, 1, 10, 5.0, 6.0), Step(3, 2, 50, 11.0, 12.0))


def test_two_rollouts_of_a_version_are_apart():
    first, second = observed(canary(3, 1, 10), {"status": {}}, canary(3, 1, 10))

    assert (first.since, second.since) == (1.0, 5.0)


def test_only_requests_that_were_sent_and_answered_in_a_step_count_for_it():
    step = Step(3, 1, 10, 10.0, 20.0)
    times = [(9.9, 10.1), (10.0, 10.1), (11.0, 11.1), (19.9, 20.0), (19.9, 20.1)]
    answers = [Answered(sent, answered, 3 if sent == 11.0 else 1, True) for sent, answered in times]

    assert (Share.of(step, answers).hits, Share.of(step, answers).count) == (1, 3)


@pytest.mark.parametrize(
    ("hits", "verdict"),
    [(50, "inside"), (37, "inside"), (65, "outside by chance"), (80, "outside"), (23, "outside")],
)
def test_a_share_is_held_to_what_chance_does(hits, verdict):
    share = Share(Step(3, 1, 10, 0.0, 1.0), hits, 500)

    assert share.verdict == verdict
    assert share.inside(shares.NEVER) == (verdict != "outside")
    assert f"{hits} of 500   {hits / 5:.1f}%" in shares.table([share])


def answers(*by):
    return [Answered(0.0, 0.1, version, right=version != 4) for version in by]


def stream(*by, failures=()):
    found = RequestStream(lambda instance: None, [0], [0], 1.0, print)
    found.answers, found.failures = answers(*by), list(failures)
    return found


def test_the_requests_are_held_to_what_must_be():
    good = [1] * 1000 + [3] * 1000
    check_requests(stream(*good, 4))
    for faulty, words in (
        (stream(*good, failures=["503"]), "1 of 2001 prediction requests failed"),
        (stream(*good[1:]), "1999 requests say too little"),
        (stream(*good, None), "nobody knows the version"),
        (stream(*good, 2), "version 2 was rejected"),
        (stream(*[1] * 2000), "by version 3"),
    ):
        with pytest.raises(DemoError, match=words):
            check_requests(faulty)


def test_answers_are_told_by_version():
    assert versions.table(answers(1, 4, 1, None), (1, 2, 4)).splitlines() == [
        "VERSION   ANSWERS   RIGHT",
        "1         2         100.0%",
        "2         0         -",
        "4         1         0.0%",
        "unknown   1         100.0%",
    ]


def write(generation, version, percent):
    return Write(generation, version, percent, 0.0)


def test_one_write_takes_all_requests_from_a_version():
    first = [write(5, 4, 0), write(6, 4, 10)]

    assert way_back([*first, write(7, 3, 0), write(8, 3, None)]).generation == 7
    for after in ([], [write(7, 3, None)], [write(7, 3, 50), write(8, 3, 0)]):
        with pytest.raises(DemoError, match="not taken back in one write"):
            way_back([*first, *after])


def service(generation, version, percent=None):
    predictor = {"annotations": {"trainandserve.io/version": str(version)}}
    predictor |= {} if percent is None else {"canaryTrafficPercent": percent}
    return {"metadata": {"generation": generation}, "spec": {"predictor": predictor}}


@pytest.fixture
def server():
    """An API server that answers every GET with what `answers` holds, line by line."""
    answers = {"status": 200, "lines": [], "asked": []}

    class Handler(Quiet):
        def do_GET(self):
            answers["asked"].append(self.path)
            self.send_response(answers["status"])
            self.end_headers()
            for line in answers["lines"]:
                self.wfile.write(json.dumps(line).encode() + b"\n")

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as found:
        yield Rest(f"http://127.0.0.1:{found.server_port}"), answers


class InNamespace:
    namespace = "vision"

    def __init__(self, rest):
        self.rest = rest


def test_what_is_asked_of_kserve_is_told_generation_by_generation(server):
    rest, answers = server
    seen = [service(1, 1), service(1, 1), service(2, 2, 0), service(3, 2, 10)]
    answers["lines"] = [{"type": "MODIFIED", "object": one} for one in seen]
    writes = Writes(InNamespace(rest), "digits")
    writes.start()
    writes._thread.join(30)

    assert [str(one) for one in writes._found] == [
        "generation 1: version 1, all requests",
        "generation 2: version 2, 0% of the requests",
        "generation 3: version 2, 10% of the requests",
    ]
    with pytest.raises(DemoError, match="nothing more is heard"):  # what is not heard of would not be missed
        _ = writes.all
    assert "fieldSelector=metadata.name=digits&watch=true" in answers["asked"][0]


def test_a_watch_that_is_refused_says_so(server):
    rest, answers = server
    answers.update(status=403, lines=[{"message": "no such right"}])

    with pytest.raises(RestError, match="403 no such right"):
        list(rest.watch("/apis", 1))


def test_a_pods_version_is_asked_for_once(server):
    rest, answers = server
    answers["lines"] = [{"metadata": {"annotations": {"trainandserve.io/version": "3"}}}]
    found = Versions(InNamespace(rest))

    assert [found.of(pod) for pod in ("a", "a", "")] == [3, 3, None]
    assert answers["asked"] == ["/api/v1/namespaces/vision/pods/a"]
    answers["status"] = 404
    assert found.of("b") is None


@pytest.mark.slow
def test_a_model_that_wears_out_is_good_for_as_many_calls_as_asked(tmp_path):
    import tensorflow as tf

    from trainer.saved_model import ServedModel, write_classifier

    sound, worn = tmp_path / "sound", tmp_path / "worn"
    write_classifier(lambda instances, training: tf.reduce_sum(instances, [1, 3]), (2, 3, 1), sound)
    _wrap(sound, 2, worn)
    image = np.array([[[[1], [2], [3]], [[0], [0], [1]]]], np.float32)
    (expected,) = ServedModel(sound).outputs(image).values()

    model = ServedModel(worn)
    said = [next(iter(model.outputs(image).values())) for _ in range(3)]

    assert np.array_equal(said[0], expected) and np.array_equal(said[1], expected)
    assert np.array_equal(said[2], expected[:, ::-1]) and not np.array_equal(said[2], expected)
