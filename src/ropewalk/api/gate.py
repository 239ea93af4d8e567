"""The outermost layer of the whole server: who asks, whether he may, and how much he says; deny by default."""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from time import perf_counter_ns
from typing import TypeVar

from ropewalk.access.keeper import Keeper, unknown
from ropewalk.access.roles import ADMIN, READ, Caller, everything
from ropewalk.access.tokens import is_token
from ropewalk.api import login, sender
from ropewalk.api.addressed import OWN, Meant, addressed, base_of
from ropewalk.api.directory import Directory
from ropewalk.api.once import Once
from ropewalk.api.policy import LOOKS, Policy, is_open, is_served, unknown_trigger
from ropewalk.api.routes import CALLER, allowed, refused
from ropewalk.endpoints.guard import CAME, REQUEST, Guard, Stop, Tell, discard, read_body
from ropewalk.endpoints.problems import App, Message, Receive, Scope, Send
from ropewalk.errors import Invalid, NotFound, Refused, RopewalkError, Unavailable
from ropewalk.telemetry.context import CURRENT, HEADER, Current, trace_of
from ropewalk.workspaces.meter import Meter
from ropewalk.workspaces.names import DEFAULT
from ropewalk.workspaces.workspace import HOST, missing, require_open

T = TypeVar("T")
Note = Callable[[Scope, int, int, int], None]
# Marks in a request's scope: which workspace it names, which one it is served by, and for whom it is counted.
ADDRESSED, WORKSPACE, METERED = "ropewalk.addressed", "ropewalk.workspace", "ropewalk.metered"
_STRANGER, _NONE = (DEFAULT, "(nobody)"), (0,)
THREADS = 4
LOGINS_WAITING_MAX = 64
STRANGERS_MAX = 256
DENIED_MAX = 1000
# Who sends a body for longer than this is asked once more who he is before the last of it counts.
AGAIN_SECONDS = 0.5
HSTS = (b"strict-transport-security", b"max-age=31536000")
_ASKS = ((b"www-authenticate", b'Basic realm="ropewalk", charset="UTF-8"'), (b"www-authenticate", b"Bearer"))
# Without Basic among the ways offered a browser shows our page and not its own window.
_ASKS_PAGE = ((b"www-authenticate", b"Bearer"),)


