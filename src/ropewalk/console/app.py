"""The console's routes: each gathers what a page shows in one read of the store and renders it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ropewalk import __version__
from ropewalk.access.roles import ACTIONS, Caller
from ropewalk.api.addressed import base_of
from ropewalk.api.app import Pages, Server
from ropewalk.api.directory import Directory
from ropewalk.api.policy import LOOK
from ropewalk.api.routes import CALLER, allowed
from ropewalk.clock import iso
from ropewalk.console import download, workspaces
from ropewalk.console.acts.every import ACTS
from ropewalk.console.doing import Doing
from ropewalk.console.flash import Flash
from ropewalk.console.markdown import blocks
from ropewalk.console.pages import PAGES, RAW, View
from ropewalk.endpoints.problems import status_of
from ropewalk.endpoints.sources import Source
from ropewalk.errors import Invalid, RopewalkError
from ropewalk.house import House
from ropewalk.store.database import Reader
from ropewalk.workspaces.account import Account
from ropewalk.workspaces.names import DEFAULT

LOCAL, SESSION = "local", "session"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # With no-referrer a browser says `Origin: null` when it posts a form, and the guard turns it away.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Console:
    """Renders pages of one project.

    Args:
        house: the open project.
        base: below which path of the server its pages lie; templates write it before every link of theirs.
        directory: the workspaces of the server; None where there is none.
    """

    def __init__(self, house: House, base: str = "", directory: Directory | None = None) -> None:
        self._house = house
        self._base = base
        self._directory = directory
        self._flash = Flash(base, house.site.signer)
        self._templates = Environment(
            loader=PackageLoader("ropewalk.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        cast("dict[str, Any]", self._templates.globals).update({"base": base, "once": lambda: token_hex(16)})
        cast("dict[str, Any]", self._templates.filters)["blocks"] = blocks

    def routes(self) -> list[BaseRoute]:
        """Return every page, and the files that they load."""
        static = StaticFiles(directory=Path(__file__).parent / "static")
        pages: list[BaseRoute] = [Route(path, self._page(name, view, here)) for path, name, view, here in PAGES]
        if not self._base:  # of the whole server, whose own project lies at its root
            pages.append(Route(workspaces.PATH, self._workspaces_page()))
        raw = [Route(path, self._raw(answer)) for path, answer in RAW]
        raw.append(Route("/runs.csv", self._csv))
        acts = [Doing(act, self._house, self._render, self._flash, self._base, self._account).route() for act in ACTS]
        return [*acts, *pages, *raw, Mount("/static", static)]

    def show(self, request: Request, error: RopewalkError) -> Response:
        """Render an error as a page."""
        return self._render("problem.html", {**error.record(), "here": ""}, status_of(error), request)

    def _raw(self, answer: Callable[[House, Reader, Request], Response]) -> Callable[[Request], Any]:
        """Return what answers a file's bytes."""

        def gather(request: Request) -> Response:
            _require_plain(request)
            with self._house.site.db.read() as rows:
                return answer(self._house, rows, request)

        async def take(request: Request) -> Response:
            return await run_in_threadpool(gather, request)

        return take

    async def _csv(self, request: Request) -> Response:
        """Answer the runs that a look at their table fits, as a file that is written while it is sent."""
        _require_plain(request)
        return await run_in_threadpool(download.answer, self._house, request)

    def _account(self) -> Account | None:
        """Return the account of the project in the server's list."""
        if self._directory is None:
            return None
        found = self._directory.find(self._house.settings.name if self._base else "")
        return None if found is None else self._directory.account(found)

    def _page(self, name: str, view: View, here: str) -> Callable[[Request], Any]:
        def gather(request: Request) -> Response:
            _require_plain(request)
            with self._house.site.db.read() as rows:
                words = view(self._house, rows, request)
            return self._render(name, {"here": here, **words}, 200, request)

        async def page(request: Request) -> Response:
            return await run_in_threadpool(gather, request)

        return page

    def _workspaces_page(self) -> Callable[[Request], Any]:
        page = self._page("workspaces.html", workspaces.gather, workspaces.PATH)
        setattr(page, LOOK, workspaces.ACTION)
        return page

    def _render(self, name: str, words: dict[str, Any], status: int, request: Request) -> Response:
        caller = cast(Caller | None, request.scope.get(CALLER))
        whole_page = not name.startswith("_")
        whole = {
            "project": self._house.settings,
            "ropewalk": __version__,
            "now": iso(self._house.site.clock.now_us()),
            "user": caller.name if caller is not None and caller.way != LOCAL else "",
            "logged_in": caller is not None and caller.way == SESSION,
            "may": may(caller),
            "workspaces": self._workspaces(caller) if whole_page else [],
            "flash": self._flash.read(request) if whole_page else None,
            **words,
        }
        response = HTMLResponse(self._templates.get_template(name).render(whole), status, headers=HEADERS)
        if whole_page:
            self._flash.take(request, response)
        return response

    def _workspaces(self, caller: Caller | None) -> list[dict[str, Any]]:
        """Return the workspaces that a caller may go to; none for who is not known where callers are asked."""
        if self._directory is None or (caller is None and self._house.settings.auth.enabled):
            return []
        return [
            {"name": one.name, "address": f"{base}/", "here": base == self._base}
            for one in self._directory.readable(caller)
            for base in ["" if one.name == DEFAULT else base_of(one.name)]
        ]


def may(caller: Caller | None) -> frozenset[str]:
    """Return the actions that pages offer to a caller; where nobody is asked, all."""
    return frozenset(action for action in ACTIONS if caller is None or allowed(caller, action))


def _require_plain(request: Request) -> None:
    """Pass only an address without NUL characters, which no store takes.

    Raises:
        Invalid: there is one.
    """
    said = [value for pair in request.query_params.multi_items() for value in pair]
    if any("\0" in value for value in (*said, *map(str, request.path_params.values()))):
        raise Invalid("text-with-nul", "A text holds a NUL character.", where="the address", fix="leave it out")


def build(
    house: House,
    *,
    environment: str = "production",
    on_ready: Callable[[], None] | None = None,
    source: Source | None = None,
) -> Server:
    """Return the whole server of a project, consoles included; `source` answers predictions in its traffic's place."""
    return Server(house, environment=environment, paint=paint, on_ready=on_ready, source=source)


def paint(house: House, base: str, directory: Directory) -> Pages:
    """Return the pages of a project that lies below a path of the server."""
    console = Console(house, base, directory)
    return Pages(routes=console.routes(), show=console.show)
