"""One pass per key at a time; keys come back when they are due, and no sooner."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from trainandserve import work_queue as module
from trainandserve.work_queue import Queue

A, B = ("ns", "a"), ("ns", "b")


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something with a deadline."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what is waited for are other tasks
            await asyncio.sleep(0.001)


async def test_keys_come_in_the_order_in_which_they_came_due() -> None:
    queue = Queue()
    queue.add(A)
    queue.add(B)
    assert [await queue.get(), await queue.get()] == [A, B]


async def test_a_key_waits_once_however_often_it_is_added() -> None:
    queue = Queue()
    for _ in range(3):
        queue.add(A)
    assert len(queue) == 1
    assert await queue.get() == A
    queue.done(A)
    assert queue.idle


async def test_a_key_that_is_added_while_it_is_worked_on_is_worked_on_once_more() -> None:
    queue = Queue()
    queue.add(A)
    assert await queue.get() == A
    queue.add(A)
    queue.add(A)
    queue.add(B)
    assert await queue.get() == B, "not A: a pass over it is on"
    queue.done(A)
    assert await queue.get() == A
    queue.done(A)
    queue.done(B)
    assert queue.idle


async def test_no_two_workers_work_on_the_same_key() -> None:
    queue, working, most, passes = Queue(), Counter[tuple[str, str]](), 0, Counter[tuple[str, str]]()

    async def work() -> None:
        nonlocal most
        while (key := await queue.get()) is not None:
            working[key] += 1
            most = max(most, *working.values())
            await asyncio.sleep(0)
            if passes[key] < 20:
                queue.add(key)
            await asyncio.sleep(0)
            working[key] -= 1
            passes[key] += 1
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    queue.add(A)
    queue.add(B)
    await until(lambda: queue.idle and min(passes[A], passes[B]) >= 20)
    queue.close()
    await asyncio.gather(*workers)
    assert most == 1


async def test_of_two_timers_the_earlier_counts() -> None:
    queue = Queue()
    queue.add_later(A, 3600)
    queue.add_later(A, 0.01)
    queue.add_later(A, 7200)
    async with asyncio.timeout(60):
        assert await queue.get() == A
    queue.done(A)
    assert queue.idle


async def test_a_time_that_has_passed_is_now() -> None:
    queue = Queue()
    queue.add_later(A, -5)
    async with asyncio.timeout(60):
        assert await queue.get() == A


async def test_the_pause_of_a_retry_grows_up_to_a_limit_and_starts_again_when_the_key_is_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue, pauses = Queue(), []
    monkeypatch.setattr(queue, "add_later", lambda key, pause: pauses.append(pause))
    for _ in range(12):
        queue.retry(A)
    assert pauses[:4] == [0.5, 1, 2, 4]
    assert pauses[-1] == module.LONGEST_PAUSE == max(pauses)
    queue.retry(B)
    queue.settle(A)
    queue.retry(A)
    assert pauses[-2:] == [0.5, 0.5]


async def test_a_key_that_is_forgotten_does_not_come_back() -> None:
    queue = Queue()
    queue.add_later(A, 0.005)
    queue.forget(A)
    queue.add_later(B, 0.01)
    async with asyncio.timeout(60):
        assert await queue.get() == B
    assert len(queue) == 0


async def test_closing_gives_out_nothing_more_and_ends_every_worker() -> None:
    queue = Queue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.add_later(A, 0.001)
    queue.close()
    assert await asyncio.wait_for(asyncio.gather(*waiting), 60) == [None, None, None]
    queue.add(A)
    queue.add_later(A, 0)
    assert await queue.get() is None


async def test_a_pass_that_is_on_finishes_after_the_closing() -> None:
    queue = Queue()
    queue.add(A)
    queue.add(B)
    assert await queue.get() == A
    queue.add(A)
    queue.close()
    assert not queue.idle
    queue.done(A)
    assert await queue.get() is None


async def test_what_waits_is_counted() -> None:
    counts: list[int] = []
    queue = Queue(counts.append)
    queue.add(A)
    queue.add(B)
    await queue.get()
    assert counts == [1, 2, 1]
