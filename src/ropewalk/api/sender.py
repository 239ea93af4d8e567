"""What a request says of who sends it: from where, over what, and whether a page of ours did."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from ropewalk.endpoints.connection import network_of
from ropewalk.endpoints.problems import Scope
from ropewalk.errors import Refused


def is_secure(scope: Scope) -> bool:
    """Say whether a request came over TLS."""
    return scope.get("scheme") in ("https", "wss")


def address_of(scope: Scope) -> str:
    """Return the network that a request came from; empty where it has none."""
    client = scope.get("client")
    return network_of(str(client[0])) if client else ""


@lru_cache(maxsize=1024)
def from_here(address: str) -> bool:
    """Say whether a caller is on this machine: one without an address is, for his socket has none."""
    try:
        return not address or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def wants_page(scope: Scope) -> bool:
    """Say whether a person asks, who wants a page."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def require_own_page(scope: Scope) -> None:
    """Pass only what a page of ours sent: a cookie comes along by itself, so it is no proof of a wish.

    Raises:
        Refused: nothing says so.
    """
    for name, value in scope["headers"]:
        if name == b"origin" or (name == b"sec-fetch-site" and value == b"same-origin"):
            return  # the guard has compared it with our own
    raise Refused(
        "origin-foreign",
        "A page of this server has to send this.",
        where="Origin",
        why="a cookie came without an Origin",
        fix="programs send a token: Authorization: Bearer rw_...",
    )
