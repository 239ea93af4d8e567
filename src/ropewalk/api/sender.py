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


def believe(scope: Scope, proxies: frozenset[str]) -> None:
    """Take client and scheme from the proxy that stands before the server, and from nobody else."""
    if not scope.get("client") or scope["client"][0] not in proxies:
        return
    headers = dict(scope["headers"])  # the last of each: what the nearest proxy wrote
    client = headers.get(b"x-forwarded-for", b"").rpartition(b",")[2].strip().decode("latin-1")
    if client:
        scope["client"] = (client[:64], 0)
    scheme = headers.get(b"x-forwarded-proto", b"").rpartition(b",")[2].strip().lower()
    if scheme in (b"http", b"https"):
        scope["scheme"] = scheme.decode()
