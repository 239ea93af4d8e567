"""Brings what the store's writer has done to the requests that wait for it: one wake-up of the loop for many."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Arrivals:
    """Waits for jobs of another thread; all that are done when a loop looks are handed on at once."""

    def __init__(self) -> None:
        self._own = threading.local()

    async def result(self, job: Future[T]) -> T:
        """Return what a job comes to; who is cancelled cancels it, if its turn has not come.

        Raises:
            Exception: what the job raised.
        """
        loop = asyncio.get_running_loop()
        berth: _Berth | None = getattr(self._own, "berth", None)
        if berth is None or berth.loop is not loop:
            berth = self._own.berth = _Berth(loop)
        waiting: asyncio.Future[T] = loop.create_future()
        job.add_done_callback(partial(berth.note, waiting))
        try:
            return await waiting
        finally:
            if waiting.cancelled():
                job.cancel()


class _Berth:
    """What has come for one loop, and is to be handed on there; each thread's loop has its own.

    Args:
        loop: whose requests wait.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._done: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._called = False

    def note(self, waiting: asyncio.Future[Any], job: Future[Any]) -> None:
        """Note in the writer's thread that a job is done; the first one since the loop has looked wakes it."""
        self._done.append((waiting, job))
        if not self._called:
            self._called = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._called = False  # before it is looked what is done: what comes from now on calls again
        while self._done:
            waiting, job = self._done.popleft()
            if waiting.done():
                continue
            if job.cancelled():
                waiting.cancel()
            elif (error := job.exception()) is not None:
                waiting.set_exception(error)
            else:
                waiting.set_result(job.result())
