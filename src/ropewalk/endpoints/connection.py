"""One HTTP connection: its head must come whole, soon and short, and one caller cannot hold all the others' places."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ropewalk.endpoints.admission import PASSED, Admission
from ropewalk.endpoints.crowd import Away, Crowd, network_of
from ropewalk.endpoints.planes import LENDER, Planes
from ropewalk.endpoints.problems import Scope
from ropewalk.errors import Invalid, RopewalkError, Unavailable

# Bytes that frame a body's chunks, and its trailers; a head may be far shorter.
FRAMING_BYTES_MAX = 1 << 20
# What a header costs beside its letters.
HEADER_BYTES = 32
# So many predictions are answered here before a data plane gets the connection; four times as many after each return.
ANSWERS_MIN = 4
RETURNS_SHIFT_MAX = 20
Lender = tuple[Planes, bytes]


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with a limit on everything that uvicorn lets grow or last.

    Args:
        crowd: the server's connections.
        first: what was read of it before.
        returned: how often a data plane has given it back.
        given: what uvicorn gives.
    """

    def __init__(self, *given: Any, crowd: Crowd, first: bytes = b"", returned: int = 0, **more: Any) -> None:  # noqa: ANN401
        super().__init__(*given, **more)
        self._first, self._returned, self._answers = first, returned, 0
        self._lender: Lender | None = None
        self._crowd = crowd
        self._limits = crowd.limits
        self._admission = crowd.admission
        self._address = ""
        # Between two requests, with what is still to come of one that was turned away, and when that was.
        self._between, self._owed, self._turned_away = True, 0, 0.0
        self._counted = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._framing = 0

    @property
    def waits(self) -> bool:
        """Whether no request is under way: nothing was asked yet, its head is not whole, or all is answered."""
        if self._turned_away and self._admission is not None and self._admission.awaits(self):
            return False
        return self._asked is None or self._asked.response_complete

    @property
    def _asked(self) -> RequestResponseCycle | None:
        """The newest request, or None before the first; uvicorn's annotation leaves the None out."""
        return cast("RequestResponseCycle | None", self.cycle)

    def drop(self) -> None:
        """End it at once, to make room."""
        self._crowd.leave(self, self._address)
        self.transport.abort()

    # ---------------------------------------------------------------------------------------- life
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is room."""
        super().connection_made(transport)
        self._address = network_of(self.client[0] if self.client else "")
        if not self._crowd.enter(self, self._address):
            self._refuse(503, Unavailable("connections-full", "There is no room for another connection."))
            return
        self._watch_head()
        if self._first:
            first, self._first = self._first, b""
            self.data_received(first)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._crowd.leave(self, self._address)
        self._head_timer = _stopped(self._head_timer)
        self._stall_timer = _stopped(self._stall_timer)
        if self._admission is not None:
            self._admission.forget(self)
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what is neither a whole head nor body is counted."""
        if self._lender is not None and self._between and self._handed_over(data):
            return
        if self._turned_away:
            data = self._after_turning(data)
            if not data:
                return
        if self._is_turned_away(data):
            return
        self._framing += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self.waits:
            if self._framing > FRAMING_BYTES_MAX:
                self._refuse(431, _head_too_large(FRAMING_BYTES_MAX))
            return
        if self._framing > self._limits.head_bytes_max:
            self._refuse(431, _head_too_large(self._limits.head_bytes_max))
        elif self._head_timer is None:
            self._watch_head()

    # ------------------------------------------------------------------------------------ data planes
    def _handed_over(self, data: bytes) -> bool:
        """Give the connection to a data plane, if what comes now is for one; nothing was read of it yet."""
        asked, lender = self._asked, self._lender
        if (
            lender is None
            or asked is None
            or not asked.response_complete
            or self._turned_away
            or self.transport.get_write_buffer_size()
            or not lender[0].take(self, self.transport.get_extra_info("socket").fileno(), lender[1], data)
        ):
            return False
        self._unset_keepalive_if_required()
        self.transport.abort()
        return True

    def leave_behind(self, drop: Callable[[], None]) -> Callable[[], None]:
        """Leave, but keep its place for the data plane that has it now; what is returned frees the place."""
        self._crowd.leave(self, self._address)
        away = Away(self._crowd, self._address, drop)
        self._crowd.enter(away, self._address)
        return away.free

    def again(self, end: socket.socket, data: bytes, *, odd: bool) -> None:
        """Make it a connection of this process again, with what a data plane has read of the next request."""
        made = type(self)(
            self.config,
            self.server_state,
            self.app_state,
            crowd=self._crowd,
            first=data,
            returned=self._returned + odd,
        )
        opening = self.loop.create_task(self._open(made, end))
        self.tasks.add(opening)
        opening.add_done_callback(self.tasks.discard)

    async def _open(self, made: Connection, end: socket.socket) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: made, end)
        except OSError:
            end.close()

    def shutdown(self) -> None:
        """End once all is answered."""
        if self._admission is not None:
            self._admission.hurry(self)
        super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection on which nothing is asked any more."""
        left = self._turned_away + self.timeout_keep_alive - self.loop.time()
        if self._turned_away and left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    # ----------------------------------------------------------------------------------- admission
    def write(self, data: bytes) -> None:
        """Send a whole answer that was made elsewhere."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def _is_turned_away(self, data: bytes) -> bool:
        """Turn a request away where too many are inside already, if it is one of those; say whether it was."""
        admission = self._admission
        if admission is None or not self._between or not admission.is_full():
            return False
        asked = self._asked
        owed = admission.owed(data) if asked is None or asked.response_complete else PASSED
        if owed == PASSED:
            return False
        self._turn_away(admission, owed)
        return True

    def _turn_away(self, admission: Admission, owed: int) -> None:
        """Turn a request away that nobody has looked at; the parser never hears of it."""
        self._owed = owed
        self._turned_away = self.loop.time()
        self._head_timer = _stopped(self._head_timer)
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        admission.tell(self, self.loop)

    def _after_turning(self, data: bytes) -> bytes:
        """Return what comes after a request that was turned away: the rest of its body is thrown away."""
        if self._owed:
            gone = min(self._owed, len(data))
            self._owed -= gone
            data = data[gone:]
        if data and self._admission is not None:
            self._admission.hurry(self)  # answers come in the order of the questions
        return data

    def _leave(self) -> None:
        """Count a request out that is answered, or whose caller is gone."""
        if self._counted and self._admission is not None:
            self._counted = False
            self._admission.inside -= 1

    # -------------------------------------------------------------------------------------- parser
    def on_message_begin(self) -> None:
        """Begin a request."""
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Go on to the request itself."""
        head = len(self.url) + sum(len(name) + len(value) + HEADER_BYTES for name, value in self.headers)
        if head > self._limits.head_bytes_max:
            self._refuse(431, _head_too_large(self._limits.head_bytes_max))
            return
        self._head_timer = _stopped(self._head_timer)
        self._framing = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._framing -= len(body)
        if self._asked is not None:  # without one the head was refused
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a body: a request that is whole counts, one that may never be does not."""
        self._between = True
        if self._asked is None:
            return
        admission = self._admission
        if (
            admission is not None
            and not self.waits
            and not self._counted
            and admission.counts(cast("Scope", self._asked.scope))
        ):
            self._counted = True
            admission.inside += 1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._framing = 0
        if self._asked is not None and self.scheme == "http":
            lender: Lender | None = self._asked.scope.get(LENDER)  # type: ignore[assignment]
            self._answers += lender is not None
            # Who brings what a data plane gives back has to show that he does so seldom.
            patient = self._answers >= ANSWERS_MIN << min(2 * self._returned, RETURNS_SHIFT_MAX)
            self._lender = lender if patient else None
        self._leave()
        super().on_response_complete()

    # ------------------------------------------------------------------------------------- writing
    def pause_writing(self) -> None:
        """Wait for a caller who does not read, but not for ever."""
        super().pause_writing()
        self._stall_timer = _stopped(self._stall_timer)
        self._stall_timer = self.loop.call_later(self._limits.stall_seconds_max, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        self._stall_timer = _stopped(self._stall_timer)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        if not self.transport.is_closing():
            self._refuse(400, Invalid("http-malformed", "This is not an HTTP request.", why=msg))

    # -------------------------------------------------------------------------------------- inside
    def _watch_head(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.head_seconds_max, self._head_late)

    def _head_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing() or not self.waits:
            return
        if not self._framing:  # nothing was asked, so nothing is answered
            self.transport.close()
            return
        why = f"at most {self._limits.head_seconds_max:g} seconds"
        self._refuse(408, Invalid("header-too-slow", "The head of the request did not come in time.", why=why))

    def _refuse(self, status: int, error: RopewalkError) -> None:
        body = msgspec.json.encode(error.record())
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINE[status], len(body), body)
        )
        self.transport.close()


def protocol(crowd: Crowd) -> Callable[..., Connection]:
    """Return what uvicorn calls for every new connection."""

    def make(*given: Any, **more: Any) -> Connection:  # noqa: ANN401 - uvicorn's own
        return Connection(*given, crowd=crowd, **more)

    return make


def _head_too_large(most: int) -> Invalid:
    return Invalid("header-too-large", "The head of the request is too large.", why=f"at most {most} bytes")


def _stopped(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
