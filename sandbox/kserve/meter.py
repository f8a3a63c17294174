"""What Prometheus finds at the stand-in: which pods there are, and each revision's requests.

In Knative mode requests go through a pod's queue-proxy, which counts them by revision under the names that Knative
documents (``revision_app_request_count``, ``revision_app_request_latencies`` in milliseconds). In both modes the model
server has a page of its own, with KServe's ``request_predict_seconds``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric

# Milliseconds, Knative's.
LATENCY_BOUNDS = (
    *(5, 10, 20, 40, 60, 80, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900),
    *(1000, 2000, 5000, 10000, 20000, 50000, 100000),
)
PATH = "/queue-proxy/"


@dataclass
class Requests:
    """Requests that a pod answered, by status code."""

    count: int = 0
    milliseconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))

    def add(self, milliseconds: float) -> None:
        self.count += 1
        self.milliseconds += milliseconds
        self.buckets[bisect_left(LATENCY_BOUNDS, milliseconds)] += 1

    def cumulative(self) -> list[tuple[str, float]]:
        rows, total = [], 0
        for bound, count in zip((*map(str, LATENCY_BOUNDS), "+Inf"), self.buckets, strict=True):
            total += count
            rows.append((bound, float(total)))
        return rows


@dataclass(frozen=True)
class Scraped:
    """A pod with what was counted for it.

    Attributes
    ----------
    url
        Of its model server.
    revision
        Empty in Standard mode, where there is no queue-proxy.
    requests
        By status code.
    """

    namespace: str
    name: str
    service: str
    url: str
    revision: str
    requests: Mapping[int, Requests]

    @property
    def labels(self) -> dict[str, str]:
        """The target's, as a cluster's Prometheus gets them from the pod."""
        return {"namespace": self.namespace, "pod": self.name, "inferenceservice": self.service}


def targets(pods: Iterable[Scraped]) -> list[dict[str, Any]]:
    """All pages, as Prometheus' ``http_sd_configs`` has them; a queue-proxy's has no host of its own."""
    rows: list[dict[str, Any]] = []
    for pod in pods:
        server = pod.url.removeprefix("http://")
        rows.append({"targets": [server], "labels": pod.labels | {"container": "kserve-container"}})
        if pod.revision:
            path = f"{PATH}{pod.namespace}/{pod.name}/metrics"
            labels = pod.labels | {"container": "queue-proxy", "__metrics_path__": path}
            rows.append({"targets": [], "labels": labels})
    return rows


class _QueueProxy:
    """A pod's page; a fresh registry reads it at every look."""

    def __init__(self, pod: Scraped) -> None:
        self._pod = pod

    def collect(self) -> Iterator[Metric]:
        pod, configuration = self._pod, self._pod.revision.rpartition("-")[0]
        common = {
            "configuration_name": configuration,
            "container_name": "queue-proxy",
            "namespace_name": pod.namespace,
            "pod_name": pod.name,
            "revision_name": pod.revision,
            "service_name": configuration,
        }
        names = [*common, "response_code", "response_code_class"]
        # Knative's exporter writes this counter without the suffix that OpenMetrics asks for.
        count = Metric("revision_app_request_count", "The number of requests", "untyped")
        latency = HistogramMetricFamily(
            "revision_app_request_latencies", "The response time in millisecond", labels=names
        )
        for code, requests in pod.requests.items():
            labels = common | {"response_code": str(code), "response_code_class": f"{code // 100}xx"}
            count.add_sample("revision_app_request_count", labels, requests.count)
            latency.add_metric([labels[name] for name in names], requests.cumulative(), requests.milliseconds)
        yield count
        yield latency


def page(pod: Scraped) -> bytes:
    """What a pod's queue-proxy says."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_QueueProxy(pod))
    return generate_latest(registry)


class Pages:
    """Serves the list of targets and the queue-proxies' pages on a loopback port.

    Parameters
    ----------
    pods
        Yields the pods that are ready now.
    """

    def __init__(self, pods: Callable[[], Iterable[Scraped]]) -> None:
        self._pods = pods
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def open(self) -> None:
        app = web.Application()
        app.router.add_get("/targets", self._targets)
        app.router.add_get(PATH + "{namespace}/{pod}/metrics", self._page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _targets(self, request: web.Request) -> web.Response:
        here = self.url.removeprefix("http://")
        rows = targets(self._pods())
        return web.json_response([row | {"targets": row["targets"] or [here]} for row in rows])

    async def _page(self, request: web.Request) -> web.Response:
        wanted = request.match_info["namespace"], request.match_info["pod"]
        for pod in self._pods():
            if (pod.namespace, pod.name) == wanted and pod.revision:
                return web.Response(body=page(pod), headers={"Content-Type": "text/plain; version=0.0.4"})
        return web.Response(status=404)
