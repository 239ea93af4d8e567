"""The switchboard follows the traffic: warm a release, swap it in with one assignment, let the old one finish."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ropewalk.endpoints.batching import Lane
from ropewalk.endpoints.served import Served
from ropewalk.endpoints.sources import Source
from ropewalk.errors import RopewalkError, Unavailable
from ropewalk.releases.traffic import Traffic

FOLLOW_SECONDS = 0.1
RETRY_SECONDS = 1.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """A release with its lane.

    Attributes:
        served: what it serves.
        lane: its queue and workers.
    """

    served: Served
    lane: Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who answers at an endpoint now: replaced whole, never changed.

    Attributes:
        traffic: the generation.
        warm: by release.
    """

    traffic: Traffic
    warm: dict[str, Warm]

    @property
    def champion(self) -> Warm:
        """The release that answers by default."""
        return self.warm[self.traffic.champion]


class Switchboard:
    """Keeps `routes` what the source says, a moment later.

    Args:
        source: who answers.
        open_lane: makes a lane for an endpoint's release.
        before: awaited with each new route before it takes the old one's place.
    """

    def __init__(
        self,
        source: Source,
        open_lane: Callable[[str, Served], Lane],
        *,
        before: Callable[[str, Route], Awaitable[None]] | None = None,
    ) -> None:
        self.routes: dict[str, Route] = {}
        self.problems: dict[str, RopewalkError] = {}
        self._source = source
        self._open_lane = open_lane
        self._before = before
        self._targets: dict[str, Traffic] = {}
        self._lanes: dict[tuple[str, str], Warm] = {}
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._draining: set[asyncio.Task[None]] = set()
        self._follower: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether every endpoint's champion stands warm."""
        routes = self.routes
        return all(name in routes and routes[name].champion.lane.ready for name in self._targets)

    def names(self) -> tuple[str, ...]:
        """Return every endpoint that should answer."""
        return tuple(self._targets)

    async def start(self) -> None:
        """Bring up what the source says now, then follow it."""
        seen = await asyncio.to_thread(self._source.version)
        await self._look()
        await asyncio.gather(*(self._first_try(name) for name in self._targets))
        self._follower = asyncio.get_running_loop().create_task(self._follow(seen))

    async def _first_try(self, name: str) -> None:
        while name not in self.routes and name not in self.problems:
            await asyncio.wait((self._settling[name],), timeout=FOLLOW_SECONDS)

    async def stop(self) -> None:
        """Let everything that is queued be answered, then end every worker."""
        tasks = [task for task in (self._follower, *self._settling.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(warm.lane.drain() for warm in self._lanes.values()), *self._draining)

    async def _follow(self, seen: int) -> None:
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                version = await asyncio.to_thread(self._source.version)
                if version != seen:
                    await self._look()
                    seen = version
            except RopewalkError as error:
                # The last route stays good; the store is asked again in a moment.
                log.warning("the traffic could not be read: %s %s", error.code, error.what)

    async def _look(self) -> None:
        for name, traffic in (await asyncio.to_thread(self._source.traffic)).items():
            before = self._targets.get(name)
            if before is not None and before.generation == traffic.generation:
                continue
            self._targets[name] = traffic
            running = self._settling.get(name)
            if running is None or running.done():
                self._settling[name] = asyncio.get_running_loop().create_task(self._settle(name))

    async def _settle(self, name: str) -> None:
        """Work until the endpoint's route is its target, which may move meanwhile."""
        while True:
            target = self._targets[name]
            route = self.routes.get(name)
            if route is not None and route.traffic.generation == target.generation:
                return
            problem = await self._bring(name, target)
            if problem is None:
                self.problems.pop(name, None)
                continue
            self.problems[name] = problem
            log.warning(
                "%s cannot switch to %s: %s %s", name, target.champion, problem.code, problem.why or problem.what
            )
            await asyncio.sleep(RETRY_SECONDS)

    async def _bring(self, name: str, target: Traffic) -> RopewalkError | None:
        """Warm a target's releases and swap them in; return why the champion cannot serve, or None."""
        opened: dict[str, Warm] = {}
        broken: dict[str, RopewalkError] = {}
        for release in target.releases():
            try:
                opened[release] = await self._opened(name, release)
            except RopewalkError as error:
                broken[release] = error
        needed = [opened[release] for release in (target.champion, target.canary, target.shadow) if release in opened]
        await asyncio.gather(*(warm.lane.warm() for warm in needed))
        if self._targets[name] is not target:
            return None
        champion = opened.get(target.champion)
        if champion is None or not champion.lane.ready:
            problem = broken.get(target.champion) or (champion.lane.problem if champion else None)
            return problem or Unavailable("release-not-warm", "The release does not stand yet.")
        if target.canary in broken:
            opened[target.canary] = self._stand_in(name, champion.served, target.canary, broken[target.canary])
        route = Route(traffic=target, warm=opened)
        if self._before is not None:
            await self._before(name, route)
        self.routes[name] = route
        for key in [key for key in self._lanes if key[0] == name and key[1] not in opened]:
            task = asyncio.get_running_loop().create_task(self._lanes.pop(key).lane.drain())
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)
        return None

    def _stand_in(self, name: str, champion: Served, release: str, problem: RopewalkError) -> Warm:
        """Return a lane that fails and records every row: a canary that cannot be read falls by evidence too."""
        found = self._lanes.get((name, release))
        if found is None:
            served = replace(champion, release=release, broken=problem)
            found = self._lanes[name, release] = Warm(served=served, lane=self._open_lane(name, served))
        return found

    async def _opened(self, name: str, release: str) -> Warm:
        known = self._lanes.get((name, release))
        if known is not None and known.served.broken is not None:
            raise known.served.broken
        if known is None:
            try:
                served = await asyncio.to_thread(self._source.served, release)
            except OSError as error:
                raise Unavailable(
                    "release-not-warm", "The release could not be read.", where=release, why=error.strerror or ""
                ) from error
            known = Warm(served=served, lane=self._open_lane(name, served))
            self._lanes[name, release] = known
        return known
