"""A line to a server that can go silent, break, and come back: a proxy of one machine."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

BYTES = 1 << 16


class Line:
    """Carries bytes both ways until it is told otherwise.

    Attributes:
        port: where it listens on this machine.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._flowing = threading.Event()
        self._flowing.set()
        self._ended = False
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def silent(self) -> None:
        """Carry nothing any more, and say nothing of it."""
        self._flowing.clear()

    def well(self) -> None:
        """Carry again."""
        self._flowing.set()

    def reset(self) -> None:
        """Break every connection that stands."""
        for one in list(self._open):
            with suppress(OSError):
                # With nothing to linger for, the close that follows sends a reset.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Listen no more."""
        self._ended = True
        self.well()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.reset()
        self._thread.join(10)

    def _accept(self) -> None:
        while not self._ended:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        server = None
        try:
            self._flowing.wait()
            server = socket.create_connection(self._server)
            self._open |= {caller, server}
            other = {caller: server, server: caller}
            while True:
                for one in select.select([caller, server], [], [])[0]:
                    self._flowing.wait()
                    data = one.recv(BYTES)
                    if not data:
                        return
                    other[one].sendall(data)
        except (OSError, ValueError):
            return
        finally:
            for one in (caller, server):
                if one is not None:
                    self._open.discard(one)
                    one.close()


@contextmanager
def line_to(url: str) -> Iterator[tuple[Line, str]]:
    """Put a line before a database; give it with the address that leads through it."""
    parts = urlsplit(url)
    line = Line(parts.hostname or "127.0.0.1", parts.port or 5432)
    host = f"{parts.hostname or '127.0.0.1'}:{parts.port or 5432}"
    try:
        yield line, url.replace(host, f"127.0.0.1:{line.port}", 1)
    finally:
        line.close()
