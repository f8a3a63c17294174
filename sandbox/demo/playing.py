"""How a demo begins and ends: its platform, its exit code, and what is said when it fails."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping

from sandbox.client import PredictionError
from sandbox.controlplane.golang import GoError
from sandbox.controlplane.rest import RestError
from sandbox.demo.screen import Screen
from sandbox.demo.waiting import DemoError
from sandbox.platform import Platform, platform
from sandbox.processes import ProcessError
from sandbox.session import ended_once, working_folder

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


@contextlib.contextmanager
def set_up(
    screen: Screen,
    name: str,
    *,
    operator: bool = True,
    knative: bool = False,
    settings: Mapping[str, str] = SETTINGS,
) -> Iterator[Platform]:
    """The platform, started as the first act in a folder of the demo's name; at the end of the block it is stopped.

    The other parameters are those of `platform`.
    """
    with working_folder(name) as folder, contextlib.ExitStack() as parts:
        with screen.act("The platform"):
            since = screen.seconds
            starting = platform(
                folder,
                say=lambda part: screen.progress(part, since),
                operator=operator,
                knative=knative,
                settings=settings,
            )
            running = parts.enter_context(starting)
        yield running
