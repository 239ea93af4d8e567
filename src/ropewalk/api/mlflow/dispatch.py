"""Finds the route of a request, reads what it takes, runs its work where it belongs, and writes the answer."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from ropewalk.api.mlflow.arrivals import Arrivals
from ropewalk.api.mlflow.problems import answer_of
from ropewalk.api.mlflow.room import RETRY_SECONDS, Room
from ropewalk.api.mlflow.route import CALLER, Action, Call, How, Route
from ropewalk.api.mlflow.spending import Till
from ropewalk.endpoints.guard import depth_within, read_body
from ropewalk.endpoints.problems import JSON_HEADERS, Receive, Scope, Send, answer
from ropewalk.endpoints.requests import ROUTE
from ropewalk.errors import Invalid, NotFound, Refused, RopewalkError
from ropewalk.house import House
from ropewalk.refs import digest_of
from ropewalk.site import Site
from ropewalk.store.database import Transaction

READERS = 8
QUERY_FIELDS_MAX = 1000
IDEMPOTENCY_LETTERS_MAX = 200
_BUSY = frozenset((429, 503))
_EMPTY = 204
_RETRY = (*JSON_HEADERS, (b"retry-after", str(RETRY_SECONDS).encode()))
_OURS = frozenset(("internal", "corrupt"))
# The escape of NUL, but not a backslash that is itself escaped before `u0000`.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """A route with what is worked out once."""

    route: Route
    segments: tuple[str, ...]
    decoder: msgspec.json.Decoder[Any] | None
    lists: frozenset[str]

    def match(self, given: tuple[str, ...]) -> dict[str, str] | None:
        """Return the named segments of a path, or None when it is another one's."""
        found: dict[str, str] = {}
        for place, own in enumerate(self.segments):
            if own.endswith(":rest}"):
                found[own[1:-6]] = "/".join(given[place:])
                return found if len(given) > place else None
            if place >= len(given):
                return None
            if own.startswith("{"):
                found[own[1:-1]] = given[place]
            elif own != given[place]:
                return None
        return found if len(given) == len(self.segments) else None


