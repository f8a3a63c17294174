"""Run a control plane until Ctrl-C or SIGTERM: `python -m sandbox.controlplane --directory DIR`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from sandbox.controlplane.binaries import Binaries, find_or_build, print_progress
from sandbox.controlplane.golang import GoError
from sandbox.controlplane.plane import ControlPlane
from sandbox.processes import ProcessError
from sandbox.session import ended_once

CHECK_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Get the programs if need be, then run them; 1 if they cannot be had, or end."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.controlplane", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(".sandbox/controlplane"), help="what it keeps")
    parser.add_argument("--port", type=int, default=0, help="of the API server; any free one by default")
    parser.add_argument("--audit-log", type=Path, help="where to write one JSON line per request")
    parser.add_argument("--get-only", action="store_true", help="get the programs, and run nothing")
    options = parser.parse_args(arguments)
    try:
        with ended_once():
            binaries = find_or_build()
            if not options.get_only:
                _run(options, binaries)
    except (GoError, ProcessError) as error:
        print_progress(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(options: argparse.Namespace, binaries: Binaries) -> None:
    started = ControlPlane.started(
        options.directory, audit_log=options.audit_log, port=options.port, binaries=binaries
    )
    with started as plane:
        print(f"{plane.server} kubeconfig {plane.kubeconfig}", flush=True)
        while True:
            plane.check()
            time.sleep(CHECK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
