"""``python -m sandbox.kserve --kubeconfig K``: the stand-in beside an API server, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from sandbox.kserve.controller import PROGRESS_DEADLINE_SECONDS, KServe
from sandbox.kserve.fakes import FakeServers
from sandbox.kserve.kubelet import Pace
from sandbox.kserve.servers import ProcessServers


def arguments(command_line: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.kserve",
        description="A stand-in for KServe v0.20 (Standard mode, and Knative mode if asked for), the deployment controller and the kubelet. "
        "Not for a cluster that has those.",
    )
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--workdir", type=Path, help="where models and logs go (default: removed at the end)")
    parser.add_argument(
        "--progress-deadline", type=float, default=PROGRESS_DEADLINE_SECONDS, metavar="SECONDS"
    )
    parser.add_argument("--backoff-scale", type=float, default=1.0, help="factor on restart back-offs")
    parser.add_argument("--pre-stop-scale", type=float, default=0.1, help="factor on preStop sleeps")
    parser.add_argument(
        "--knative", action="store_true", help="play Knative mode too, instead of refusing it"
    )
    parser.add_argument("--namespace", help="look at this one only (default: all)")
    parser.add_argument("--fake-servers", action="store_true", help="no TensorFlow: for tests")
    return parser.parse_args(command_line)


async def run(options: argparse.Namespace) -> None:
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    servers = FakeServers(options.workdir) if options.fake_servers else ProcessServers(options.workdir)
    pace = Pace(backoff=options.backoff_scale, pre_stop=options.pre_stop_scale)
    standin = KServe(
        options.kubeconfig,
        servers,
        progress_deadline=options.progress_deadline,
        pace=pace,
        knative=options.knative,
        namespace=options.namespace,
    )
    await standin.start()
    print(f"metrics of the model servers are listed at {standin.targets_url}", flush=True)
    print("KServe stand-in is running", flush=True)
    try:
        await asked_to_stop.wait()
    finally:
        await standin.stop()


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    options = arguments(sys.argv[1:])
    if not options.kubeconfig.exists():
        sys.stderr.write(f"there is no kubeconfig at {options.kubeconfig}\n")
        return 2
    asyncio.run(run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
