"""How the sandbox's programs end."""

from __future__ import annotations

import os
import signal
import time

import pytest

from sandbox.session import ended_once


@pytest.mark.parametrize(
    ("number", "left_by", "code"),
    [
        (signal.SIGINT, KeyboardInterrupt, None),
        (signal.SIGTERM, SystemExit, 128 + signal.SIGTERM),
        (signal.SIGHUP, SystemExit, 128 + signal.SIGHUP),
    ],
)
def test_a_signal_leaves_through_the_with_blocks_also_where_it_was_ignored(number, left_by, code) -> None:
    before = signal.signal(number, signal.SIG_IGN)  # as a shell does for what it puts in the background
    try:
        with pytest.raises(left_by) as left, ended_once():
            os.kill(os.getpid(), number)
            time.sleep(10)
        assert getattr(left.value, "code", None) == code
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_second_signal_does_not_interrupt_the_stopping() -> None:
    stopped = []
    with pytest.raises(KeyboardInterrupt), ended_once():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            stopped.append(True)
    assert stopped
