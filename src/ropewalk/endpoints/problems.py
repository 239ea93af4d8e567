"""How an error answers over HTTP: one map from its kind to a status, one shape of body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from ropewalk.errors import RopewalkError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

# Kinds of `ropewalk.errors`, and the few codes whose status is another one than their kind's.
STATUS_OF_KIND = {
    "invalid": 400,
    "not-found": 404,
    "conflict": 409,
    "refused": 403,
    "corrupt": 500,
    "unavailable": 503,
    "interrupted": 409,
    "missing": 501,
    "internal": 500,
}
STATUS_OF_CODE = {
    "body-too-large": 413,
    "body-too-slow": 408,
    "contract-broken": 422,
    "disk-full": 507,
    "method-not-allowed": 405,
    "encoding-unsupported": 415,
    "login-locked": 429,
    "media-type-unsupported": 415,
    "unauthenticated": 401,
    "server-busy": 429,
    "quota-reached": 507,
    "quota-requests": 429,
}
JSON_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)


def status_of(error: RopewalkError) -> int:
    """Return the HTTP status of an error: by its code where that is special, else by its kind."""
    return STATUS_OF_CODE.get(error.code) or STATUS_OF_KIND.get(error.kind, 500)


async def answer(send: Send, status: int, body: bytes, headers: Headers = JSON_HEADERS) -> None:
    """Send a whole response with its length."""
    given = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send: Send, status: int, value: object, headers: Headers = ()) -> None:
    """Send a JSON response."""
    await answer(send, status, msgspec.json.encode(value), (*JSON_HEADERS, *headers))


async def answer_error(send: Send, error: RopewalkError, headers: Headers = (), /, **more: object) -> None:
    """Send an error as `{"code", "what", "where", "why", "fix"}` with its status.

    Args:
        send: ASGI's.
        error: what went wrong; its words are shown, so they must hold no secret.
        headers: besides the content type, such as `retry-after`.
        more: further members of the body, such as `problems`.
    """
    await answer_json(send, status_of(error), {**error.record(), **more}, headers)
