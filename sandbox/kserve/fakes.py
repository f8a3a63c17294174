"""Model servers for tests: in this process, with real downloads, behaving as the downloaded objects say.

The served (highest numbered) folder may hold ``fake.json``: ``{"predictions": [...]}``, ``{"loadSeconds": 2}``,
``{"crash": true, "message": "..."}``, ``{"failPredict": true}``; keys combine. Without it every instance is
answered with ``{"version": <number of the folder>}``. ``{"gauges": {"drift": 0.9}}`` are on its page of metrics.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from sandbox.kserve.servers import Exit, Folders
from sandbox.kserve.storage import StorageError, download, log_of
from sandbox.kserve.versions import NoVersionError, newest_version

KILLED = Exit(137)
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Script:
    """How one fake server behaves."""

    version: int = 0
    predictions: list[Any] | None = None
    crash: str | None = None
    load_seconds: float = 0.0
    fail_predict: bool = False
    gauges: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Script:
        """What the downloaded model says; without a numbered folder there is nothing to serve: a crash."""
        try:
            newest = newest_version(folder)
        except NoVersionError as error:
            return cls(crash=str(error))
        file = newest / "fake.json"
        said = json.loads(file.read_text()) if file.exists() else {}
        return cls(
            version=int(newest.name),
            predictions=said.get("predictions"),
            crash=str(said.get("message", "")) if said.get("crash") else None,
            load_seconds=float(said.get("loadSeconds", 0)),
            fail_predict=bool(said.get("failPredict")),
            gauges=said.get("gauges", {}),
        )

    def answer(self, instances: list[Any]) -> list[Any]:
        return (
            self.predictions if self.predictions is not None else [{"version": self.version}] * len(instances)
        )


class FakeContainer:
    """A server in this event loop, which can load slowly, crash and be killed."""

    _numbers = itertools.count(1)

    def __init__(self, model: str, script: Script) -> None:
        self.model, self.script = model, script
        self._registry = CollectorRegistry()
        self._predicting = Histogram(  # the real server's name
            "request_predict_seconds", "predict request latency", ["model_name"], registry=self._registry
        )
        for name, value in script.gauges.items():
            Gauge(name, "scripted", registry=self._registry).set(value)
        self._url: str | None = None
        self._number = next(self._numbers)
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(), name=f"fake server of {model}")

    @property
    def container_id(self) -> str:
        return f"fake://{self._number}"

    @property
    def url(self) -> str | None:
        return self._url

    async def _live(self) -> None:
        await asyncio.sleep(self.script.load_seconds)
        if self.script.crash is not None:
            self._end(Exit(1, self.script.crash))
            return
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            await asyncio.shield(self._exit)
        finally:
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=2**28)
        app.router.add_get("/", self._live_page)
        app.router.add_get("/v2/health/ready", self._live_page)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/models/{model}", self._readiness)
        app.router.add_post("/v1/models/{model}:predict", self._predict)
        return app

    async def _live_page(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "alive", "ready": True})

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry))

    async def _readiness(self, request: web.Request) -> web.Response:
        return self._unknown(request) or web.json_response({"name": self.model, "ready": True})

    async def _predict(self, request: web.Request) -> web.Response:
        if unknown := self._unknown(request):
            return unknown
        try:
            instances = (await request.json())["instances"]
            if not isinstance(instances, list):
                raise TypeError('"instances" is not a list')
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f'Expected "instances" to be a list: {error}'}, status=400)
        with self._predicting.labels(self.model).time():
            return self._predicted(instances)

    def _predicted(self, instances: list[Any]) -> web.Response:
        if self.script.fail_predict:
            return web.json_response({"error": "InferenceError : scripted failure"}, status=500)
        return web.json_response({"predictions": self.script.answer(instances)})

    def _unknown(self, request: web.Request) -> web.Response | None:
        name = request.match_info["model"]
        if name == self.model:
            return None
        return web.json_response({"error": f"Model with name {name} does not exist."}, status=404)

    def _end(self, how: Exit) -> None:
        if not self._exit.done():
            self._exit.set_result(how)

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def stop(self) -> None:
        self._end(Exit(0))
        if self._url is None:
            self._life.cancel()
        await asyncio.wait([self._life], timeout=STOP_SECONDS)

    def kill(self) -> None:
        self._end(KILLED)


class FakeServers:
    """Pods whose storage initializer is a thread and whose server is a task of this event loop."""

    def __init__(self, workdir: Path | None = None) -> None:
        self._folders = Folders(workdir)
        self._containers: dict[str, FakeContainer] = {}
        self._downloads: set[asyncio.Task[int]] = set()

    async def initialize(self, pod: str, uri: str, environment: Mapping[str, str]) -> Exit:
        folder = self._folders.emptied(pod)
        try:
            task = asyncio.create_task(asyncio.to_thread(download, uri, folder, environment))
            self._downloads.add(task)
            task.add_done_callback(self._over)
            await asyncio.shield(task)  # a thread cannot be stopped: `close` waits for it
        except StorageError as error:
            return Exit(1, log_of(uri, error))
        return Exit(0)

    def _over(self, download: asyncio.Task[int]) -> None:
        self._downloads.discard(download)
        if not download.cancelled():
            download.exception()  # taken note of, as its pod may be gone and nobody be left to hear of it

    async def serve(self, pod: str, model: str, environment: Mapping[str, str]) -> FakeContainer:
        script = Script.read(self._folders.pod(pod) / "models")
        self._containers[pod] = FakeContainer(model, script)
        return self._containers[pod]

    async def forget(self, pod: str) -> None:
        self._containers.pop(pod, None)
        self._folders.remove(pod)

    async def close(self) -> None:
        await asyncio.gather(*self._downloads, return_exceptions=True)
        await asyncio.gather(*(container.stop() for container in self._containers.values()))
        self._folders.close()
