"""The operator's process: its parts started in their order, and ended in the reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import kopf

from . import logs, metrics
from .cache import Cache, Key
from .gateways.errors import Conflict, GatewayError
from .gateways.kfp import Kfp
from .gateways.kubernetes import Kubernetes
from .gateways.predictor import Predictor
from .gateways.prometheus import Prometheus
from .gateways.s3 import S3
from .leader import Leader
from .observation import Policy
from .observe.workflows import WORKFLOWS
from .observe.world import Memory, NotLeadingError, World
from .queries import Query
from .rate_limit import Rate
from .reconcile import reconcile
from .resource import Phase
from .run_slots import Slots
from .settings import Settings
from .watches import Watches
from .web import serving
from .work_queue import Queue

logger = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS = 5.0
_FINISH_SECONDS = 25.0
"""How long passes may take to finish at the end: less than the 30 s that Kubernetes gives."""


class Operator:
    """One process: connections, watches, workers."""

    def __init__(self, world: World, leader: Leader | None) -> None:
        self._world = world
        self._leader = leader
        self._queue = Queue(metrics.QUEUE.set)
        metrics.QUEUE_AGE.set_function(self._queue.oldest)
        self._watches = Watches(world.cache, self._queue)
        self._memories: dict[Key, Memory] = {}
        self._stop = asyncio.Event()
        self._watching = asyncio.Event()
        self._watching_ready = asyncio.Event()
        self._scanning = True
        self.ready = False

    def stop(self) -> None:
        """Ask for the end."""
        self._stop.set()

    async def run(self) -> int:
        """Lead, work until asked to stop, end in order; the exit code of the process."""
        self.ready = True
        if self._leader is not None and not await self._until_stopped(self._leader.acquire()):
            return 0
        metrics.LEADING.set(1)
        lease = [asyncio.create_task(self._leader.keep(), name="lease")] if self._leader is not None else []
        if not await self._until_stopped(self._list_all()):
            await _cancel(lease)
            await self._release()
            return 0
        tasks = [*lease, *self._start()]
        workers = [
            asyncio.create_task(self._work(), name="worker") for _ in range(self._world.settings.workers)
        ]
        stopping = asyncio.create_task(self._stopped(), name="stop")
        try:
            ended, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.ready = False
            self._queue.close()
            await asyncio.wait(workers, timeout=_FINISH_SECONDS)
            self._watching.set()
            await _cancel([*tasks, *workers, stopping])
            await self._release()
        return 0 if self._stop.is_set() else _why(ended)

    async def _release(self) -> None:
        if self._leader is not None:
            await self._leader.release()
        metrics.LEADING.set(0)

    async def _list_all(self) -> None:
        """Know everything before the first pass; ask until the API server answers."""
        world = self._world
        while True:
            try:
                await self._watches.list_all(world.kubernetes, world.settings.namespaces)
                self._scanning = await self._watches.may_scan(world.kubernetes, world.settings.namespaces)
                return
            except GatewayError as error:
                logger.warning("the API server does not list what there is, asking again: %s", error.message)
                await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def _stopped(self) -> None:
        await self._stop.wait()

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do something unless the process is asked to stop first; whether it was done."""
        doing = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopped())
        await asyncio.wait([doing, stopping], return_when=asyncio.FIRST_COMPLETED)
        done = doing.done()
        if done:
            doing.result()
        await _cancel([doing, stopping])
        return done

    def _start(self) -> list[asyncio.Task[None]]:
        world, settings = self._world, self._world.settings
        watching = kopf.operator(
            registry=self._watches.registry(),
            settings=self._watches.settings(scanning=self._scanning),
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            stop_flag=self._watching,
            ready_flag=self._watching_ready,
        )
        tasks = {
            "watches": watching,
            "workflows": self._watch_workflows(),
            "resync": self._watches.resync(
                world.kubernetes, settings.resync.total_seconds(), settings.namespaces
            ),
            "count": self._count(),
            "signals": self._keep_signals(),
        }
        return [asyncio.create_task(task, name=name) for name, task in tasks.items()]

    async def _watch_workflows(self) -> None:
        """Watch where runs execute: one namespace in a single-user installation, ours in the other."""
        settings = self._world.settings
        while True:
            try:
                multi = await self._world.kfp.multi_user()
                break
            except Exception as error:
                logger.warning("Kubeflow Pipelines does not say how it runs, asking again: %s", error)
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
        single = settings.namespaces[0] if len(settings.namespaces) == 1 else None
        where = single if multi else settings.kfp_namespace
        path = f"{WORKFLOWS}/namespaces/{where}/workflows" if where else f"{WORKFLOWS}/workflows"
        await self._watches.watch_workflows(self._world.kubernetes, path)

    def take_signals(self) -> None:
        """Have SIGTERM and SIGINT ask for the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _keep_signals(self) -> None:
        """Take the signals back from kopf, which takes them when it starts and would end the watches first."""
        await self._watching_ready.wait()
        self.take_signals()
        await asyncio.Event().wait()

    async def _work(self) -> None:
        while (key := await self._queue.get()) is not None:
            try:
                await self._pass(key)
            finally:
                self._queue.done(key)

    async def _pass(self, key: Key) -> None:
        """One pass, and when the next one is due. Whatever goes wrong, the key comes back."""
        started = time.perf_counter()
        now = datetime.now(UTC)
        try:
            outcome = await reconcile(self._world, key, self._memories.setdefault(key, Memory()), now)
        except Conflict:
            # The newer state is on its way by the watch; should it not come, the retry asks again.
            metrics.PASSES.labels("conflict").inc()
            self._queue.retry(key)
        except NotLeadingError:
            # A renewal that is on its way may bring the lease back, and then what woke this key is used up.
            metrics.PASSES.labels("not leading").inc()
            self._queue.retry(key)
        except Exception:
            logger.exception("the pass for %s/%s failed and is tried again", *key)
            metrics.PASSES.labels("error").inc()
            self._queue.retry(key)
        else:
            metrics.PASSES.labels("done").inc()
            if outcome.again:
                self._queue.retry(key)
            else:
                self._queue.settle(key)
            if outcome.wake is not None:
                self._queue.add_later(key, (outcome.wake - datetime.now(UTC)).total_seconds())
            self._forget(key)
            self._wake_queued(key)
        metrics.PASS_SECONDS.observe(time.perf_counter() - started)

    def _forget(self, key: Key) -> None:
        if self._world.cache.resources.get(key) is None:
            self._memories.pop(key, None)
            self._queue.forget(key)

    def _wake_queued(self, key: Key) -> None:
        """A resource without a run may have left a place: those that wait for one look again."""
        mine = self._world.cache.resources.get(key) or {}
        run = (mine.get("status") or {}).get("run") or {}
        if run.get("state") in ("Submitting", "Running", "Stopping"):
            return
        for other in self._world.slots.waiting(key):
            self._queue.add(other)

    async def _count(self) -> None:
        """Keep the gauges of resources by phase and by what their conditions say."""
        while True:
            resources = list(self._world.cache.all_resources())
            phases = Counter(resource.status.phase or "Pending" for resource in resources)
            for phase in get_args(Phase):
                metrics.RESOURCES.labels(phase).set(phases[phase])
            found = [condition for resource in resources for condition in resource.status.conditions]
            metrics.CONDITIONS.clear()
            for labels, number in Counter((one.type, one.status, one.reason) for one in found).items():
                metrics.CONDITIONS.labels(*labels).set(number)
            await asyncio.sleep(15)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


def _why(ended: set[asyncio.Task[None]]) -> int:
    """The exit code when a part ended by itself. kopf ends without an error only when it was sent a signal."""
    for task in ended:
        if task.get_name() == "watches" and not task.cancelled() and task.exception() is None:
            return 0
        error = None if task.cancelled() else task.exception()
        logger.error("%s ended: %s", task.get_name(), error or "by itself")
    return 1


async def operate(settings: Settings, queries: Mapping[str, Query]) -> int:
    """Run the operator until SIGTERM or SIGINT; 0 then, 1 when the lease or a watch was lost.

    Parameters
    ----------
    queries
        The administrator's, that resources may name.
    """
    logs.set_up(settings.log_format, settings.log_level)
    async with contextlib.AsyncExitStack() as stack:
        kubernetes = await stack.enter_async_context(Kubernetes.connected(settings.request_timeout))
        kfp = await stack.enter_async_context(Kfp.connected(settings))
        predictor = await stack.enter_async_context(Predictor.connected(settings.predictor_hosts))
        prometheus = await stack.enter_async_context(Prometheus.connected(settings))
        s3 = S3()
        stack.callback(s3.close)
        leader = Leader(kubernetes, settings) if settings.leader_election else None
        cache = Cache()
        slots = Slots(cache, settings.max_concurrent_runs, settings.max_concurrent_runs_per_namespace)
        leading = leader.leading if leader is not None else lambda: True
        reads = Rate(settings.run_reads_per_second)
        policy = Policy.of(settings, queries)
        world = World(
            settings, policy, kubernetes, kfp, s3, predictor, cache, slots, reads, leading, prometheus
        )
        operator = Operator(world, leader)
        operator.take_signals()
        web = serving(settings.listen, settings.port, alive=lambda: True, ready=lambda: operator.ready)
        port = await stack.enter_async_context(web)
        logger.info("health and metrics on port %d; Kubeflow Pipelines at %s", port, settings.kfp_url)
        return await operator.run()
