"""Opens workspaces when they are asked for, a bounded number at once, and closes those that rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from ropewalk.clock import Clock
from ropewalk.endpoints.problems import Message, Receive, Scope, Send
from ropewalk.errors import RopewalkError, Unavailable
from ropewalk.house import House
from ropewalk.loops.work import Loop
from ropewalk.site import Site
from ropewalk.workspaces.workspace import Workspace

OPEN_MAX = 32
IDLE_SECONDS = 900.0
# One that was opened for its own sake rests sooner, and none is closed that has to be opened again at once.
WOKEN_SECONDS = 20.0
SOON_US = 60_000_000
BROKEN_SECONDS = 2.0
log = logging.getLogger(__name__)


class Project(Protocol):
    """The app of one project, as it is driven from here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        ...

    @property
    def busy(self) -> bool:
        """Whether it serves models, which take long to start again."""
        ...

    def close(self) -> None:
        """End its threads."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a workspace is opened.

    Attributes:
        house: opens its folder.
        app: makes its app.
        loops: makes its loops.
        due: says from the rows of one that is open when it has something to do by itself, or None.
        peek: the same of one that is closed, opening nothing but its rows; None of one that was never opened.
        stamp: of one that is closed, something that changes when somebody else writes its rows.
    """

    house: Callable[[Workspace], AbstractContextManager[House]]
    app: Callable[[House, Workspace], Project]
    loops: Callable[[House], list[Loop]]
    due: Callable[[Site, int], int | None] = lambda _site, _now_us: None
    peek: Callable[[Workspace, int], int | None] = lambda _found, _now_us: None
    stamp: Callable[[Workspace], object] = lambda _: None


class Opened:
    """A workspace that is open."""

    def __init__(
        self,
        house: AbstractContextManager[House],
        site: Site,
        app: Project,
        turning: list[Loop],
        found: Workspace,
    ) -> None:
        self.found = found
        self.site = site
        self.app = app
        self.users = 0
        self.used = 0.0
        self.woken = False
        self._house = house
        self._turning = turning
        self._orders: asyncio.Queue[Message] = asyncio.Queue()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._life: asyncio.Task[None] | None = None

    def serves(self, found: Workspace) -> bool:
        """Say whether it was opened by the name that the workspace has now, which stands in every link of its pages."""
        return self.found.name == found.name or self.found.changed_us > found.changed_us

    @property
    def busy(self) -> bool:
        """Whether somebody uses it, it serves models, or one of its schedules' starts runs."""
        return bool(self.users) or self.app.busy or any(loop.busy() for loop in self._turning)

    async def start(self) -> None:
        """Bring up what it serves, then its loops."""
        self._life = asyncio.get_running_loop().create_task(self._live())
        self._orders.put_nowait({"type": "lifespan.startup"})
        answer = await self._said.get()
        if answer["type"] != "lifespan.startup.complete":
            raise Unavailable("gateway-not-started", "The gateway did not start.", why=str(answer.get("message", "")))
        for loop in self._turning:
            loop.start()

    async def _live(self) -> None:
        try:
            await self.app({"type": "lifespan", "asgi": {"version": "3.0"}}, self._orders.get, self._say)
        except BaseException as error:
            await self._say({"type": "lifespan.startup.failed", "message": str(error)})
            raise

    async def _say(self, message: Message) -> None:
        self._said.put_nowait(message)

    async def stop(self) -> None:
        """Let what is under way end, then close everything."""
        try:
            if self._life is not None:
                self._orders.put_nowait({"type": "lifespan.shutdown"})
                with suppress(Exception):  # its defect is in the log; the folder is to be closed all the same
                    await self._life
        finally:
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for loop in reversed(self._turning):
            loop.stop()
        self.app.close()
        self._house.__exit__(None, None, None)