class Dispatch:
    """Serves a table of routes.

    Args:
        house: the open project.
        routes: the table.
        till: asks whether what is added fits the project's quota; None where there is none.
    """

    def __init__(self, house: House, routes: Iterable[Route], *, till: Till | None = None) -> None:
        self._house = house
        self._till = till
        self._exact: dict[str, dict[str, _Bound]] = {}
        self._shaped: list[tuple[str, _Bound]] = []
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="ropewalk-mlflow")
        # Its own threads: what waits for a host or puts a large file together keeps no reader waiting.
        self._slow = ThreadPoolExecutor(READERS, thread_name_prefix="ropewalk-mlflow-slow")
        self._arrivals = Arrivals()
        self._room = Room(house.site.db.pace)
        for route in routes:
            for path in route.paths():
                self._bind(route, path)
        # What names more of a path is asked first: `/traces/search` before `/traces/{trace_id}`.
        self._shaped.sort(key=lambda pair: (any(one.endswith(":rest}") for one in pair[1].segments), pair[0]))
        self._site_of = lru_cache(maxsize=1024)(self._named)

    def close(self) -> None:
        """End the threads, once they have done what they do."""
        self._threads.shutdown()
        self._slow.shutdown()

    def _bind(self, route: Route, path: str) -> None:
        body = route.body
        fields = msgspec.structs.fields(body) if body else ()
        bound = _Bound(
            route=route,
            segments=tuple(path.strip("/").split("/")),
            decoder=msgspec.json.Decoder(body, strict=False) if body else None,
            lists=frozenset(one.encode_name for one in fields if "list[" in str(one.type).lower()),
        )
        if "{" in path:
            self._shaped.append((path.replace("{", "~"), bound))
        else:
            methods = self._exact.setdefault(path, {})
            assert route.method not in methods, f"{route.method} {path} stands twice in the table"
            methods[route.method] = bound

    def _named(self, name: str) -> Site:
        return replace(self._house.site, actor=name)

    def serves(self, path: str) -> bool:
        """Say whether a path is one of the protocol's, known or not."""
        return path.startswith(("/api/2.0/", "/api/3.0/", "/ajax-api/")) or path in self._exact

    def is_full(self) -> bool:
        """Say whether one more write would wait too long."""
        return self._room.is_full(How.WRITE)

    def writes(self) -> frozenset[str]:
        """Return what would wait for the store's writer, such as `POST /a/b`, but for paths with values in them."""
        return frozenset(
            f"{method} {path}"
            for path, methods in self._exact.items()
            for method, bound in methods.items()
            if bound.route.how is How.WRITE
        )

    def pace(self) -> float:
        """Return the seconds that one write takes, as of late."""
        return self._house.site.db.pace()

    def take_turns(self, on: bool) -> float:
        """Let the store's writer work now, and wait for it; return for how many seconds."""
        return self._house.site.db.take_turns(on=on)

    def is_write(self, method: str, path: str) -> bool:
        """Say whether a request would wait for the store's writer; of paths with values in them nothing is said."""
        bound = self._exact.get(path, {}).get(method)
        return bound is not None and bound.route.how is How.WRITE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI; the layers around it have checked who asks and how much he says."""
        try:
            bound, path = self._find(scope)
            scope[ROUTE] = "/" + "/".join(bound.segments)
            caller = scope.get(CALLER)
            _permit(caller, bound.route.action, scope)
            site = self._house.site if caller is None else self._site_of(str(caller.name))
            if bound.route.how is How.STREAM:
                call = Call(site=site, house=self._house, path=path, body=_asked(bound, scope), scope=scope)
                await self._stream(bound.route, call, receive, send)
                return
            self._room.require(bound.route.how)  # its body is still unread
            body = await self._body(bound, scope, receive)
            counted = self._till is not None and self._till.counts_bytes
            call = Call(site=site, house=self._house, path=path, body=body, scope=scope, counted=counted)
            status = bound.route.status
            data = await (self._reckoned if self._asks(bound.route) else self._run)(bound.route, call)
        except RopewalkError as error:
            status, data = answer_of(error)
            if error.kind in _OURS:
                log.exception("%s %s", scope["method"], scope["path"])
        except ConnectionResetError:
            return
        except Exception:
            number = secrets.token_hex(8)
            log.exception("internal error %s at %s %s", number, scope["method"], scope["path"])
            status, data = answer_of(
                RopewalkError("internal", "This is a defect of Ropewalk.", where=number, fix="report it with the log")
            )
        await answer(send, status, b"" if status == _EMPTY else data, _RETRY if status in _BUSY else JSON_HEADERS)

    def _find(self, scope: Scope) -> tuple[_Bound, dict[str, str]]:
        path, method = str(scope["path"]), str(scope["method"])
        method = "GET" if method == "HEAD" and path in self._exact and "HEAD" not in self._exact[path] else method
        known = self._exact.get(path)
        if known is not None:
            if method in known:
                return known[method], {}
            raise _other_verb(scope, known)
        given = _segments(scope)
        verbs: list[str] = []
        for _, bound in self._shaped:
            found = bound.match(given)
            if found is not None:
                if bound.route.method == method:
                    return bound, found
                verbs.append(bound.route.method)
        if verbs:
            raise _other_verb(scope, verbs)
        raise NotFound(
            "route-not-found", "Nothing is served here.", where=path[:200], fix="GET /openapi.json lists what is"
        )

    async def _body(self, bound: _Bound, scope: Scope, receive: Receive) -> Any:  # noqa: ANN401 - the route's struct
        """Return the struct of what was sent."""
        if bound.decoder is None or bound.route.method == "GET":
            return _asked(bound, scope)
        data = await read_body(receive)
        if not data.strip():
            return _asked(bound, scope)
        _require_json(scope)
        if not depth_within(data):
            raise Invalid("json-too-deep", "The JSON nests too deep.", where="body", why="at most 64 levels")
        if b"\0" in data or (rb"\u0000" in data and _NUL.search(data)):
            raise Invalid("text-with-nul", "A text holds a NUL character.", where="body", fix="leave it out")
        try:
            return bound.decoder.decode(data)
        except msgspec.ValidationError as error:
            raise _unfit(scope, error) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
            raise _malformed(scope, str(error)) from error

    async def _stream(self, route: Route, call: Call, receive: Receive, send: Send) -> None:
        if self._till is None:
            await route.work(call, receive, send)
        else:
            await self._till.serve(route, call, receive, send)

    def _asks(self, route: Route) -> bool:
        return self._till is not None and self._till.asks(route)

    async def _reckoned(self, route: Route, call: Call) -> bytes:
        """Return the answer's body; what it adds is reckoned with before, and with certainty after."""
        till = self._till
        assert till is not None, "it asked for this"
        wanted = await till.take(route, call.body)
        try:
            found = await self._run(route, call)
        except BaseException:
            if wanted is not None:
                till.give_back(wanted)
            raise
        till.done(route, call.site.actor, wanted)
        return found

    async def _run(self, route: Route, call: Call) -> bytes:
        how = route.how
        self._room.require(how)  # others have come while the body did
        self._room.begin(how)
        try:
            if how is How.WRITE:
                return await self._write(route, call)
            threads, work = (self._threads, _read) if how is How.READ else (self._slow, _plain)
            return await asyncio.get_running_loop().run_in_executor(threads, work, route, call)
        finally:
            self._room.end(how)

    async def _write(self, route: Route, call: Call) -> bytes:
        key = "" if route.secret else _key(call)
        if key:  # what says something else is no repetition, whatever its key
            said = digest_of(msgspec.json.encode((call.path, call.body)))
            key = f"{route.path} {call.site.actor} {said} {key}"

        def work(tx: Transaction) -> Any:  # noqa: ANN401 - the route's answer
            answered = route.work(tx, call)
            if self._till is not None:
                self._till.require(route, tx)
            return msgspec.to_builtins(answered) if key else _encoded(answered)

        future = call.site.db.submit(work, key=key or None)
        found = await self._arrivals.result(future)
        return found if isinstance(found, bytes) else _encoded(found)


