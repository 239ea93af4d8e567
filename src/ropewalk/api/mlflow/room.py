"""How many requests wait for the store, and from when on one more is turned away instead of waiting too long."""

from __future__ import annotations

from time import monotonic

from ropewalk.api.mlflow.route import How
from ropewalk.errors import Unavailable

# Beyond these, a request is turned away at once instead of waiting longer than its caller will.
WRITES_WAITING_MAX = 1024
READS_WAITING_MAX = 128
# More than a group of writes waits, and the last that was answered took so long: who comes now would wait longer still.
GROUP_WAITING, WRITE_SECONDS_MAX = 256, 0.5
RETRY_SECONDS = 1


class Room:
    """Counts what is under way, by who does it."""

    def __init__(self) -> None:
        self._waiting = {How.WRITE: 0, How.READ: 0, How.PLAIN: 0}
        self._write_seconds = 0.0

    def is_full(self, how: How) -> bool:
        """Say whether one more would wait too long."""
        waiting = self._waiting[how]
        if how is not How.WRITE:
            return waiting >= READS_WAITING_MAX
        slow = self._write_seconds > WRITE_SECONDS_MAX and waiting >= GROUP_WAITING
        return slow or waiting >= WRITES_WAITING_MAX

    def require(self, how: How) -> None:
        """Pass only what need not wait too long.

        Raises:
            Unavailable: it would.
        """
        if self.is_full(how):
            raise busy(f"{self._waiting[how]} requests wait already")

    def begin(self, how: How) -> float:
        """Count one in; return when."""
        self._waiting[how] += 1
        return monotonic()

    def end(self, how: How, began: float) -> None:
        """Count one out that began then."""
        self._waiting[how] -= 1
        if how is How.WRITE:
            self._write_seconds = monotonic() - began


def busy(why: str) -> Unavailable:
    """Return the error of what was turned away."""
    return Unavailable(
        "server-busy",
        "The server has more to do than it can.",
        why=f"{why}; nothing of this one was done",
        fix=f"send it again after {RETRY_SECONDS} s",
    )
