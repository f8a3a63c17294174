"""What pods say of why they do not serve, in words that fit into a condition."""

from __future__ import annotations

from typing import Any

from trainandserve.observe.troubles import server_trouble

LOG = (
    "INFO loading the model\n" * 60
    + "Traceback (most recent call last):\n  File model.py\nOSError: no saved_model.pb\n"
)


def pod(**container: Any) -> dict[str, Any]:
    return {"status": {"containerStatuses": [{"name": "kserve-container", **container}]}}


def test_of_a_long_log_the_last_words_are_told() -> None:
    ended = {"terminated": {"exitCode": 1, "message": LOG}}
    found = server_trouble([pod(state={"running": {}}, lastState=ended, restartCount=3)])

    assert found is not None and found.for_good
    assert found.message.startswith("kserve-container (exit code 1): …")
    assert found.message.endswith("File model.py OSError: no saved_model.pb")
    assert len(found.message) <= 640


def test_a_container_that_waits_says_what_for() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "tensorflow/serving"'}
    found = server_trouble([pod(state={"waiting": waiting})])

    assert found is not None and found.waits and not found.for_good
    assert found.message == 'kserve-container: Back-off pulling image "tensorflow/serving"'
