"""Where a webhook may lead: to a public address over TLS, or to a host that the project allows by name.

A host is looked up once and the address is kept: what is checked is what is connected to, so that a name that resolves
to something else a moment later changes nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from ropewalk.errors import Invalid

URL_LETTERS_MAX = 2000
RESOLVE_SECONDS = 5.0
PORTS = {"https": 443, "http": 80}
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
# What older Pythons call global and is not: protocol assignments, the relays of 6to4, Teredo's and documentation's.
_ODD = tuple(ipaddress.ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20"))
_GLOBAL = ipaddress.IPv6Network("2000::/3")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A checked address.

    Attributes:
        scheme: `https`, or `http` for an allowed host.
        host: as it was written, for TLS and the Host header.
        port: of the server.
        path: with the query.
        addresses: IP addresses to connect to, all of them checked.
    """

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the IP addresses of a host.

    Raises:
        OSError: it has none.
        TimeoutError: nobody answered within five seconds.
    """
    found: list[str] = []
    problems: list[OSError] = []

    def ask() -> None:
        try:
            found.extend(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            problems.append(error if isinstance(error, OSError) else OSError(str(error)))

    # The machine's resolver cannot be told to hurry, so that it is asked beside us.
    thread = threading.Thread(target=ask, name="ropewalk-resolve", daemon=True)
    thread.start()
    thread.join(RESOLVE_SECONDS)
    if problems:
        raise problems[0]
    if thread.is_alive():
        raise TimeoutError(f"no answer within {RESOLVE_SECONDS:g} seconds")
    return tuple(dict.fromkeys(found))


def target_of(url: str, allow: Sequence[str] = (), resolve: Resolve = look_up) -> Target:
    """Return where an address leads, when it may be gone to.

    Args:
        url: the webhook's address.
        allow: hosts, or `host:port`, that may be private and may be spoken to without TLS.
        resolve: returns a host's IP addresses.

    Raises:
        Invalid: it is no such address, or the host is or resolves to a place that is not public.
    """
    parts, port = _taken_apart(url)
    host = str(parts.hostname)
    allowed = {one.lower() for one in allow} & {host, f"{host}:{port}", f"[{host}]:{port}"}
    if parts.scheme == "http" and not allowed:
        _refuse("it is not https, and the host is not in [webhooks] allow")
    try:
        found = resolve(host, port)
        addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in found]
    except (OSError, ValueError) as error:
        _refuse(f"{host} cannot be looked up: {error}")
    if not addresses:
        _refuse(f"{host} has no address")
    for address in addresses:
        if not (is_reachable(address) if allowed else is_public(address)):
            _refuse(f"{host} leads to a place that is not public")
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return Target(
        scheme=parts.scheme, host=host, port=port, path=path, addresses=tuple(str(address) for address in addresses)
    )


def is_public(address: Address) -> bool:
    """Say whether an address is one of the public Internet, looking into those that carry another one."""
    inner = _carried(address)
    if inner is not None:
        return is_public(inner)
    odd = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    if isinstance(address, ipaddress.IPv6Address):
        odd = odd or address not in _GLOBAL
    return address.is_global and not odd and not any(address in network for network in _ODD)


def is_reachable(address: Address) -> bool:
    """Say whether an address may be gone to once its host is allowed: never where clouds keep their keys."""
    inner = _carried(address)
    if inner is not None:
        return is_reachable(inner)
    if address.is_loopback:
        return True
    return not (address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved)


def _carried(address: Address) -> Address | None:
    """Return the IPv4 address inside an IPv6 one, or None."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _taken_apart(url: str) -> tuple[SplitResult, int]:
    if not url.isascii() or re.search(r"[\x00-\x20\x7f\\<>\"{}|^`]", url):
        _refuse("it holds a character that an address does not; write it percent-encoded")
    if len(url) > URL_LETTERS_MAX:
        _refuse(f"it has more than {URL_LETTERS_MAX:,} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        _refuse(str(error))
    if parts.scheme not in PORTS:
        _refuse("it does not begin with https://")
    if parts.username is not None or parts.password is not None:
        _refuse("it holds a user or a password")
    if parts.fragment or "#" in url:
        _refuse("it has a fragment")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or port == 0:
        _refuse("it names no host")
    return parts, PORTS[parts.scheme] if port is None else port


def _refuse(why: str) -> NoReturn:
    raise Invalid(
        "webhook-url-refused",
        "A webhook cannot lead there.",
        where="url",
        why=why[:400],
        fix='allow an internal host by name in ropewalk.toml: [webhooks] allow = ["HOST"]',
    )
