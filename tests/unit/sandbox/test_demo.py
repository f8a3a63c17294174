import io
import json
import threading
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer

import numpy as np
import pytest

from sandbox import tables
from sandbox.client import Answer, PredictionError, ask, predict
from sandbox.demo.drawing import draw, side_by_side
from sandbox.demo.requests import Reply, RequestStream, likeliest
from sandbox.demo.screen import Screen
from sandbox.demo.waiting import DemoError, Watcher, findings, judged, progress, serves, taken_back
from sandbox.digits import held_out, write_digits
from sandbox.kserve import proxy
from tests.unit.http_servers import Quiet, serving


def test_a_table_looks_as_kubectl_prints_it():
    columns = [("Name", 0), ("Ready", 0), ("Hidden", 1), ("Served", 0), ("Age", 0)]
    table = {
        "columnDefinitions": [{"name": name, "priority": priority} for name, priority in columns],
        "rows": [
            {"cells": ["digits", "True", "x", 12, "3m22s"]},
            {"cells": ["a-much-longer-name", None, "x", None, "5s"]},
        ],
    }

    assert tables.render(table).splitlines() == [
        "NAME                 READY   SERVED   AGE",
        "digits               True    12       3m22s",
        "a-much-longer-name                    5s",
    ]


def test_an_empty_table_says_so():
    assert tables.render({"columnDefinitions": [], "rows": []}) == "No resources found"


def test_events_come_oldest_first_with_their_age():
    def event(at: str, reason: str) -> dict:
        return {
            "metadata": {"resourceVersion": "1"},
            "lastTimestamp": at,
            "type": "Normal",
            "reason": reason,
            "message": f"of {reason}",
            "source": {"component": "trainandserve"},
        }

    found = [event("2026-01-01T00:00:50Z", "Second"), event("2026-01-01T00:00:00Z", "First")]

    lines = tables.events(found, datetime(2026, 1, 1, 0, 1, tzinfo=UTC)).splitlines()

    assert lines[0] == "  Type    Reason  Age   From           Message"
    assert lines[2:] == [
        "  Normal  First   60s   trainandserve  of First",
        "  Normal  Second  10s   trainandserve  of Second",
    ]
    assert tables.events([], datetime.now(UTC)) == "  <none>"


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (-1, "0s"),
        (119.4, "119s"),
        (120, "2m"),
        (202, "3m22s"),
        (700, "11m"),
        (4 * 3600, "4h"),
        (3 * 86400, "3d"),
    ],
)
def test_ages_have_at_most_two_units(seconds, age):
    assert tables.age(seconds) == age


def test_a_drawing_has_ink_where_the_image_has():
    image = np.zeros((28, 28), np.uint8)
    image[:4, :2] = 255

    drawing = draw(image)

    assert drawing == ["@" + " " * 13, *[" " * 14] * 6]
    assert side_by_side([["ab", "cd"], ["ef", "gh"]], ["is 1", "is 2"]).splitlines() == [
        "ab     ef",
        "cd     gh",
        "is 1   is 2",
    ]


@pytest.mark.slow
def test_the_held_out_digits_are_read_from_the_files_as_written(tmp_path):
    write_digits(tmp_path)
    images, labels = held_out(tmp_path)
    write_digits(tmp_path, augment=1)
    again, same = held_out(tmp_path)

    assert images.shape == (359, 28, 28)
    assert set(labels.tolist()) == set(range(10))
    assert np.array_equal(images, again) and np.array_equal(labels, same)


def _stream(predict, enough, say=lambda line: None, rate=500.0):
    """A stream that ran until `enough` requests had been made."""
    reached = threading.Event()
    counter = threading.Lock()
    made = [0]

    def counted(instance):
        with counter:
            made[0] += 1
            if made[0] >= enough:
                reached.set()
        return Reply(predict(instance), version=instance + 1)

    with RequestStream(counted, [0, 1], [0, 1], rate, say) as stream:
        assert reached.wait(30)
    return stream, made[0]


def test_every_request_is_counted_also_those_on_their_way_at_the_end():
    stream, made = _stream(lambda instance: [1.0, 0.0] if instance == 0 else [0.2, 0.8], enough=40)

    assert stream.sent == made >= 40
    assert stream.right == stream.sent
    assert stream.failures == []
    assert all(answer.sent <= answer.answered for answer in stream.answers)
    assert {answer.version for answer in stream.answers} == {1, 2}
    assert f"{made} requests, 0 failures; 100.0% of the answers right" in stream.summary()


def test_every_failed_request_is_counted_and_shown():
    def failing(instance):
        if instance == 1:
            raise PredictionError("503: nobody is there")
        return [0.9, 0.1]

    shown = []
    stream, made = _stream(failing, enough=20, say=shown.append)

    assert stream.sent == made
    assert len(stream.failures) == len(shown) == made - stream.right > 0
    assert "503: nobody is there" in shown[0]


def test_the_likeliest_class_has_the_highest_probability():
    assert likeliest([0.1, 0.7, 0.2]) == 1


