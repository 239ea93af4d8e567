"""The whole server as one ASGI app: the gate, the host's own project behind it, and the workspaces beside that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace as settings_replace
from starlette.routing import BaseRoute

from ropewalk.access.keeper import Keeper
from ropewalk.api import workspaces
from ropewalk.api.addressed import base_of
from ropewalk.api.caps import Caps
from ropewalk.api.directory import Directory
from ropewalk.api.gate import WORKSPACE, Gate
from ropewalk.api.mlflow.problems import answer_of
from ropewalk.api.mlflow.spending import Till
from ropewalk.api.mlflow.table import ROUTES
from ropewalk.api.native import DOORS
from ropewalk.api.openings import Openings, Ways
from ropewalk.api.policy import Policy
from ropewalk.api.project import ProjectApp, Show
from ropewalk.api.resting import due, peek, stamp
from ropewalk.api.sender import Places
from ropewalk.api.shed import admission_of, is_shed, shed
from ropewalk.endpoints.planes import Planes
from ropewalk.endpoints.problems import JSON_HEADERS, Headers, Message, Receive, Scope, Send, answer
from ropewalk.endpoints.requests import access
from ropewalk.endpoints.sources import Source
from ropewalk.endpoints.telling import tell
from ropewalk.errors import RopewalkError, Unavailable
from ropewalk.house import House, loops, open_house
from ropewalk.workspaces.meter import WRITE_SECONDS, Meter
from ropewalk.workspaces.names import DEFAULT
from ropewalk.workspaces.place import prepare
from ropewalk.workspaces.stores import beside_of
from ropewalk.workspaces.workspace import HOST, OPEN, Workspace

log = logging.getLogger(__name__)
HOST_DOORS = (*DOORS, *workspaces.DOORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """What people see of one project.

    Attributes:
        routes: addresses, with what they show.
        show: how an error is shown where a page was asked for; JSON when None.
    """

    routes: Sequence[BaseRoute] = ()
    show: Show | None = None


Paint = Callable[[House, str, Directory], Pages]


def _blank(_house: House, _base: str, _directory: Directory) -> Pages:
    return Pages()


class Server:
    """Sends each request to the project that it is about.

    Args:
        house: the host, open.
        environment: whose endpoints are served.
        paint: makes the pages of a project that lies below a path; none when left out.
        on_ready: called when requests may come.
        source: who answers the host's predictions; its traffic when None.

    Attributes:
        admission: judges the host's writes by their first bytes; for whoever reads them.
    """

    def __init__(
        self,
        house: House,
        *,
        environment: str = "production",
        paint: Paint = _blank,
        on_ready: Callable[[], None] | None = None,
        source: Source | None = None,
    ) -> None:
        site, settings = house.site, house.settings
        self._house, self._environment, self._paint = house, environment, paint
        self.meter = Meter(site)
        self.openings = Openings(self._ways(), site.clock, open_max=settings.workspaces.open_max)
        self.directory = Directory(site, settings.name, self.openings.site)
        pages = paint(house, "", self.directory)
        self.directory.look()
        own = self.directory.find("") or HOST
        self._host = ProjectApp(
            house,
            doors=HOST_DOORS,
            environment=environment,
            pages=pages.routes,
            show=pages.show,
            on_ready=on_ready,
            source=source,
            till=Till(self.directory.account(own), self.meter, own.id),
        )
        self.gateway = self._host.gateway
        self._agree(self.gateway.planes, site.actor)
        self.admission = admission_of(self._host.mlflow)
        self._gate = Gate(
            self._inside,
            policy=Policy(HOST_DOORS, pages.routes),
            places=Places(
                hosts=(settings.serve.host, *settings.auth.hosts),
                proxies=settings.auth.proxies,
                serving=environment,
                tracking=settings.auth.tracking,
            ),
            keeper=Keeper(site, settings.name, aliases=(DEFAULT,)) if settings.auth.enabled else None,
            actor=site.actor,
            own_rules=self._host.mlflow.serves,
            cap=Caps(ROUTES, settings.serve.body_bytes_max),
            tell=self._tell,
            directory=self.directory,
            meter=self.meter,
            note=self.gateway.meters.requests.note,
        )
        self._caring: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and is_shed(self._host.mlflow, scope):
            await shed(send)
        else:
            await self._gate(scope, receive, send)

    def _agree(self, planes: Planes, actor: str) -> None:
        """Have data planes answer as the gate would, and none where each request is counted, written down or told."""
        planes.request_ids = True
        planes.barred = lambda: (
            self.directory.home.quota.requests_max > 0
            or self.gateway.spans is not None
            or access.isEnabledFor(logging.INFO)
        )
        planes.told = partial(self._used, actor)

    def _used(self, user: str, counts: Mapping[str, int]) -> None:
        """Count what a data plane answered without the gate."""
        asked = counts["answers"] + counts["turned_away"]
        self.meter.add_many(
            DEFAULT,
            user,
            requests=asked,
            refused=counts["turned_away"],
            bytes_in=counts["bytes_in"],
            bytes_out=counts["bytes_out"],
            busy_ns=counts["busy_ns"],
        )

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what the gate has let in."""
        found: Workspace | None = scope.get(WORKSPACE)
        if found is None:
            await self._host(scope, receive, send)
            return
        async with self.openings.use(found) as opened:
            await opened.app(scope, receive, send)

    async def _tell(self, scope: Scope, send: Send, error: RopewalkError, headers: Headers) -> None:
        """Answer an error of the gate as the path's own protocol does."""
        if self._host.mlflow.serves(scope["path"]):
            status, body = answer_of(error)
            await answer(send, status, body, (*JSON_HEADERS, *headers))
        else:
            await tell(scope, send, error, headers)

    # ------------------------------------------------------------------------------------------- the workspaces
    def _ways(self) -> Ways:
        root = self._house.site.root
        look, dates = partial(peek, root), partial(stamp, root)
        return Ways(house=self._open, app=self._app_of, loops=loops, due=due, peek=look, stamp=dates)

    def _open(self, found: Workspace) -> AbstractContextManager[House]:
        settings = self._house.settings
        if found.name == settings.name:
            raise Unavailable(
                "workspace-name-taken",
                "The server's own project has the name of this workspace.",
                where=found.name,
                why="roles that were given for the one would count for the other",
                fix=f"ropewalk workspace rename {found.name} NEW",
            )
        root = self._house.site.root
        return open_house(prepare(root, found, beside_of(root, settings)), guest=True)

    def _app_of(self, house: House, found: Workspace) -> ProjectApp:
        """Return the app of a workspace: what callers may send is the host's to say, and so is its name."""
        host = self._house.settings
        settings = settings_replace(
            house.settings,
            name=found.name,
            serve=host.serve,
            auth=host.auth,
            webhooks=host.webhooks,
            tracking=host.tracking,
        )
        house = House(site=house.site, settings=settings, guest=True)
        pages = self._paint(house, base_of(found.name), self.directory)
        return ProjectApp(
            house,
            doors=DOORS,
            environment=self._environment,
            pages=pages.routes,
            show=pages.show,
            till=Till(self.directory.account(found), self.meter, found.id),
        )

    # ------------------------------------------------------------------------------------------------ life
    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def said(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._caring = asyncio.get_running_loop().create_task(self._care())
            elif message["type"] == "lifespan.shutdown.complete":
                await self.close()
            await send(message)

        await self._host(scope, receive, said)

    async def close(self) -> None:
        """Close every workspace, and write what was gathered of the usage."""
        if self._caring is not None:
            self._caring.cancel()
            await asyncio.gather(self._caring, return_exceptions=True)
        await self.write_usage()
        await self.openings.close()
        self._host.close()

    async def _care(self) -> None:
        """Write usage now and then, close what rests, and what is no longer to be served."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.tend()

    async def tend(self) -> None:
        """Do once what is done every few seconds."""
        try:
            await self.write_usage()
            await asyncio.to_thread(self.directory.look)
            serving = self.directory.ids(OPEN)
            for gone in [one for one in self.openings.ids() if one not in serving]:
                await self.openings.leave(gone)
            await self.openings.rest()
            await self.openings.wake(self.directory.beside())
        except Exception:
            log.exception("usage was not written, or a workspace not closed; it is tried again")

    async def write_usage(self) -> None:
        """Write what was gathered, with what the workspaces hold that were used."""
        used = self.meter.workspaces()

        def work() -> None:
            self.meter.write(self.directory.counted(used.__contains__))

        await asyncio.to_thread(work)
