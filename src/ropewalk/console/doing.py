"""Serves a form: shows it, does what it says in one transaction, and leads on; what went wrong stands in it again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ropewalk.api.routes import allowed, require
from ropewalk.console import forms
from ropewalk.console.flash import Flash
from ropewalk.console.forms import Act, Done, Given, Sheet
from ropewalk.endpoints.problems import status_of
from ropewalk.errors import Invalid, RopewalkError
from ropewalk.house import House
from ropewalk.refs import digest_of
from ropewalk.store.database import Transaction
from ropewalk.workspaces.account import Account

TEMPLATE = "form.html"
ONCE = "once"
SURE = "sure"
_ONCE = re.compile(r"[0-9a-f]{32}")
# Cookies and the own headers of every page are the render's.
Render = Callable[[str, dict[str, Any], int, Request], Response]


class Doing:
    """One form of one project, as an ASGI app.

    Args:
        act: what is done.
        house: the open project.
        render: makes a page of a template.
        flash: carries what is told to the next page.
        base: below which path of the server the pages lie.
        account: finds the project's quota; None where there is none.
    """

    def __init__(  # noqa: PLR0917 - one for each part of the console
        self,
        act: Act,
        house: House,
        render: Render,
        flash: Flash,
        base: str,
        account: Callable[[], Account | None] = lambda: None,
    ) -> None:
        self.action = act.action
        self._act = act
        self._house = house
        self._render = render
        self._flash = flash
        self._base = base
        self._account = account

    def route(self) -> Route:
        """Return where it is served."""
        return Route(self._act.path, self, methods=["GET", "POST"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        request = Request(scope, receive)
        form: dict[str, tuple[str, ...]] = {}
        posted = request.method == "POST"
        if posted:
            form = forms.read(await request.body(), request.headers.get("content-type", ""))
        response = await run_in_threadpool(self._post if posted else self._show, request, form)
        await response(scope, receive, send)

    def _show(self, request: Request, form: dict[str, tuple[str, ...]]) -> Response:
        """Show the form; to whom may not send it, that he may not."""
        caller = require(request.scope, "read", self._house)
        given = Given(house=self._house, caller=caller, path=_plain(request), form=form)
        return self._page(request, self._sheet(given), 200, may=allowed(caller, self.action))

    def _post(self, request: Request, form: dict[str, tuple[str, ...]]) -> Response:
        """Do what the form says."""
        caller = require(request.scope, self.action, self._house)
        house = replace(self._house, site=replace(self._house.site, actor=caller.name))
        given = Given(house=house, caller=caller, path=_plain(request), form=form)
        given = replace(given, key=self._key(given))
        if self._act.asks and SURE not in form:
            return self._page(request, self._sheet(given), 200)
        try:
            done = self._done(given)
        except RopewalkError as error:
            try:
                sheet = self._sheet(given)
            except RopewalkError:
                raise error from None
            return self._page(request, forms.filled(sheet, form), status_of(error), problem=error)
        response = RedirectResponse(f"{self._base}{done.address}", 303)
        self._flash.put(request, response, done)
        return response

    def _done(self, given: Given) -> Done:
        """Do it once, however often the same form is sent."""
        act = self._act
        if act.alone is not None:
            return act.alone(given)
        work = act.work
        assert work is not None, act.path
        account = self._account() if act.restores else None

        def once(tx: Transaction) -> Any:  # noqa: ANN401 - what a key keeps
            done = work(given, tx)
            if account is not None:
                account.require_runs(tx)
            return msgspec.to_builtins(done)

        found = given.site.db.write(once, key=given.key)
        if account is not None:
            account.forget()
        return msgspec.convert(found, Done)

    def _key(self, given: Given) -> str | None:
        once = given.text(ONCE)
        if not _ONCE.fullmatch(once):
            return None
        said = digest_of(msgspec.json.encode([self._act.path, dict(given.path), dict(given.form)]))
        return f"console {given.caller.name} {said}"

    def _sheet(self, given: Given) -> Sheet:
        with given.site.db.read() as rows:
            return self._act.sheet(given, rows)

    def _address(self, request: Request) -> str:
        address = self._act.path
        for name, value in request.path_params.items():
            address = address.replace(f"{{{name}}}", quote(str(value), safe=""))
        return address

    def _page(
        self, request: Request, sheet: Sheet, status: int, *, may: bool = True, problem: RopewalkError | None = None
    ) -> Response:
        words = {
            "here": "",
            "sheet": sheet,
            "problem": problem,
            "allowed": may,
            "wanted": self.action,
            "address": self._address(request),
        }
        return self._render(TEMPLATE, words, status, request)


def _plain(request: Request) -> dict[str, str]:
    """Return the values from the address.

    Raises:
        Invalid: one holds a NUL character, which no store takes.
    """
    if any("\0" in str(value) for value in request.path_params.values()):
        raise Invalid("text-with-nul", "A text holds a NUL character.", where="the address", fix="leave it out")
    return {name: str(value) for name, value in request.path_params.items()}
