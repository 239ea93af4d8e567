"""Asks an endpoint on this machine over HTTP, one connection kept open, and times the answers."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from ropewalk.errors import Refused

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES_MAX = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        body: its bytes, or why there was no answer.
        seconds: from the first byte sent to the last one read.
    """

    status: int
    body: bytes
    seconds: float

    def value(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return the body as JSON, or None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Caller:
    """One connection to an endpoint on loopback.

    Args:
        url: such as `http://127.0.0.1:41234`.

    Raises:
        Refused: the address is not on this machine: quality assurance never loads somebody else's server.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        if parts.scheme != "http" or not _is_loopback(self._host):
            raise Refused(
                "qa-not-loopback",
                "Quality assurance asks endpoints on this machine only.",
                where=f"host {self._host}",
                why="load on another machine is an attack",
            )
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        """Send a request and return the answer; a connection that broke gives status 0, never an exception.

        Args:
            method: HTTP method.
            path: with its leading slash.
            body: JSON-able, or bytes that are sent as they are; None for no body.
        """
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        begun = time.perf_counter()
        try:
            connection = self._connection or self._open()
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            found = answer.read(ANSWER_BYTES_MAX)
            seconds = time.perf_counter() - begun
            if answer.will_close:
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Reply(status=0, body=str(error).encode(), seconds=time.perf_counter() - begun)
        return Reply(status=answer.status, body=found, seconds=seconds)

    def _open(self) -> http.client.HTTPConnection:
        self._connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
        return self._connection


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
