"""Sends one request to a checked address: connected to the IP that was checked, in bounded time, following nothing."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import cast

from ropewalk.webhooks.target import Target

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
TEXT_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status.
        text: the beginning of the body.
        retry_after: what the header of that name says, or empty.
    """

    status: int
    text: str
    retry_after: str


class _Stream(io.RawIOBase):
    """Reads a socket until a point in time; each read may take only what is left of it."""

    def __init__(self, connected: socket.socket, left: Callable[[], float]) -> None:
        self._socket = connected
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        self._socket.settimeout(self._left())
        return self._socket.recv_into(cast("bytearray", buffer))


class _Reading:
    """What `http.client` takes for a socket: something to read from."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(self._stream)


def post(
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float = TOTAL_SECONDS,
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """Send a body; return what was answered, whatever the status.

    Args:
        target: where to.
        body: what to say.
        headers: besides those that HTTP needs.
        seconds: for all of it, from the first connection to the last byte.
        trust: whose certificates are believed; the machine's own when None.

    Raises:
        OSError: it could not be said, or nobody answered in time.
    """
    until = monotonic() + seconds

    def left() -> float:
        rest = until - monotonic()
        if rest <= 0:
            raise TimeoutError(f"no whole answer within {seconds:g} seconds")
        return rest

    plain = _connected(target, left)
    try:
        plain.settimeout(left())
        if target.scheme == "https":
            context = trust or ssl.create_default_context()
            plain = context.wrap_socket(plain, server_hostname=target.host)
        plain.settimeout(left())
        plain.sendall(_request(target, body, headers))
        return _answer(plain, left)
    except http.client.HTTPException as error:
        raise OSError(f"the answer is not HTTP: {type(error).__name__}") from error
    finally:
        plain.close()


def _connected(target: Target, left: Callable[[], float]) -> socket.socket:
    """Return a connection to the first of the checked addresses that takes one."""
    problem: OSError = OSError("no address")
    for address in target.addresses:
        try:
            return socket.create_connection((address, target.port), timeout=min(CONNECT_SECONDS, left()))
        except OSError as error:
            problem = error
    raise problem


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.authority}", f"Content-Length: {len(body)}"]
    lines += ["Connection: close", "Accept: */*", *(f"{name}: {value}" for name, value in headers.items())]
    assert not any("\r" in line or "\n" in line for line in lines), "headers are ours, and an address was checked"
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _answer(connected: socket.socket, left: Callable[[], float]) -> Answer:
    response = http.client.HTTPResponse(cast("socket.socket", _Reading(_Stream(connected, left))), method="POST")
    try:
        response.begin()
        data = response.read(TEXT_BYTES_MAX)
        return Answer(
            status=response.status,
            text=data.decode("utf-8", "replace"),
            retry_after=response.headers.get("Retry-After", ""),
        )
    finally:
        response.close()
