"""The data planes of a gateway: who gets one, when it changes with the traffic, and when everything stays at home."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from ropewalk.clock import Clock
from ropewalk.endpoints.goods import pack
from ropewalk.endpoints.heads import BODY_BYTES_MAX, Heads
from ropewalk.endpoints.lending import Captures, Guest, Terms
from ropewalk.endpoints.meters import Meters
from ropewalk.endpoints.planelink import COMMAND, PlaneLink
from ropewalk.endpoints.served import Served
from ropewalk.endpoints.sources import Source
from ropewalk.endpoints.switchboard import Route, Switchboard
from ropewalk.errors import RopewalkError
from ropewalk.settings import Serve

# The scope of a request that was answered bears under this who may have its connection.
LENDER = "ropewalk.lender"
# What came of a next request is handed over with its connection, as long as it is short.
DATA_BYTES_MAX = 272 << 10
RETRY_SECONDS_MIN, RETRY_SECONDS_MAX, HEALTHY_SECONDS = 0.5, 30.0, 10.0
log = logging.getLogger(__name__)


class Planes:
    """Keeps a data plane for each endpoint whose callers ask again and again.

    Args:
        board: who answers.
        source: where releases come from.
        serve: limits of `ropewalk.toml`.
        clock: the time.
        meters: where predictions are counted.
        capture: where journals come from; None where nothing is captured.

    Attributes:
        request_ids: whether answers bear a number, as behind the gate.
        barred: says whether everything has to stay at home, such as requests that are counted against a quota.
        told: called with what was counted.
    """

    def __init__(
        self,
        board: Switchboard,
        source: Source,
        *,
        serve: Serve,
        clock: Clock,
        meters: Meters,
        capture: Captures | None,
    ) -> None:
        self.request_ids = False
        self.barred: Callable[[], bool] = lambda: False
        self.told: Callable[[Mapping[str, Any]], None] = lambda _counts: None
        self._board, self._source, self._serve, self._clock = board, source, serve, clock
        self._meters, self._capture = meters, capture
        self._heads = Heads()
        self._links: dict[str, PlaneLink] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._lingering: set[PlaneLink] = set()
        self._unfit: dict[str, int] = {}
        self._pauses: dict[str, tuple[float, float]] = {}
        self._closing = False

    @property
    def links(self) -> Mapping[str, PlaneLink]:
        """The data planes that answer, by endpoint."""
        return self._links

    # ----------------------------------------------------------------------------------------- connections
    def take(self, guest: Guest, end: int, host: bytes, data: bytes) -> bool:
        """Give a connection to a data plane, if what came on it is for one; start one where there is none.

        Args:
            guest: the connection, on which a prediction was answered.
            end: its socket.
            host: what that request called us.
            data: what has been read of the next one, from its first byte.
        """
        if len(data) > DATA_BYTES_MAX or self._closing:
            return False
        head, _ = self._heads.find(data)
        if head is None or head.host != host or head.length > self._serve.body_bytes_max:
            return False
        names = self._board.names()
        name = head.endpoint or (names[0] if len(names) == 1 else "")
        if self.barred():
            self._go_home(name)
            return False
        link = self._links.get(name)
        if link is None:
            self._want(name)
            return False
        return link.take(guest, end, host=host, data=data)

    def _go_home(self, name: str) -> None:
        link = self._links.pop(name, None)
        if link is not None:
            self._later(self._recalled(link))

    async def _recalled(self, link: PlaneLink) -> None:
        await link.recall()
        self._lingering.add(link)
        self._later(self._lingered(link))

    async def _lingered(self, link: PlaneLink) -> None:
        await link.linger()
        self._lingering.discard(link)

    # --------------------------------------------------------------------------------------------- traffic
    def fits(self, route: Route) -> bool:
        """Say whether a data plane can answer for a route: every model of it in ONNX, and no shadow to ask too."""
        traffic = route.traffic
        warm = [route.warm.get(name) for name in (traffic.champion, traffic.canary) if name]
        return not traffic.shadow and all(
            one is not None and one.served.broken is None and one.lane.facts.get("engine") == "onnx" for one in warm
        )

    async def switch(self, name: str, route: Route) -> None:
        """Change an endpoint's data plane with its traffic, before the home process does."""
        for other in tuple(self._links.values()):
            if other.only and len(self._board.names()) > 1:
                self._go_home(other.endpoint)
        link = self._links.get(name)
        if link is None:
            return
        if self.fits(route):
            try:
                await self._bring(link, route)
            except (RopewalkError, OSError) as error:
                log.warning("the data plane of %s does not follow: %s", name, error)
            else:
                return
        if self._links.get(name) is link:
            del self._links[name]
        await self._recalled(link)

    async def _bring(self, link: PlaneLink, route: Route) -> None:
        """Have a data plane load what a route needs, and answer by it."""
        traffic = route.traffic
        names = [name for name in (traffic.champion, traffic.canary) if name]
        for name in names:
            if name not in link.loaded:
                served = route.warm[name].served
                handle = await asyncio.to_thread(self._packed, served)
                try:
                    await link.load(name, handle)
                finally:
                    os.close(handle)
        await link.route(traffic, names, only=len(self._board.names()) == 1)

    def _packed(self, served: Served) -> int:
        return pack(served, self._source.load(served))

    # --------------------------------------------------------------------------------------------- starting
    def _want(self, name: str) -> None:
        """Start a data plane, unless one starts, or the last one ended a moment ago."""
        route = self._board.routes.get(name)
        since, _ = self._pauses.get(name, (0.0, 0.0))
        if route is None or name in self._starting or self._clock.monotonic() < since:
            return
        if self._unfit.get(name) == route.traffic.generation or not self.fits(route):
            return
        task = self._starting[name] = asyncio.get_running_loop().create_task(self._start(name))
        task.add_done_callback(lambda _: self._starting.pop(name, None))

    async def _start(self, name: str) -> None:
        """Start a data plane, and have connections given to it once it answers as the home process does."""
        began = self._clock.monotonic()

        def ended(link: PlaneLink) -> None:
            if self._links.get(name) is link:
                del self._links[name]
            self._pause(name, healthy=self._clock.monotonic() - began > HEALTHY_SECONDS)
            self._later(self._buried(link))

        link = PlaneLink(
            name, capture=self._capture, meters=self._meters, told=self._counted, ended=ended, unfit=self._is_unfit
        )
        try:
            await link.start(self._terms(), COMMAND)
            await self._join(link)
        except (RopewalkError, OSError) as error:
            log.warning("no data plane for %s: %s", name, error)
            if isinstance(error, RopewalkError) and error.code == "model-too-slow":
                self._unfit[name] = self._board.routes[name].traffic.generation
            self._pause(name, healthy=False)
        finally:
            if not link.live:
                await link.close()

    async def _join(self, link: PlaneLink) -> None:
        """Have a data plane follow the traffic until it has caught up with the home process."""
        name = link.endpoint
        route = self._board.routes[name]
        while not self._closing and self.fits(route):
            await self._bring(link, route)
            if self._board.routes[name] is route:  # and nothing is awaited from here on
                link.live, self._links[name] = True, link
                return
            route = self._board.routes[name]

    def _is_unfit(self, link: PlaneLink) -> None:
        self._unfit[link.endpoint] = link.generation
        if self._links.get(link.endpoint) is link:
            self._go_home(link.endpoint)

    async def _buried(self, link: PlaneLink) -> None:
        await link.close()
        log.warning("the data plane of %s ended: %s", link.endpoint, link.tail or "it said nothing")

    def _pause(self, name: str, *, healthy: bool) -> None:
        _, last = self._pauses.get(name, (0.0, 0.0))
        pause = RETRY_SECONDS_MIN if healthy or not last else min(last * 2, RETRY_SECONDS_MAX)
        self._pauses[name] = (self._clock.monotonic() + pause, pause)

    def _terms(self) -> Terms:
        return Terms(
            request_ids=self.request_ids,
            queue_max=self._serve.queue_max,
            captures=self._capture is not None,
            body_bytes_max=min(self._serve.body_bytes_max, BODY_BYTES_MAX),
        )

    def _counted(self, counts: Mapping[str, Any]) -> None:
        self.told(counts)
        if self.barred():
            for name in tuple(self._links):
                self._go_home(name)

    def _later(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    # ----------------------------------------------------------------------------------------------- the end
    async def stop(self) -> None:
        """Let what has begun to come be answered, then end every data plane."""
        self._closing = True
        starting = tuple(self._starting.values())
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        links = {*self._links.values(), *self._lingering}
        self._links.clear()
        await asyncio.gather(*(link.drain() for link in links), *self._leaving, return_exceptions=True)
