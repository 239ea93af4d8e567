"""A caller's connection in a data plane: plain questions are asked one after the other, and anything else goes home."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from ropewalk.endpoints.heads import BODY_BYTES_MAX, Head, Heads
from ropewalk.endpoints.turn import Question

# Who sends a request this slowly is home's to wait for.
PARTIAL_SECONDS_MAX = 1.0
AHEAD_BYTES_MAX = 64 << 10
RETRY_SECONDS = 0.002
# While this process ends, what may be on its way already is still waited for.
LAST_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What connections may take, as the home process says.

    Attributes:
        body_bytes_max: longest body.
        idle_seconds_max: for how long nothing may be asked.
        stall_seconds_max: how long a caller may read nothing of an answer.
    """

    body_bytes_max: int = BODY_BYTES_MAX
    idle_seconds_max: float = 15.0
    stall_seconds_max: float = 30.0


class Owner(Protocol):
    """The data plane that a connection belongs to."""

    def is_ours(self, head: Head) -> bool:
        """Say whether a head asks this endpoint."""
        ...

    def ask(self, question: Question) -> None:
        """Queue a question."""
        ...

    def forget(self, line: Line) -> None:
        """Note that a caller has gone."""
        ...

    def give_back(self, line: Line, end: int, data: bytes, why: str) -> None:
        """Give a connection back to the home process."""
        ...


class Line(asyncio.Protocol):
    """One connection.

    Args:
        told: what the home process said of it: `id`, `host`, and the `data` that had come.
        plane: whom it belongs to.
        heads: reads heads.
        rules: what it may take.

    Attributes:
        number: by which the home process knows it.
    """

    def __init__(self, told: Mapping[str, Any], *, plane: Owner, heads: Heads, rules: Rules) -> None:
        self.number = int(told["id"])
        self._host: bytes = told["host"]
        self._data: bytes = told["data"]
        self._plane = plane
        self._heads = heads
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._asked: Question | None = None
        self._taken: bytes = b""
        self._since = self._loop.time()
        self._stalled = 0.0
        self._reading = True
        self._leaving = ""
        self._refuse: Callable[[str], bytes] | None = None
        self._gone = False

    @property
    def waits(self) -> bool:
        """Whether nothing is under way."""
        return self._asked is None and not self._data and not self._leaving

    @property
    def is_last(self) -> bool:
        """Whether the next answer is the last one on this connection."""
        return self._refuse is not None and not self._data

    @property
    def asks(self) -> bool:
        """Whether whoever asked is still there."""
        return self._transport is not None and not self._transport.is_closing()

    # ---------------------------------------------------------------------------------------------- asyncio's
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with what had come before."""
        self._transport = cast("asyncio.Transport", transport)
        if self._leaving:
            self.go_home(self._leaving)
        else:
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """End."""
        if not self._gone:
            self._gone = True
            self._plane.forget(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._data:
            self._data += data
        else:
            self._data = data
            self._since = self._loop.time()
        if self._asked is None and not self._stalled:
            self._look()
        elif len(self._data) > AHEAD_BYTES_MAX and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Wait for a caller who does not read, but not for ever."""
        self._stalled = self._loop.time()

    def resume_writing(self) -> None:
        """Go on."""
        self._stalled = 0.0
        self._look()

    # --------------------------------------------------------------------------------------------- questions
    def _look(self) -> None:
        """Ask the next question, if it is whole and one of ours."""
        data = self._data
        if not data or self._asked is not None or self._stalled or self._leaving or not self.asks:
            return
        head, at = self._heads.find(data)
        if head is None and at == 0:
            return
        if head is None or head.host != self._host or head.length > self._rules.body_bytes_max:
            self._turn_away()
            return
        if not self._plane.is_ours(head):
            self._turn_away()
            return
        end = at + head.length
        if len(data) < end:
            return
        if len(data) == end:
            self._taken, self._data = data, b""
        else:
            self._taken, self._data = data[:end], data[end:]
        self._asked = Question(head, self._taken[at:], 0.0, self)
        self._plane.ask(self._asked)

    def answered(self, data: bytes) -> int:
        """Send an answer, and look at what was asked meanwhile; return how many bytes it has."""
        self._asked = None
        transport = self._transport
        if transport is None or transport.is_closing():
            return 0
        transport.write(data)
        self._since = self._loop.time()
        if not self._reading:
            self._reading = True
            transport.resume_reading()
        if self._leaving:
            self.go_home(self._leaving)
        elif self._data:
            self._loop.call_soon(self._look)
        elif self._refuse is not None:
            transport.close()
        return len(data)

    def leave(self, question: Question) -> None:
        """Take a question back: the home process answers it."""
        assert question is self._asked, "it is another one that is asked"
        self._asked = None
        self._data = self._taken + self._data
        self._turn_away()

    def _turn_away(self) -> None:
        """Send what is not ours home; while this process ends there is nobody to send it to."""
        if self._refuse is None or self._transport is None:
            self.go_home("odd")
            return
        head, _ = self._heads.find(self._data)
        self._data = b""
        self._transport.write(self._refuse(head.path if head is not None else ""))
        self._transport.close()

    # ------------------------------------------------------------------------------------------------ leaving
    def go_home(self, why: str) -> None:
        """Give the connection back, as soon as all that was answered has been sent."""
        transport = self._transport
        if self._gone:
            return
        self._leaving = why
        if transport is None or self._asked is not None or transport.is_closing():
            return
        if transport.get_write_buffer_size():
            self._loop.call_later(RETRY_SECONDS, self.go_home, why)
            return
        self._gone = True
        end: int = transport.get_extra_info("socket").fileno()
        self._plane.give_back(self, end, self._data, why)
        self._data = b""
        transport.abort()

    def drain(self, refuse: Callable[[str], bytes]) -> None:
        """End once what has come, or was on its way, is answered; `refuse` tells those who ask anything else."""
        self._refuse = refuse
        self._loop.call_later(LAST_SECONDS, self._end_waiting)

    def _end_waiting(self) -> None:
        if self.waits:
            self.end()

    def end(self) -> None:
        """End it, once all is sent."""
        if self._transport is not None:
            self._transport.close()

    def look_at_clock(self, now: float) -> None:
        """End what has waited for too long, and send home what comes too slowly."""
        if self._transport is None or self._asked is not None:
            return
        if self._stalled:
            if now - self._stalled > self._rules.stall_seconds_max:
                self._transport.abort()
        elif self._data:
            if now - self._since > PARTIAL_SECONDS_MAX and not self._leaving:
                self.go_home("slow")
        elif not self._leaving and now - self._since > self._rules.idle_seconds_max:
            self._transport.close()
