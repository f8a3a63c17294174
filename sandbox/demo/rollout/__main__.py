"""Play the demo of rollouts: `python -m sandbox.demo.rollout`, or `make demo-rollout`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sandbox.demo.playing import SETTINGS, played, set_up
from sandbox.demo.rollout.knative import KnativeMode
from sandbox.demo.rollout.part import Part
from sandbox.demo.rollout.standard import StandardMode
from sandbox.demo.screen import Screen
from sandbox.platform import START_SECONDS, Platform

# Each of the two parts proves some ten times that a version serves: 10 s each, as usual, would be more than the rest.
_SETTINGS = SETTINGS | {"TAS_PROOF_DURATION": "5s"}


def main(arguments: list[str] | None = None) -> int:
    """Play it; 0 if everything went as it must, 1 if not, 130 if interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo.rollout", description=__doc__)
    parser.add_argument("--rate", type=float, default=25.0, help="prediction requests a second (25)")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--standard", action="store_true", help="the first part alone: KServe's Standard mode")
    one.add_argument("--knative", action="store_true", help="the second part alone: KServe's Knative mode")
    options = parser.parse_args(arguments)
    chosen: list[type[Part]] = [StandardMode] if not options.knative else []
    chosen += [KnativeMode] if not options.standard else []
    return played(lambda screen: _play(screen, options.rate, chosen))


def _play(screen: Screen, rate: float, chosen: Sequence[type[Part]]) -> None:
    screen.say("How a version reaches users, and how it leaves: a real Kubernetes API server, stand-ins for")
    screen.say(
        "Kubeflow Pipelines and KServe, an S3 server and the operator, each a process on this machine."
    )
    with set_up(screen, "demo-rollout", operator=False, knative=True, settings=_SETTINGS) as running:
        for part in chosen:
            _play_part(running, screen, rate, part)


def _play_part(running: Platform, screen: Screen, rate: float, part: type[Part]) -> None:
    with screen.act(f"The operator, with TAS_DEPLOYMENT_MODE={part.mode}"):
        operator = running.start_operator(f"operator-{part.mode.lower()}", TAS_DEPLOYMENT_MODE=part.mode)
        operator.wait_for_line(r".* leads", START_SECONDS)
    part(running, screen, rate).play()
    running.stack.drop(operator)


if __name__ == "__main__":
    sys.exit(main())
