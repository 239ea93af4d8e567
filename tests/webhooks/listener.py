"""A server that listens as the receiver of a webhook does: it keeps what it is sent and answers as it is told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One request.

    Attributes:
        line: the request line.
        headers: by name, in small letters.
        body: what was sent.
    """

    line: str
    headers: dict[str, str]
    body: bytes


FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(status: int, *more: str) -> bytes:
    """Return an answer of a status with more header lines."""
    lines = [f"HTTP/1.1 {status} X", "Content-Length: 0", *more]
    return "\r\n".join([*lines, "", ""]).encode()


@dataclass
class Listener:
    """Listens on a port of this machine.

    Attributes:
        answers: what to say, one request after the other; the last one again and again.
        behave: called with the connection instead, where bytes are not enough.
        context: speaks TLS.
        heard: what was sent.
        taken: how many connections came.
    """

    answers: list[bytes] = field(default_factory=lambda: [FINE])
    behave: Callable[[socket.socket], None] | None = None
    context: ssl.SSLContext | None = None
    heard: list[Heard] = field(default_factory=list)
    taken: int = 0

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    @property
    def host(self) -> str:
        """Host and port, as `[webhooks] allow` names them."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address of a hook."""
        return f"http://{self.host}/hook?a=b"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.taken += 1
            try:
                with connection:
                    self._answer(connection)
            except OSError:
                continue

    def _answer(self, connection: Any) -> None:
        if self.behave is not None:
            self.behave(connection)
            return
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as file:
            line = file.readline().decode().strip()
            headers: dict[str, str] = {}
            while text := file.readline().decode().strip():
                name, _, value = text.partition(":")
                headers[name.lower()] = value.strip()
            body = file.read(int(headers.get("content-length", "0")))
            self.heard.append(Heard(line=line, headers=headers, body=body))
            connection.sendall(self.answers[min(len(self.heard), len(self.answers)) - 1])
