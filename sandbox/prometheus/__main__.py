"""``python -m sandbox.prometheus --targets URL``: the stand-in, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from sandbox.prometheus.server import SCRAPE_SECONDS, Monitor


def arguments(command_line: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.prometheus",
        description="A stand-in for Prometheus: scrapes what a page of targets lists, and answers instant queries "
        "of a part of PromQL over the last 15 minutes.",
    )
    parser.add_argument("--targets", required=True, metavar="URL", help="as http_sd_configs has it")
    parser.add_argument("--interval", type=float, default=SCRAPE_SECONDS, metavar="SECONDS")
    return parser.parse_args(command_line)


async def run(options: argparse.Namespace) -> None:
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    async with Monitor(options.targets, options.interval) as monitor:
        print(f"Prometheus stand-in: {monitor.url}", flush=True)
        await asked_to_stop.wait()


if __name__ == "__main__":
    asyncio.run(run(arguments(sys.argv[1:])))
