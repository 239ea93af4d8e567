"""Whole HTTP answers as bytes, as the home process would send them."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from os import urandom
from typing import Any

from ropewalk.endpoints.problems import JSON_HEADERS, Scope
from ropewalk.endpoints.reply import Pairs, Reply
from ropewalk.endpoints.telling import tell
from ropewalk.errors import RopewalkError

_RETRY: Pairs = ((b"retry-after", b"1"),)
_CLOSE: Pairs = ((b"connection", b"close"),)
_IDS = 512
STATUS_LINE = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}


class Replies:
    """Writes answers.

    Args:
        request_ids: whether each has a number by which the log speaks of it, as behind the gate.
    """

    def __init__(self, *, request_ids: bool) -> None:
        self._request_ids = request_ids
        self._plain = STATUS_LINE[200] + _lines(JSON_HEADERS) + b"content-length: "
        self._numbers: list[str] = []

    def whole(self, reply: Reply, *, close: bool = False) -> bytes:
        """Return the answer of a question that was answered; `close` says that it is the connection's last."""
        head = self._plain
        if reply.headers is not JSON_HEADERS:
            head = STATUS_LINE[200] + _lines(reply.headers) + b"content-length: "
        body = reply.body
        more = self._number() + _lines(_CLOSE) if close else self._number()
        return b"%b%d\r\n%b\r\n%b" % (head, len(body), more, body)

    def refused(self, path: str, error: RopewalkError, *, close: bool = False) -> bytes:
        """Return the refusal of a request to a path, in the words of its protocol."""
        said: list[Any] = []

        async def send(message: Any) -> None:  # noqa: ANN401 - ASGI's
            said.append(message)

        scope: Scope = {"path": path}
        telling: Any = tell(scope, send, error, _RETRY)
        with suppress(StopIteration):  # nothing of it waits
            telling.send(None)
        start, body = said
        headers = (*start["headers"],)
        more = self._number() + (_lines(_CLOSE) if close else b"")
        return b"%b%b%b\r\n%b" % (STATUS_LINE[start["status"]], _lines(headers), more, body["body"])

    def _number(self) -> bytes:
        """Return the line with a request's number; they are drawn many at once."""
        if not self._request_ids:
            return b""
        if not self._numbers:
            drawn = urandom(8 * _IDS).hex()
            self._numbers = [drawn[at : at + 16] for at in range(0, len(drawn), 16)]
        return b"x-request-id: %b\r\n" % self._numbers.pop().encode()


def _lines(pairs: Pairs) -> bytes:
    return b"".join(b"%b: %b\r\n" % pair for pair in pairs)
