"""Turns a write away before anything of it is looked at, while more writes wait than can be done in time.

It stands before the gate, since to know a caller costs three times as much as to turn him away; it does nothing and
tells nobody anything but that the server is busy. Nearly all are turned away before that, by their first bytes
(`endpoints/admission.py`); what cannot be read there, such as a head in two pieces, is turned away here.
"""

from __future__ import annotations

from http import HTTPStatus

from ropewalk.api.addressed import HEADER
from ropewalk.api.mlflow.dispatch import Dispatch
from ropewalk.api.mlflow.problems import answer_of
from ropewalk.api.mlflow.room import RETRY_SECONDS, busy
from ropewalk.endpoints.admission import Admission
from ropewalk.endpoints.problems import JSON_HEADERS, Message, Scope, Send

_STATUS, _BODY = answer_of(busy("more requests wait already than can be done in time"))
_HEAD: Message = {
    "type": "http.response.start",
    "status": _STATUS,
    "headers": [
        *JSON_HEADERS,
        (b"retry-after", str(RETRY_SECONDS).encode()),
        (b"content-length", str(len(_BODY)).encode()),
    ],
}
_REST: Message = {"type": "http.response.body", "body": _BODY}
RETRY_SECONDS_MAX = 10


def refusal(seconds: int) -> bytes:
    """Return the whole answer that tells a caller to come again after so many seconds."""
    status, body = answer_of(busy("more requests wait already than can be done in time", seconds))
    lines = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode())]
    lines += [b"%b: %b" % pair for pair in JSON_HEADERS]
    lines += [b"retry-after: %d" % seconds, b"content-length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


def admission_of(dispatch: Dispatch) -> Admission:
    """Return what judges writes of the server's own project by their first bytes."""
    refusals = [refusal(seconds) for seconds in range(1, RETRY_SECONDS_MAX + 1)]
    return Admission(
        lines=dispatch.writes(), apart=HEADER, refusals=refusals, pace=dispatch.pace, turn=dispatch.take_turns
    )


def is_shed(dispatch: Dispatch, scope: Scope) -> bool:
    """Say whether a request is a write of the server's own project that would wait too long."""
    return (
        dispatch.is_full()
        and dispatch.is_write(scope["method"], scope["path"])
        and all(name != HEADER for name, _ in scope["headers"])
    )


async def shed(send: Send) -> None:
    """Answer that the server is busy; what the caller still sends is not read."""
    await send(_HEAD)
    await send(_REST)
