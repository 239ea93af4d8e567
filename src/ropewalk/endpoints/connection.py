"""One HTTP connection: its head must come whole, soon and short, and one caller cannot hold all the others' places."""

from __future__ import annotations

import asyncio
import ipaddress
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ropewalk.endpoints.admission import PASSED, Admission
from ropewalk.endpoints.problems import Scope
from ropewalk.errors import Invalid, RopewalkError, Unavailable

# Bytes that frame a body's chunks, and its trailers; a head may be far shorter.
FRAMING_BYTES_MAX = 1 << 20
# What a header costs beside its letters.
HEADER_BYTES = 32
PLACES_MAX = 8192
IPV6_NETWORK_BITS = 64


def _places() -> int:
    """Return how many connections the process's limit of open files has room for beside everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return PLACES_MAX if soft == resource.RLIM_INFINITY else max(64, min(PLACES_MAX, soft * 3 // 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What connections may take.

    Attributes:
        head_seconds_max: from the first wait until a request's head is whole.
        head_bytes_max: of method, address and headers together.
        stall_seconds_max: how long a caller may read nothing of an answer.
        connections_max: at once.
        per_address_max: at once, from one address (one /64 of IPv6).
    """

    head_seconds_max: float = 10.0
    head_bytes_max: int = 64 << 10
    stall_seconds_max: float = 30.0
    connections_max: int = field(default_factory=_places)
    per_address_max: int = field(default_factory=lambda: _places() // 2)


class Crowd:
    """The open connections of one server, by address; newcomers take the places of those that only wait.

    Args:
        limits: how many there may be.
        admission: judges requests before they are parsed; all are let in when None.
    """

    def __init__(self, limits: Limits, admission: Admission | None = None) -> None:
        self.limits = limits
        self.admission = admission
        self._all: dict[Connection, None] = {}
        self._by_address: dict[str, dict[Connection, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, connection: Connection, address: str) -> bool:
        """Take a connection in; say whether there was room, or somebody who only waited could be sent away."""
        own = self._by_address.setdefault(address, {})
        for group, most in ((own, self.limits.per_address_max), (self._all, self.limits.connections_max)):
            if len(group) >= most:
                idle = next((one for one in group if one.waits), None)
                if idle is None:
                    if not own:
                        del self._by_address[address]
                    return False
                idle.drop()
        # An eviction may have emptied and removed the address's own group.
        self._by_address.setdefault(address, own)[connection] = None
        self._all[connection] = None
        return True

    def leave(self, connection: Connection, address: str) -> None:
        """Let a connection go; nothing happens when it has left before."""
        self._all.pop(connection, None)
        own = self._by_address.get(address)
        if own is not None:
            own.pop(connection, None)
            if not own:
                del self._by_address[address]


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with a limit on everything that uvicorn lets grow or last.

    Args:
        crowd: the server's connections.
        given: what uvicorn gives.
    """

    def __init__(self, *given: Any, crowd: Crowd, **more: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*given, **more)
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
        if self._turned_away:
            data = self._after_turning(data)
            if not data:
                return
        admission = self._admission
        if admission is not None and self._between and admission.is_full():
            asked = self._asked
            owed = admission.owed(data) if asked is None or asked.response_complete else PASSED
            if owed != PASSED:
                self._turn_away(admission, owed)
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


def network_of(address: str) -> str:
    """Return by what a caller is counted: his address, or the /64 of IPv6 in which he may have any number of them."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), IPV6_NETWORK_BITS), strict=False))


def _head_too_large(most: int) -> Invalid:
    return Invalid("header-too-large", "The head of the request is too large.", why=f"at most {most} bytes")


def _stopped(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