@pytest.fixture
def answering():
    """A model server that answers every request with what `answers` holds."""
    answers = {"status": 200, "body": b"{}"}

    class Handler(Quiet):
        def do_POST(self):
            answers["asked"] = self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers["status"])
            for header in answers.get("headers", {}).items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(answers["body"])

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}", answers
    server.server_close()


def test_predictions_are_asked_for_by_the_v1_protocol(answering):
    url, answers = answering
    answers["body"] = b'{"predictions": [[0.1, 0.9]]}'

    assert predict(url, "digits", [[1, 2]]) == [[0.1, 0.9]]
    assert answers["asked"] == ("/v1/models/digits:predict", {"instances": [[1, 2]]})
    answers["headers"] = {proxy.SERVED_BY: "digits-predictor-1"}
    assert ask(url, "digits", [[1, 2]]) == Answer([[0.1, 0.9]], "digits-predictor-1")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (503, b"no ready pod", "503: no ready pod"),
        (200, b"<html>", "JSONDecodeError"),
        (200, b'{"error": "x"}', "KeyError"),
        (200, b'{"predictions": []}', "no prediction for each of 1 instances"),
    ],
)
def test_an_answer_that_is_no_prediction_is_a_failure(answering, status, body, message):
    url, answers = answering
    answers.update(status=status, body=body)

    with pytest.raises(PredictionError, match=message):
        predict(url, "digits", [[1, 2]])


def test_nobody_at_the_address_is_a_failure():
    with pytest.raises(PredictionError, match="URLError"):
        predict("http://127.0.0.1:9", "digits", [[1]])


def test_progress_in_a_file_is_a_line_for_each_change():
    out = io.StringIO()
    screen = Screen(out, terminal=False)
    for text in ("train", "train", "train", "evaluate"):
        screen.progress(text, 0.0)

    assert [line.split("  ")[-1] for line in out.getvalue().splitlines()] == ["train", "evaluate"]


def test_progress_in_a_terminal_is_one_line_that_changes_and_ends_before_the_next():
    out = io.StringIO()
    screen = Screen(out, terminal=True)
    screen.progress("train", 0.0)
    screen.progress("evaluate", 0.0)
    screen.say("done")

    assert out.getvalue().count("\n") == 2
    assert out.getvalue().endswith("evaluate\ndone\n")


STATUS = {
    "observedGeneration": 1,
    "phase": "Serving",
    "served": {"version": 2},
    "candidate": {"version": 2, "verdict": {"accepted": True}},
    "conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "message": "version 2 serves"}],
}


def test_what_is_waited_for_is_read_from_the_status():
    assert serves(2)(STATUS) and not serves(3)(STATUS)
    assert judged(2)(STATUS) and not judged(3)(STATUS)
    assert not serves(1)({}) and not judged(1)({})
    assert findings(STATUS) == "  Ready=True Serving: version 2 serves"


def test_a_version_that_was_to_fail_in_service_must_not_come_to_another_end():
    def status(served, **verdict):
        return {"served": {"version": served}, "candidate": {"version": 4, "verdict": verdict}}

    failed = {"accepted": False, "reason": "FailedToServe", "message": "exit code 137"}
    assert taken_back(4)(status(3, **failed)) and not taken_back(5)(status(3, **failed))
    assert not taken_back(4)(status(3, accepted=True, reason="Accepted", message=""))
    assert not taken_back(4)({})
    with pytest.raises(DemoError, match="proven to serve"):
        taken_back(4)(status(4, accepted=True, reason="Accepted", message=""))
    with pytest.raises(DemoError, match="was rejected: too bad"):
        taken_back(4)(status(3, accepted=False, reason="Rejected", message="too bad"))


def test_progress_names_the_step_or_the_condition():
    run = {"version": 3, "step": "train", "progress": "1/4"}

    assert progress({"phase": "Training", "run": run}) == "Training  version 3: train, 1/4 steps done"
    assert progress(STATUS) == "Serving  version 2 serves"
    assert progress({}) == "Pending  not seen by the operator yet"


class Fixed:
    """Resources of which there is one, which does not change."""

    def __init__(self, status):
        self.body = {"metadata": {"generation": 1}, "status": status}

    def get(self, name):
        return self.body


def _watcher(status):
    return Watcher(Fixed(status), "digits", Screen(io.StringIO(), terminal=False), lambda: None)


def test_a_wait_that_takes_too_long_ends_with_the_operators_own_words():
    with pytest.raises(DemoError, match=r"version 3 serves(.|\n)*Ready=True Serving: version 2 serves"):
        _watcher(STATUS).until("version 3 serves", serves(3), timeout=0)


def test_a_wait_ends_when_the_operator_gives_up():
    stalled = {
        "type": "Stalled",
        "status": "True",
        "reason": "RetriesExhausted",
        "message": "three runs failed",
    }

    with pytest.raises(DemoError, match="gave up: three runs failed"):
        _watcher({**STATUS, "conditions": [stalled]}).until("version 3 serves", serves(3), timeout=60)


def test_an_old_status_is_not_taken_for_the_answer():
    watcher = _watcher({**STATUS, "observedGeneration": 0})

    with pytest.raises(DemoError, match="not yet"):
        watcher.until("version 2 serves", serves(2), timeout=0)
