"""What passes between the home process and its data planes: connections, journals, and the terms of both."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ropewalk.endpoints.journal import Journal


class Captures(Protocol):
    """Where journals come from and go to."""

    def lend(self, endpoint: str) -> Journal:
        """Return a new journal for another process to write."""
        ...

    def note(self, rows: int) -> None:
        """Count rows that were written."""
        ...

    def take_back(self, endpoint: str, journal: Journal) -> None:
        """Take a journal that nobody writes any more."""
        ...


class Guest(Protocol):
    """A connection of the home process."""

    def leave_behind(self, drop: Callable[[], None]) -> Callable[[], None]:
        """Leave, but keep its place for whoever has it now; `drop` ends that, and what is returned frees the place."""
        ...

    def again(self, end: socket.socket, data: bytes, *, odd: bool) -> None:
        """Make it a connection of the home process again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every data plane of a gateway is told when it begins.

    Attributes:
        request_ids: whether answers bear a number.
        queue_max: questions that may wait.
        captures: whether what is answered is written down.
        body_bytes_max: longest body.
        idle_seconds_max: for how long nothing may be asked.
        stall_seconds_max: how long a caller may read nothing of an answer.
        open_files: how many files and sockets it may have.
    """

    request_ids: bool
    queue_max: int
    captures: bool
    body_bytes_max: int
    idle_seconds_max: float = 15.0
    stall_seconds_max: float = 30.0
    open_files: int = 0


class Lent:
    """A connection that a data plane has."""

    __slots__ = ("free", "guest")

    def __init__(self, guest: Guest, free: Callable[[], None]) -> None:
        self.guest = guest
        self.free = free
