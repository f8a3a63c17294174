"""How a demo begins and ends: its exit code, and what is said when it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable

from sandbox.client import PredictionError
from sandbox.controlplane.golang import GoError
from sandbox.controlplane.rest import RestError
from sandbox.demo.screen import Screen
from sandbox.demo.waiting import DemoError
from sandbox.processes import ProcessError
from sandbox.session import ended_once

SETTINGS = {"TAS_RUN_READ_INTERVAL": "1s"}
"""A demo lasts minutes: steps are looked at more often than an ordinary installation would."""


def played(play: Callable[[Screen], None]) -> int:
    """Play it; 0 if everything went as it must, 1 if not, 130 if interrupted."""
    screen = Screen()
    try:
        with ended_once():
            play(screen)
    except KeyboardInterrupt:
        return 130
    except (DemoError, GoError, PredictionError, ProcessError, RestError, OSError) as error:
        print(f"\nThe demo failed after {screen.seconds:.0f} s: {error}", file=sys.stderr)
        return 1
    screen.say(f"\nEverything is stopped. The demo took {screen.seconds:.0f} s.")
    return 0
