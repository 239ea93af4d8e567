"""Ends calls to a database server that has gone silent, so that nobody waits for it for ever."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

LOOK_SECONDS = 0.5
SILENT_SECONDS = 3.0


class Call:
    """One connection's line to its server.

    Attributes:
        since: when the running statement was sent, by the monotonic clock; 0 while nothing runs.
    """

    __slots__ = ("fileno", "since")

    def __init__(self, fileno: int) -> None:
        self.fileno = fileno
        self.since = 0.0


class Pulse:
    """Looks at the calls of one database; a statement may take long only while the server answers others.

    Args:
        alive: asks the server for a sign of life, on a connection of its own, within two seconds.
    """

    def __init__(self, alive: Callable[[], bool]) -> None:
        self._alive = alive
        self._calls: set[Call] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def watch(self, fileno: int) -> Call:
        """Look after a connection; the thread that looks starts with the first."""
        call = Call(fileno)
        with self._lock:
            self._calls.add(call)
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._look, name="ropewalk-store-pulse", daemon=True)
                self._thread.start()
        return call

    def leave(self, call: Call) -> None:
        """Look no more after a connection, which is about to be closed."""
        with self._lock:
            self._calls.discard(call)

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            if self._silent() and not self._alive():
                self._cut()

    def _silent(self) -> list[Call]:
        limit = monotonic() - SILENT_SECONDS
        with self._lock:
            return [call for call in self._calls if 0.0 < call.since < limit]

    def _cut(self) -> None:
        """Shut the lines on which somebody still waits: their calls end with a broken connection."""
        for call in self._silent():
            with self._lock, suppress(OSError):
                if call in self._calls and call.since:
                    with socket.socket(fileno=os.dup(call.fileno)) as line:
                        line.shutdown(socket.SHUT_RDWR)
