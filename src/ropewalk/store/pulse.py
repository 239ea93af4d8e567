"""Ends calls to a database server that has gone silent, so that nobody waits for it for ever."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

LOOK_SECONDS = 0.25
SILENT_SECONDS = 2.0


class Call:
    """One connection's line to its server.

    Attributes:
        since: when the running statement was sent, by the monotonic clock; 0 while nothing runs.
        seconds_max: after so long nobody waits for it any more, for the server would have ended it; 0 for no limit.
    """

    __slots__ = ("fileno", "seconds_max", "since")

    def __init__(self, fileno: int, seconds_max: float) -> None:
        self.fileno = fileno
        self.seconds_max = seconds_max
        self.since = 0.0

    def over(self, now: float) -> bool:
        """Return whether its statement has outlived every limit: the line is dead, though the server may live."""
        return bool(self.seconds_max and self.since) and now - self.since > self.seconds_max


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

    def watch(self, fileno: int, seconds_max: float) -> Call:
        """Look after a connection; the thread that looks starts with the first."""
        call = Call(fileno, seconds_max)
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
            silent = self._silent()
            if silent:
                alive = self._alive()
                self._cut([call for call in self._silent() if not alive or call.over(monotonic())])

    def _silent(self) -> list[Call]:
        limit = monotonic() - SILENT_SECONDS
        with self._lock:
            return [call for call in self._calls if 0.0 < call.since < limit]

    def _cut(self, calls: list[Call]) -> None:
        """Shut lines on which somebody still waits: their calls end with a broken connection."""
        for call in calls:
            with self._lock, suppress(OSError):
                if call in self._calls and call.since:
                    with socket.socket(fileno=os.dup(call.fileno)) as line:
                        line.shutdown(socket.SHUT_RDWR)