class Gate:
    """Lets known callers in; everything else of the server is behind it.

    Args:
        app: the server.
        policy: what each address wants.
        places: hosts, proxies, environments.
        keeper: knows callers; None where nobody is asked, which only this machine may reach.
        actor: who works here: the caller where nobody is asked.
        own_rules: says of a path that its own table names the actions (MLflow's protocol).
        cap: bytes that a request to a path may bring, 0 for streams.
        tell: writes an error in the words of the path's protocol.
        directory: the workspaces behind the server.
        meter: counts requests.
        note: told of each request with its status, the bytes of its answer and its nanoseconds.
    """

    def __init__(
        self,
        app: App,
        *,
        policy: Policy,
        places: sender.Places,
        keeper: Keeper | None,
        actor: str,
        own_rules: Callable[[str], bool],
        cap: Callable[[str], int],
        tell: Tell,
        directory: Directory,
        meter: Meter,
        note: Note,
    ) -> None:
        self._note = note
        self._app = app
        self._directory = directory
        self._meter = meter
        self._policy = policy
        self._places = places
        self._keeper = keeper
        local = everything(actor)
        self._local = {place: replace(local, environment=place) for place in (places.serving, places.tracking)}
        self._own_rules = own_rules
        self._tell = tell
        self._proxies = frozenset(places.proxies)
        self._guard = Guard(
            self._admit, hosts=places.hosts, ports_any=bool(places.proxies), body_bytes_max=cap, tell=tell
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ropewalk-gate")
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="ropewalk-login")
        # Its own thread: who is known does not wait behind strangers who are looked up.
        self._fresh = ThreadPoolExecutor(1, thread_name_prefix="ropewalk-look")
        self._logins = self._strangers = 0
        self._listing, self._relist = asyncio.Lock(), Once(self._fresh, directory.look)
        self._reknow = None if keeper is None else Once(self._fresh, keeper.look)
        self._denied: set[tuple[str, str]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if self._proxies:
            sender.believe(scope, self._proxies)
        number = secrets.token_hex(8)
        scope[REQUEST] = number
        scope[ADDRESSED] = addressed(scope, self._directory.own)
        more = [(b"x-request-id", number.encode())]
        if sender.is_secure(scope):
            more.append(HSTS)
        status = sent = 0

        async def dressed(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        began = perf_counter_ns()
        before = CURRENT.set(Current(number, trace_of(dict(scope["headers"]).get(HEADER))))
        try:
            await self._guard(scope, receive, dressed)
        finally:
            CURRENT.reset(before)
            workspace, user = scope.get(METERED, _STRANGER)
            (came,) = scope.get(CAME, _NONE)
            took = perf_counter_ns() - began
            self._meter.add(workspace, user, status, came, sent, took)
            self._note(scope, status, sent, took)

    # ------------------------------------------------------------------------------------------ who and what
    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        if scope["type"] == "websocket":  # nothing here speaks it
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        method, path = str(scope["method"]), str(scope["path"])
        try:
            meant: Meant = scope[ADDRESSED]
            apart = meant is not OWN
            if self._keeper is not None and not apart and path in ("/login", "/logout"):
                await self._door(self._keeper, scope, receive, send)
                return
            where = self._places.serving if is_served(path) else self._places.tracking
            if self._keeper is None:
                scope[CALLER] = caller = self._whoever(scope, where)
                if apart or not self._at_home(scope, caller):
                    await self._placed(scope, caller, meant)
            elif is_open(method, path, apart=apart):
                await self._placed_sender(scope, meant)
            else:
                caller = replace(await self._caller(self._keeper, scope), environment=where)
                if apart or not self._at_home(scope, caller):
                    caller = await self._placed(scope, caller, meant)
                scope[CALLER] = caller
                if method not in LOOKS:
                    receive = self._asked_again(self._keeper, caller, meant[0], scope, receive)
                if not self._own_rules(path):
                    await self._require(caller, self._policy.action(method, path), method, path)
            await self._app(scope, receive, send)
        except RopewalkError as error:
            await discard(receive)
            await self._refuse(scope, send, error)

    def _whoever(self, scope: Scope, where: str) -> Caller:
        """Return who works here, who may do everything; nobody else is here.

        Raises:
            Refused: somebody is.
        """
        if not sender.from_here(str((scope.get("client") or ("",))[0])):
            raise unknown()
        return self._local[where]

    def _at_home(self, scope: Scope, caller: Caller) -> bool:
        """Let a request for the server's own project pass, unless the list of workspaces has to be read first.

        Raises:
            Throttled: it has asked enough for this minute.
        """
        if not self._directory.fresh():
            return False
        scope[METERED] = (DEFAULT, caller.name)
        if self._directory.home.quota.requests_max:
            self._directory.home.request()
        return True

    async def _placed(self, scope: Scope, caller: Caller, meant: Meant, *, known: bool = True) -> Caller:
        """Return a caller with what he may do in the workspace that he asks of; say nothing of one that is not his.

        Raises:
            Invalid: the request does not say clearly which workspace it means.
            NotFound: there is none of this name that he may read.
            Refused: it is archived.
            Throttled: it has asked enough for this minute.
        """
        scope[METERED] = (DEFAULT, caller.name)
        workspace, problem = meant
        if problem is not None:
            raise problem
        directory = self._directory
        if not directory.fresh():
            await self._relist()
        found = directory.find(workspace)
        if workspace:
            caller = caller.inside(workspace)
            if found is None or not caller.may_anywhere(READ):
                await self._look()  # it may have been made a moment ago; who may not read it waits as long
                found = directory.find(workspace)
                if found is None or not caller.may_anywhere(READ):
                    raise missing(workspace)
            require_open(found)
            scope[WORKSPACE] = found
            scope["app_root_path"] = base_of(workspace)
        found = found or HOST
        scope[METERED] = (found.id, caller.name)
        if known:
            directory.account(found).request()
        return caller

    async def _placed_sender(self, scope: Scope, meant: Meant) -> None:
        """Let whoever may hold a schedule's secret come to a workspace: one that is not there knows no secret either.

        Raises:
            NotFound: there is none, in the words of the route that looks at secrets.
        """
        if meant is OWN:
            return
        try:
            await self._placed(scope, everything(_STRANGER[1]), meant, known=False)  # or guesses took its requests
        except (NotFound, Refused):
            raise unknown_trigger(str(scope["path"])) from None

    async def _look(self) -> None:
        """Read the list of workspaces anew, if anything was written since this was asked for."""
        async with self._listing:
            await asyncio.get_running_loop().run_in_executor(self._fresh, self._directory.look)

    async def _caller(self, keeper: Keeper, scope: Scope) -> Caller:
        """Return who asks.

        Raises:
            Refused: nobody knows.
        """
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        caller = None
        if len(given) == 1:
            caller = await self._by_header(keeper, given[0], sender.address_of(scope))
        elif not given:
            secret = login.cookie_of(scope, secure=sender.is_secure(scope))
            if secret:
                caller = await self._known(keeper, secret, partial(keeper.session, secret))
                if caller is not None and scope["method"] not in LOOKS:
                    sender.require_own_page(scope)
        if caller is None:
            raise unknown()
        return caller

    def _asked_again(self, keeper: Keeper, caller: Caller, workspace: str, scope: Scope, receive: Receive) -> Receive:
        """Return a `receive` that gives the end of a long body only while whoever sends it may still send it."""
        began = keeper.now()

        async def still() -> Message:
            message = await receive()
            whole = message["type"] == "http.request" and not message.get("more_body", False)
            if whole and keeper.now() - began > AGAIN_SECONDS:
                try:
                    now = await self._caller(keeper, scope)
                except RopewalkError as error:
                    raise Stop(error) from error
                if not caller.rights <= (now.inside(workspace) if workspace else now).rights:
                    raise Stop(unknown())
            return message

        return still

    async def _by_header(self, keeper: Keeper, given: bytes, address: str) -> Caller | None:
        way, _, value = given.strip().partition(b" ")
        value = value.strip()
        if way.lower() == b"bearer":
            return await self._known(keeper, value, partial(keeper.token, value))
        if way.lower() != b"basic":
            return None
        try:
            name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        secret = password.encode()
        if is_token(secret):
            return await self._known(keeper, secret, partial(keeper.token, secret))
        if not colon or not name or "\0" in name + password:
            return None
        work = partial(keeper.password, name, password, address)
        return await self._known(keeper, keeper.mark_of(name, password), work, slow=True)

    async def _known(
        self, keeper: Keeper, mark: bytes, work: Callable[[], Caller | None], *, slow: bool = False
    ) -> Caller | None:
        """Return a caller from memory, or from the store in a thread."""
        if self._reknow is not None and not keeper.fresh():
            await self._reknow()
        caller = keeper.remembered(mark)
        if caller is not None:
            return caller
        return await (self._logging_in(work) if slow else self._looked_up(work))

    async def _require(self, caller: Caller, action: str, method: str, path: str) -> None:
        if allowed(caller, action):
            return
        asked = f"{method} {path[:200]}"
        if action == ADMIN and self._keeper is not None and (caller.name, asked) not in self._denied:
            if len(self._denied) >= DENIED_MAX:
                self._denied.clear()
            self._denied.add((caller.name, asked))
            await self._in_thread(partial(self._keeper.denied, caller, asked))
        raise refused(caller, action, asked)

    # ----------------------------------------------------------------------------------------------- the login
    async def _door(self, keeper: Keeper, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve `/login` and `/logout`."""
        method, secure = str(scope["method"]), sender.is_secure(scope)
        if scope["path"] == "/logout":
            caller = await self._caller(keeper, scope)
            if method != "POST":
                raise _verb("POST")
            secret = login.cookie_of(scope, secure=secure)
            await self._in_thread(partial(keeper.logout, caller, secret))
            await login.left(send, secure=secure)
            return
        if method in LOOKS:
            await login.page(send, 200)
            return
        if method != "POST":
            raise _verb("GET, HEAD, POST")
        kind = login.kind_of(scope)
        entry = login.read(await read_body(receive), kind)
        old = login.cookie_of(scope, secure=secure).decode("latin-1")
        work = partial(keeper.login, entry.user, entry.password, sender.address_of(scope), old=old)
        secret = await self._logging_in(work)
        form = kind != "application/json"
        if secret is not None:
            await login.entered(send, entry, secret, secure=secure, form=form)
        elif form:
            await login.page(send, 401, after=entry.next, told="Name or password is wrong.", headers=_ASKS_PAGE)
        else:
            raise unknown()

    async def _logging_in(self, work: Callable[[], T]) -> T:
        """Run a slow check, one at a time and not too many behind it: each takes 19 MiB and a core."""
        if self._logins >= LOGINS_WAITING_MAX:
            raise Unavailable("login-busy", "Too many logins wait.", where="login", fix="try again, or use a token")
        self._logins += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._slow, work)
        finally:
            self._logins -= 1

    async def _looked_up(self, work: Callable[[], T]) -> T:
        """Ask the store for somebody who is not remembered, with not too many before him."""
        if self._strangers >= STRANGERS_MAX:
            raise Unavailable("login-busy", "Too many unknown callers wait.", where="login", fix="try again")
        self._strangers += 1
        try:
            return await self._in_thread(work)
        finally:
            self._strangers -= 1

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # --------------------------------------------------------------------------------------------------- words
    async def _refuse(self, scope: Scope, send: Send, error: RopewalkError) -> None:
        if error.code == "unauthenticated":
            if self._keeper is not None and scope["method"] in ("GET", "POST") and sender.wants_page(scope):
                workspace, _ = scope[ADDRESSED]
                here = base_of(workspace) * bool(workspace) + str(scope["path"])
                await login.instead(scope, send, here, headers=_ASKS_PAGE)
                return
            headers = _ASKS
        else:
            headers = sender.later(error)
        await self._tell(scope, send, error, headers)


def _verb(allowed: str) -> Invalid:
    return Invalid(
        "method-not-allowed", "This path is not served for that verb.", where="/login", why=f"it takes {allowed}"
    )