def _read(route: Route, call: Call) -> bytes:
    with call.site.db.read() as reader:
        return _encoded(route.work(reader, call))


def _plain(route: Route, call: Call) -> bytes:
    return _encoded(route.work(call))


def _encoded(value: object) -> bytes:
    """Return an answer's JSON; bytes are JSON already."""
    if isinstance(value, bytes):
        return value
    return b"{}" if value is None else msgspec.json.encode(value)


def _permit(caller: Any, action: Action, scope: Scope) -> None:  # noqa: ANN401 - a record of the room `access`
    """Pass only what the caller's role allows; without authentication there is no caller and all is allowed."""
    if caller is not None and not caller.may(action):
        raise Refused(
            "role-insufficient",
            "Your role does not allow this.",
            where=f"{scope['method']} {str(scope['path'])[:200]}",
            why=f"it needs a role that may {action}",
            fix="ask an administrator: ropewalk user grant",
        )


def _segments(scope: Scope) -> tuple[str, ...]:
    """Return the path's segments, each decoded once, so that an encoded slash stays in its segment."""
    raw = scope.get("raw_path") or str(scope["path"]).encode()
    try:
        return tuple(unquote_to_bytes(part).decode() for part in raw.partition(b"?")[0].strip(b"/").split(b"/"))
    except UnicodeDecodeError as error:
        raise _malformed(scope, "the path is not UTF-8") from error


def _asked(bound: _Bound, scope: Scope) -> Any:  # noqa: ANN401 - the route's struct
    """Return the struct of the query."""
    if bound.route.body is None:
        return None
    given: dict[str, Any] = {}
    try:
        pairs = parse_qsl(
            scope.get("query_string", b"").decode("ascii"),
            keep_blank_values=True,
            max_num_fields=QUERY_FIELDS_MAX,
            errors="strict",
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise _malformed(scope, f"the query cannot be read: {error}") from error
    for name, value in pairs:
        if "\0" in value:
            raise Invalid("text-with-nul", "A text holds a NUL character.", where=name[:80], fix="leave it out")
        if name in bound.lists:
            given.setdefault(name, []).append(value)
        else:
            given[name] = value
    try:
        return msgspec.convert(given, bound.route.body, strict=False)
    except (msgspec.ValidationError, OverflowError) as error:
        raise _unfit(scope, error) from error


def _key(call: Call) -> str:
    """Return the idempotency key that came with a request, or an empty text."""
    for name, value in cast("list[tuple[bytes, bytes]]", call.scope["headers"]):
        if name == b"idempotency-key":
            text = value.decode("latin-1")
            if not 0 < len(text) <= IDEMPOTENCY_LETTERS_MAX:
                raise Invalid(
                    "idempotency-key-invalid",
                    "This cannot be an idempotency key.",
                    where="Idempotency-Key",
                    why=f"a key has 1 to {IDEMPOTENCY_LETTERS_MAX} characters",
                    fix="send a UUID",
                )
            return text
    return ""


def _require_json(scope: Scope) -> None:
    for name, value in scope["headers"]:
        if name == b"content-type":
            if value.partition(b";")[0].strip().lower() != b"application/json":
                raise Invalid(
                    "media-type-unsupported",
                    "The body must be JSON.",
                    where="Content-Type",
                    why=f"found {value[:80].decode('latin-1')!r}",
                    fix="send Content-Type: application/json",
                )
            return
    raise Invalid("media-type-unsupported", "The body must be JSON.", where="Content-Type", why="it is missing")


def _other_verb(scope: Scope, verbs: Iterable[str]) -> Invalid:
    return Invalid(
        "method-not-allowed",
        "This path is not served for that verb.",
        where=f"{scope['method']} {str(scope['path'])[:200]}",
        why=f"it takes {', '.join(sorted(set(verbs)))}",
    )


def _unfit(scope: Scope, error: Exception) -> Invalid:
    return Invalid(
        "field-malformed",
        "A field is not what this route takes.",
        where=str(scope["path"])[:200],
        why=str(error)[:400],
        fix="see /openapi.json",
    )


def _malformed(scope: Scope, why: str) -> Invalid:
    return Invalid(
        "request-malformed",
        "The request is not what this route takes.",
        where=str(scope["path"])[:200],
        why=why[:400],
        fix="see /openapi.json",
    )
