"""What many want in the same moment is done once, and all of them go on in the same turn of the loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from ropewalk.api.once import Once


def test_is_done_once_for_all_who_wait_and_again_for_who_comes_later():
    done, go = [], threading.Event()

    async def work(threads):
        once = Once(threads, lambda: go.wait(10) and done.append(1))
        waiting = [asyncio.ensure_future(once()) for _ in range(200)]
        await asyncio.sleep(0)
        turns = [0] * len(waiting)

        async def note(place):
            await waiting[place]
            turns[place] = turn

        noting = [asyncio.ensure_future(note(place)) for place in range(len(waiting))]
        turn = 0
        go.set()
        while not all(one.done() for one in noting):
            turn += 1
            await asyncio.sleep(0)
        together = list(done)
        await once()
        return together, max(turns) - min(turns)

    with ThreadPoolExecutor(1) as threads:
        together, apart = asyncio.run(work(threads))

    assert together == [1]
    assert done == [1, 1]
    assert apart <= 1


def test_who_leaves_takes_nothing_from_the_others():
    go = threading.Event()

    async def work(threads):
        once = Once(threads, lambda: go.wait(10))
        gone, stays = asyncio.ensure_future(once()), asyncio.ensure_future(once())
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        go.set()
        await stays
        return gone.cancelled()

    with ThreadPoolExecutor(1) as threads:
        assert asyncio.run(work(threads))


def test_everybody_hears_what_went_wrong_and_the_next_one_tries_again():
    tries = []

    def once_wrong():
        tries.append(1)
        if len(tries) == 1:
            raise KeyError("gone")

    async def work(threads):
        once = Once(threads, once_wrong)
        told = await asyncio.gather(once(), once(), return_exceptions=True)
        await once()
        return told

    with ThreadPoolExecutor(1) as threads:
        told = asyncio.run(work(threads))

    assert [type(one) for one in told] == [KeyError, KeyError]
    assert len(tries) == 2


def test_serves_the_next_loop_after_one_that_has_ended():
    with ThreadPoolExecutor(1) as threads:
        done = []
        once = Once(threads, lambda: done.append(1))
        for _ in range(2):
            asyncio.run(once())

    assert done == [1, 1]
