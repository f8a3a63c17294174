"""An operator as users run it: a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import Protocol

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.api import until
from tests.harness.proxy import Proxy

START_SECONDS = 40.0


class Child(Protocol):
    """A program that was started, and its log."""

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...

    def output(self) -> str:
        """What it has written so far."""

    def failure(self, what: str) -> Exception:
        """An error that says `what` and shows the end of the log."""

    def wait(self, timeout: float) -> int:
        """Wait for its end; the exit code."""

    def stop(self) -> None:
        """End it, and what it started."""


class OperatorProcess:
    """One operator, and the proxy that stands before one of the servers it speaks to."""

    def __init__(self, child: Child, proxy: Proxy) -> None:
        self._child = child
        self.proxy = proxy

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def standing(self) -> str:
        """For the report of a failed test: whether it runs."""
        return "runs" if self.alive else "has ended"

    @property
    def log(self) -> str:
        return self._child.output()

    async def leads(self) -> None:
        """Wait until it works."""
        await self.says(r" leads")

    async def says(self, pattern: str, seconds: float = START_SECONDS) -> None:
        """Wait for something in its log."""

        def said() -> bool:
            if re.search(pattern, self.log):
                return True
            assert self._child.alive, self._child.failure("ended")
            return False

        await until(said, seconds)

    async def metrics(self) -> dict[str, float]:
        """Its metrics: ``name{value of label,...}`` and value."""
        found = re.search(r"metrics on port (\d+)", self.log)
        assert found, self.log
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{found[1]}/metrics") as answer:
                text = await answer.text()
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        return {
            sample.name + (f"{{{','.join(sample.labels.values())}}}" if sample.labels else ""): sample.value
            for sample in samples
        }

    async def metric(self, name: str) -> float:
        """One of its metrics; 0 where it was never counted."""
        return (await self.metrics()).get(f"trainandserve_{name}", 0.0)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL: whatever it was doing is left as it is."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def ended(self, seconds: float = 15.0) -> int:
        """Wait for its end; the exit code."""
        return await asyncio.to_thread(self._child.wait, seconds)

    async def stop(self) -> None:
        if self._child.alive:
            self.signal(signal.SIGCONT)
        await asyncio.to_thread(self._child.stop)

    def memory(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024
