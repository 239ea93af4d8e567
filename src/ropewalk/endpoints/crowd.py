"""The open connections of a server: how many there may be, from whom, and who has to go where there is no room."""

from __future__ import annotations

import ipaddress
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ropewalk.endpoints.admission import Admission

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


class Member(Protocol):
    """Whoever takes a place."""

    @property
    def waits(self) -> bool:
        """Whether nothing is under way, so that the place may be given to another."""
        ...

    def drop(self) -> None:
        """End it at once, to make room."""
        ...


class Crowd:
    """The open connections of one server, by address; newcomers take the places of those that only wait.

    Args:
        limits: how many there may be.
        admission: judges requests before they are parsed; all are let in when None.
    """

    def __init__(self, limits: Limits, admission: Admission | None = None) -> None:
        self.limits = limits
        self.admission = admission
        self._all: dict[Member, None] = {}
        self._by_address: dict[str, dict[Member, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, connection: Member, address: str) -> bool:
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

    def leave(self, connection: Member, address: str) -> None:
        """Let a connection go; nothing happens when it has left before."""
        self._all.pop(connection, None)
        own = self._by_address.get(address)
        if own is not None:
            own.pop(connection, None)
            if not own:
                del self._by_address[address]


class Away:
    """The place of a connection that a data plane has; taking it is tried there."""

    waits = True

    def __init__(self, crowd: Crowd, address: str, drop: Callable[[], None]) -> None:
        self._crowd, self._address, self._drop = crowd, address, drop

    def drop(self) -> None:
        """Have it ended, to make room."""
        self.free()
        self._drop()

    def free(self) -> None:
        """Give the place up."""
        self._crowd.leave(self, self._address)


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
