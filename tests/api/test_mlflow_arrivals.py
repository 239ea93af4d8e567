"""What the writer's thread has done reaches everybody who waits for it, in one wake-up of the loop."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from ropewalk.api.mlflow.arrivals import Arrivals


class Loop(asyncio.SelectorEventLoop):
    calls = 0

    def call_soon_threadsafe(self, *given, **more):
        self.calls += 1
        return super().call_soon_threadsafe(*given, **more)


def on_a_loop(work):
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work())


def test_gives_each_its_own_result_with_one_wake_up_for_all():
    async def work():
        arrivals, jobs = Arrivals(), [Future() for _ in range(16)]
        waiting = [asyncio.ensure_future(arrivals.result(job)) for job in jobs]
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        before = loop.calls
        for place, job in enumerate(jobs):  # the loop does not run meanwhile, as while a thread has the interpreter
            job.set_result(place)
        woken = loop.calls - before
        return woken, await asyncio.gather(*waiting)

    assert on_a_loop(work) == (1, list(range(16)))


def test_hears_of_what_another_thread_does_again_and_again():
    async def work():
        arrivals = Arrivals()
        with ThreadPoolExecutor(4) as pool:
            return [await arrivals.result(pool.submit(abs, -number)) for number in range(200)]

    assert on_a_loop(work) == list(range(200))


def test_raises_what_the_job_raised():
    async def work():
        job = Future()
        job.set_exception(KeyError("gone"))
        await Arrivals().result(job)

    with pytest.raises(KeyError, match="gone"):
        on_a_loop(work)


def test_drops_the_job_of_somebody_who_leaves():
    job = Future()

    async def work():
        waiting = asyncio.ensure_future(Arrivals().result(job))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    on_a_loop(work)

    assert job.cancelled()


def test_serves_the_next_loop_after_one_that_ended_while_somebody_waited():
    arrivals, late = Arrivals(), Future()

    async def leave():
        waiting = asyncio.ensure_future(arrivals.result(late))
        await asyncio.sleep(0)
        late.set_running_or_notify_cancel()
        late.set_result("too late")
        waiting.cancel()

    async def ask():
        job = Future()
        job.set_result("in time")
        return await arrivals.result(job)

    on_a_loop(leave)

    assert on_a_loop(ask) == "in time"