class Openings:
    """The workspaces that are open now.

    Args:
        ways: how one is opened.
        clock: tells how long one has rested.
        open_max: how many may be open at once.
        idle_seconds: for how long one rests before it is closed.
    """

    def __init__(
        self, ways: Ways, clock: Clock, *, open_max: int = OPEN_MAX, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._ways = ways
        self._clock = clock
        self._open_max = open_max
        self._idle = idle_seconds
        self._open: dict[str, Opened] = {}
        self._opening = 0
        self._broken: dict[str, tuple[float, RopewalkError]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._due: dict[str, tuple[object, int | None]] = {}

    def site(self, workspace: str) -> Site | None:
        """Return the floor of a workspace that is open, by its id."""
        found = self._open.get(workspace)
        return found.site if found is not None else None

    def ids(self) -> list[str]:
        """Return the ids of those that are open."""
        return list(self._open)

    @asynccontextmanager
    async def use(self, found: Workspace) -> AsyncGenerator[Opened]:
        """Open a workspace, if it is not, and keep it open meanwhile.

        Raises:
            Unavailable: its folder cannot be opened, too many are in use, or it was renamed and somebody still uses it.
        """
        opened = self._open.get(found.id)
        if opened is None or not opened.serves(found):
            opened = await self._opened(found)
        opened.users += 1
        opened.woken = False
        try:
            yield opened
        finally:
            opened.users -= 1
            opened.used = self._clock.monotonic()

    async def _opened(self, found: Workspace) -> Opened:
        async with self._lock_of(found.id):
            opened = self._open.get(found.id)
            if opened is not None and opened.serves(found):
                return opened
            if opened is not None:
                await self._renamed(found, opened)
            at, error = self._broken.get(found.id, (0.0, None))
            if error is not None and self._clock.monotonic() - at < BROKEN_SECONDS:
                raise error
            await self._make_room()
            self._opening += 1
            try:
                opened = await self._begin(found)
            except Exception as cause:  # whatever is wrong with one folder is wrong with that one alone
                log.exception("workspace %s cannot be opened", found.name)
                error = _broken(found, cause)
                self._broken[found.id] = (self._clock.monotonic(), error)
                raise error from cause
            finally:
                self._opening -= 1
            self._broken.pop(found.id, None)
            opened.used = self._clock.monotonic()
            self._open[found.id] = opened
            return opened

    async def _renamed(self, found: Workspace, opened: Opened) -> None:
        """Close a workspace whose pages still lead to its old name, which may be another one's by now."""
        if opened.users:
            raise Unavailable(
                "workspaces-busy",
                "The workspace was renamed, and somebody still uses it by its old name.",
                where=found.name,
                fix="send it again in a moment",
            )
        del self._open[found.id]
        await _stopped(found.id, opened)

    def _lock_of(self, workspace: str) -> asyncio.Lock:
        return self._locks.setdefault(workspace, asyncio.Lock())

    async def _begin(self, found: Workspace) -> Opened:
        context = self._ways.house(found)
        house = await asyncio.to_thread(context.__enter__)
        try:
            app = self._ways.app(house, found)
            opened = Opened(context, house.site, app, self._ways.loops(house), found)
        except BaseException:
            await asyncio.to_thread(context.__exit__, None, None, None)
            raise
        try:
            await opened.start()
        except BaseException:
            await opened.stop()
            raise
        return opened

    async def _make_room(self) -> None:
        while len(self._open) + self._opening >= self._open_max:
            resting = [name for name, one in self._open.items() if not one.busy]
            if not resting:
                raise Unavailable(
                    "workspaces-busy",
                    "Too many workspaces are in use at once.",
                    why=f"{self._open_max} are open, and each answers somebody, serves a model or runs a pipeline",
                    fix="send it again in a moment",
                )
            await self.leave(min(resting, key=lambda name: self._open[name].used))

    async def rest(self) -> int:
        """Close what nobody has used for long and has nothing to do by itself soon; return how many that were."""
        now, closed = self._clock.monotonic(), 0
        for name, one in list(self._open.items()):
            idle = min(self._idle, WOKEN_SECONDS) if one.woken else self._idle
            if one.busy or now - one.used < idle:
                continue
            now_us = self._clock.now_us()
            due_us = await asyncio.to_thread(self._ways.due, one.site, now_us)
            if not one.busy and (due_us is None or due_us > now_us + SOON_US):  # it may have begun something meanwhile
                closed += await self.leave(name)
        return closed

    async def wake(self, resting: Iterable[Workspace]) -> int:
        """Open those that have something to do by themselves now, as far as there is room; return how many that were.

        What is not due costs a look at the dates of its files: its rows are read when somebody else has written them.
        """
        woken = 0
        for found in resting:
            if found.id in self._open:
                self._due.pop(found.id, None)
                continue
            if not await asyncio.to_thread(self._is_due, found):
                continue
            self._due.pop(found.id, None)
            try:
                async with self.use(found) as opened:
                    woken += 1
            except RopewalkError as error:
                log.warning("workspace %s has something to do and is not opened: %s", found.name, error.what)
            else:
                opened.woken = True  # until somebody asks for it
        return woken

    def _is_due(self, found: Workspace) -> bool:
        now_us, known = self._clock.now_us(), self._due.get(found.id)
        if known is None or known[0] != self._ways.stamp(found):
            seen = self._ways.stamp(found)  # before: what is written while it is looked at is looked at the next time
            known = self._due[found.id] = (seen, self._ways.peek(found, now_us))
        return known[1] is not None and known[1] <= now_us

    async def leave(self, workspace: str) -> bool:
        """Close one workspace, by its id, unless somebody uses it; it is opened again when it is asked for."""
        async with self._lock_of(workspace):
            found = self._open.get(workspace)
            if found is None or found.users:
                return False
            del self._open[workspace]
            await _stopped(workspace, found)
            return True

    async def close(self) -> None:
        """Close everything."""
        for name in list(self._open):
            async with self._lock_of(name):
                found = self._open.pop(name, None)
                if found is not None:
                    await _stopped(name, found)


async def _stopped(workspace: str, found: Opened) -> None:
    try:
        await found.stop()
    except Exception:
        log.exception("workspace %s was not closed well", workspace)


def _broken(found: Workspace, cause: Exception) -> Unavailable:
    why = f"{cause.code}: {cause.what}" if isinstance(cause, RopewalkError) else type(cause).__name__
    return Unavailable(
        "workspace-broken",
        "The workspace cannot be opened; the others go on.",
        where=found.name,
        why=why,
        fix=f"ropewalk --workspace {found.name} store status --check",
    )
