"""How many requests wait for the store, and from when on one more is turned away instead of waiting too long."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.api.mlflow.route import How
from ropewalk.endpoints.admission import is_too_many
from ropewalk.errors import Unavailable

# Beyond these, a request is turned away at once instead of waiting longer than its caller will.
READS_WAITING_MAX = 128
# Most writes were let in at the server's door, by the same rule: of those only what cannot be foreseen is turned away.
SLACK = 2.0
RETRY_SECONDS = 1


class Room:
    """Counts what is under way, by who does it.

    Args:
        pace: returns the seconds that one write takes the store's writer, as of late.
    """

    def __init__(self, pace: Callable[[], float]) -> None:
        self._waiting = {How.WRITE: 0, How.READ: 0, How.PLAIN: 0}
        self._pace = pace

    def is_full(self, how: How) -> bool:
        """Say whether one more would wait too long."""
        waiting = self._waiting[how]
        if how is How.WRITE:
            return is_too_many(waiting, self._pace(), slack=SLACK)
        return waiting >= READS_WAITING_MAX

    def require(self, how: How) -> None:
        """Pass only what need not wait too long.

        Raises:
            Unavailable: it would.
        """
        if self.is_full(how):
            raise busy(f"{self._waiting[how]} requests wait already")

    def begin(self, how: How) -> None:
        """Count one in."""
        self._waiting[how] += 1

    def end(self, how: How) -> None:
        """Count one out."""
        self._waiting[how] -= 1


def busy(why: str, seconds: int = RETRY_SECONDS) -> Unavailable:
    """Return the error of what was turned away, and shall come again after so many seconds."""
    return Unavailable(
        "server-busy",
        "The server has more to do than it can.",
        why=f"{why}; nothing of this one was done",
        fix=f"send it again after {seconds} s",
    )
