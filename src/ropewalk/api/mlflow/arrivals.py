"""Brings what the store's writer has done to the requests that wait for it: one wake-up of the loop for many."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Arrivals:
    """Waits for jobs of another thread; all that are done when the loop looks are handed on at once."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._called = False

    async def result(self, job: Future[T]) -> T:
        """Return what a job comes to; who is cancelled cancels it, if its turn has not come.

        Raises:
            Exception: what the job raised.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._done, self._called = loop, deque(), False
        waiting: asyncio.Future[T] = loop.create_future()
        job.add_done_callback(partial(self._note, loop, waiting))
        try:
            return await waiting
        finally:
            if waiting.cancelled():
                job.cancel()

    def _note(self, loop: asyncio.AbstractEventLoop, waiting: asyncio.Future[Any], job: Future[Any]) -> None:
        """Note in the writer's thread that a job is done; the first one since the loop has looked wakes it."""
        self._done.append((waiting, job))
        if not self._called:
            self._called = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._deliver)

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
