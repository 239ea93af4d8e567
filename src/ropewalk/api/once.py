"""Does something in a thread once for all who want it in the same moment, and wakes all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor


class Once:
    """What any number of requests may wait for.

    A lock would do as well, were it not for its queue: it wakes one in each turn of the event loop, and where hundreds
    wait while turns are long, the last one waits for seconds.

    Args:
        threads: where it is done.
        work: what is done; it must be short.
    """

    def __init__(self, threads: Executor, work: Callable[[], object]) -> None:
        self._threads = threads
        self._work = work
        self._under_way: asyncio.Future[object] | None = None

    async def __call__(self) -> None:
        """Return once it is done; what is under way already is not begun again.

        Raises:
            Exception: whatever the work raises, to all who wait for it.
        """
        under_way = self._under_way
        if under_way is None or under_way.done():
            loop = asyncio.get_running_loop()
            under_way = self._under_way = asyncio.ensure_future(loop.run_in_executor(self._threads, self._work))
        await asyncio.shield(under_way)
