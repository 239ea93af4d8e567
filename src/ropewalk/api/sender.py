"""What a request says of who sends it: from where, over what, and whether a page of ours did."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from ropewalk.endpoints.crowd import network_of
from ropewalk.endpoints.problems import Headers, Scope
from ropewalk.errors import Refused, RopewalkError
from ropewalk.workspaces.account import Throttled


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where requests come from and what they are about.

    Attributes:
        hosts: names besides loopback that may stand in `Host`.
        proxies: addresses whose `X-Forwarded-For` and `-Proto` are believed.
        serving: environment of endpoints and releases.
        tracking: environment of runs, models and traces.
    """

    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    serving: str = "production"
    tracking: str = "dev"


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


def page_before(scope: Scope) -> str:
    """Return the path of the page of this server that a form was sent from; its first page where nothing says that."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    try:
        found = urlsplit(headers.get(b"referer", b"").decode("ascii"))
    except ValueError:
        return "/"
    return found.path if found.netloc.encode() == headers.get(b"host", b"") else "/"


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


def later(error: RopewalkError) -> Headers:
    """Return when whoever was refused may ask again, where time helps."""
    if error.code == "login-locked":
        return ((b"retry-after", b"900"),)
    if isinstance(error, Throttled):
        return ((b"retry-after", str(error.seconds).encode()),)
    return ((b"retry-after", b"1"),) if error.kind == "unavailable" else ()
