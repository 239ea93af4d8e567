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
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
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
        self._address = ""
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._framing = 0

    @property
    def waits(self) -> bool:
        """Whether no request is under way: nothing was asked yet, its head is not whole, or all is answered."""
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
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what is neither a whole head nor body is counted."""
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

    # -------------------------------------------------------------------------------------- parser
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
        """Take the end of a body."""
        if self._asked is not None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._framing = 0
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
