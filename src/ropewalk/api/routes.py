"""A route is a row: from the same table come the handlers, the checks of their input and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ropewalk.access.roles import APPROVE, Caller, everything
from ropewalk.endpoints.guard import JSON_DEPTH_MAX, depth_within
from ropewalk.endpoints.problems import Scope, status_of
from ropewalk.endpoints.requests import ROUTE
from ropewalk.errors import Invalid, Refused, RopewalkError
from ropewalk.house import House

JSON = "application/json"
KEY = "idempotency-key"
KEY_LETTERS_MAX = 200
# Where the gate leaves who asks.
CALLER = "ropewalk.caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a caller asked, checked.

    Attributes:
        house: the open project; its actor is the caller.
        caller: who asks, with what he may do.
        path: values from the address.
        query: values behind the question mark, each named by the route.
        body: the decoded body, of the route's type, or None.
        headers: of the request, by their names in small letters.
        raw: the body as it came.
    """

    house: House
    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    raw: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One route.

    Attributes:
        method: HTTP verb.
        path: with `{name}` or `{name:path}` for values.
        summary: what it does, for the document.
        answer: does it; sync, runs in a thread.
        result: type of the answer, for the document; None for bytes, which come as a response of their own.
        action: what the caller's role has to allow.
        query: names and meanings of the query values.
        body: type of the JSON body, or None.
    """

    method: str
    path: str
    summary: str
    answer: Callable[[Ask], object]
    result: Any
    action: str
    query: Mapping[str, str]
    body: type | None = None


def key_of(ask: Ask, *names: str) -> str:
    """Return what a caller says that stays the same when he asks again; empty for nothing.

    Args:
        ask: what he asks.
        names: of headers that may say it, the first one that does counts; `Idempotency-Key` before all.

    Raises:
        Invalid: it is too long to be kept.
    """
    key = next((ask.headers[word] for word in (KEY, *names) if ask.headers.get(word)), "")
    if len(key) > KEY_LETTERS_MAX or "\0" in key:
        raise Invalid("trigger-key-long", "The key is too long.", why=f"at most {KEY_LETTERS_MAX} letters")
    return key


def starlette_routes(house: House, doors: tuple[Door, ...]) -> list[Route]:
    """Return Starlette's routes of a table."""
    return [Route(door.path, partial(_serve, house, door), methods=[door.method]) for door in doors]


def json_response(value: object, status: int = 200) -> Response:
    """Return any record, list or mapping as JSON."""
    return Response(msgspec.json.encode(value), status, media_type=JSON)


def problem_response(error: RopewalkError) -> Response:
    """Return an error as JSON with the status of its kind."""
    headers = {"Retry-After": "1"} if error.kind == "unavailable" else None
    return Response(msgspec.json.encode(error.record()), status_of(error), headers=headers, media_type=JSON)


async def _serve(house: House, door: Door, request: Request) -> Response:
    request.scope[ROUTE] = door.path
    try:
        caller = require(request.scope, door.action, house)
        if caller.name != house.site.actor:
            house = replace(house, site=replace(house.site, actor=caller.name))
        raw = b"" if door.body is None else await request.body()
        body = None if door.body is None else _decode(door.body, request, raw)
        ask = Ask(
            house=house,
            caller=caller,
            path=request.path_params,
            query=_known(door, request),
            body=body,
            headers=request.headers,
            raw=raw,
        )
        found = await run_in_threadpool(door.answer, ask)
        return found if isinstance(found, Response) else json_response(found)
    except RopewalkError as error:
        return problem_response(error)


def require(scope: Scope, action: str, house: House) -> Caller:
    """Return the caller when his role allows an action; without a gate around the app he is who works here.

    Raises:
        Refused: no role of his does.
    """
    caller = cast("Caller | None", scope.get(CALLER)) or everything(house.site.actor)
    if not allowed(caller, action):
        raise refused(caller, action, f"{scope['method']} {str(scope['path'])[:200]}")
    return caller


def allowed(caller: Caller, action: str) -> bool:
    """Say whether a caller may come to a route: an approver of any environment may, and his word is looked at there."""
    return caller.may_anywhere(action) if action == APPROVE else caller.may(action)


def refused(caller: Caller, action: str, where: str, environment: str = "") -> Refused:
    """Return the error of a caller without the role that an action wants."""
    return Refused(
        "role-insufficient",
        "Your role does not allow this.",
        where=where,
        why=f"{caller.name} has no role that may {action} in {environment or caller.environment}",
        fix="ask an administrator: ropewalk user grant",
    )


def _known(door: Door, request: Request) -> dict[str, str]:
    given = dict(request.query_params)
    unknown = sorted(set(given) - set(door.query))
    if unknown:
        raise Invalid(
            "request-malformed",
            "The address has a value that this route does not know.",
            where=door.path,
            why=f"unknown: {', '.join(name[:80] for name in unknown)}; known: {', '.join(door.query) or 'none'}",
            fix="see /docs",
        )
    return given


def _decode(kind: type, request: Request, data: bytes) -> object:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != JSON:
        raise Invalid(
            "request-malformed",
            "The body must be JSON.",
            where=request.url.path,
            why=f"Content-Type is {media[:80] or 'missing'!r}",
            fix=f"send Content-Type: {JSON}",
        )
    if not depth_within(data):
        raise Invalid("json-too-deep", "The JSON nests too deep.", where="body", why=f"at most {JSON_DEPTH_MAX} levels")
    try:
        return cast(object, msgspec.json.decode(data, type=kind))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(
            "request-malformed",
            "The body is not what this route takes.",
            where=request.url.path,
            why=str(error),
            fix="see /docs",
        ) from error


def whole_number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Return a query value as a whole number from 0 to `most`.

    Raises:
        Invalid: it is not one.
    """
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) <= most):
        raise Invalid(
            "request-malformed",
            f"{name!r} must be a whole number from 0 to {most}.",
            where=name,
            why=f"found {text[:80]!r}",
            fix=f"{name}={default}",
        )
    return int(text)
