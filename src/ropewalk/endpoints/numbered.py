"""The outermost layer of a server without a gate: each request gets a number, is counted and, if wanted, logged."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from time import perf_counter_ns

from ropewalk.endpoints.guard import REQUEST
from ropewalk.endpoints.problems import App, Message, Receive, Scope, Send
from ropewalk.telemetry.context import CURRENT, HEADER, Current, trace_of


class Numbered:
    """Wraps an ASGI app.

    Args:
        app: what answers.
        note: told of each request with its status, the bytes of its answer and its nanoseconds.
    """

    def __init__(self, app: App, note: Callable[[Scope, int, int, int], None]) -> None:
        self._app = app
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = scope[REQUEST] = secrets.token_hex(8)
        status = sent = 0

        async def dressed(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", number.encode())]
                message = {**message, "headers": headers}
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        began = perf_counter_ns()
        before = CURRENT.set(Current(number, trace_of(dict(scope["headers"]).get(HEADER))))
        try:
            await self._app(scope, receive, dressed)
        finally:
            CURRENT.reset(before)
            self._note(scope, status, sent, perf_counter_ns() - began)
