"""Play the demo: `python -m sandbox.demo`, or `make demo`."""

from __future__ import annotations

import argparse
import sys

from sandbox.demo.playing import played, set_up
from sandbox.demo.screen import Screen
from sandbox.demo.story import Story


def main(arguments: list[str] | None = None) -> int:
    """Play it; 0 if everything went as it must, 1 if not, 130 if interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--rate", type=float, default=25.0, help="prediction requests a second (25)")
    options = parser.parse_args(arguments)
    return played(lambda screen: _play(screen, options.rate))


def _play(screen: Screen, rate: float) -> None:
    screen.say(
        "A model's way from data to traffic: a real Kubernetes API server, stand-ins for Kubeflow Pipelines"
    )
    screen.say("and KServe, an S3 server and the operator, each a process on this machine.")
    with set_up(screen, "demo") as running:
        Story(running, screen, rate).play()


if __name__ == "__main__":
    sys.exit(main())
