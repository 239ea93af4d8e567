"""How much of its time a running statement has had: processor time, of this thread and of what it wakes."""

from __future__ import annotations

from time import thread_time


class Share:
    """What a statement may take; SQLite asks after so many of its own steps, and before each regular expression."""

    def __init__(self) -> None:
        self._seconds_max: float | None = None
        self._fresh = False
        self._until = 0.0

    def allow(self, seconds_max: float | None) -> None:
        """Let each statement from now on take so many seconds; None for no end."""
        self._seconds_max = seconds_max

    def renew(self) -> None:
        """Begin a statement."""
        self._fresh = True

    def spend(self, seconds: float) -> None:
        """Reckon with what others took for the running statement."""
        self._until -= seconds

    def over(self) -> bool:
        """Return whether the running statement has had its time."""
        if self._seconds_max is None:
            return False
        if self._fresh:
            self._fresh = False
            self._until = thread_time() + self._seconds_max
            return False
        return thread_time() > self._until
