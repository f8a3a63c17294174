"""python -m sandbox.kfp: serve until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import tempfile
from pathlib import Path

from sandbox.kfp import KfpServer, LocalExecution, Pace, PodRules


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.kfp", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0, help="0: a free one, which is printed")
    parser.add_argument("--namespace", default="kubeflow", help="of runs in single-user mode")
    parser.add_argument("--multi-user", action="store_true", help="tokens and namespaces are checked")
    parser.add_argument("--service-account", help="of runs that name none")
    parser.add_argument(
        "--workdir", type=Path, help="artifacts, logs and rows; else a folder that ends with the program"
    )
    parser.add_argument(
        "--known-image", action="append", default=[], metavar="PREFIX", help="other images are not pulled"
    )
    parser.add_argument(
        "--node-label", action="append", default=[], metavar="KEY=VALUE", help="of the one node"
    )
    parser.add_argument(
        "--step-seconds", type=float, default=0.0, help="added to every step (the real system: 20)"
    )
    parser.add_argument(
        "--report-seconds", type=float, default=0.5, help="how far runs are behind their Workflows"
    )
    return parser


async def serve(options: argparse.Namespace, workdir: Path) -> None:
    server = KfpServer(
        options.kubeconfig,
        options.namespace,
        execution=LocalExecution(workdir),
        multi_user=options.multi_user,
        rules=PodRules(tuple(options.known_image), dict(label.split("=", 1) for label in options.node_label)),
        pace=Pace(step=options.step_seconds),
        port=options.port,
        database=workdir / "kfp.sqlite" if options.workdir else None,
        service_account=options.service_account,
        report_seconds=options.report_seconds,
    )
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await server.start()
        print(f"KFP stand-in: {server.url}, logs of steps in {workdir / 'logs'}", flush=True)
        await ended.wait()
    finally:
        await server.stop()


def main() -> None:
    options = arguments().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    if options.workdir:
        options.workdir.mkdir(parents=True, exist_ok=True)
        asyncio.run(serve(options, options.workdir.resolve()))
        return
    with tempfile.TemporaryDirectory(prefix="kfp-") as folder:
        asyncio.run(serve(options, Path(folder)))


if __name__ == "__main__":
    main()
