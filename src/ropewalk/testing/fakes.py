"""The few fakes that tests use, public so that everybody uses the same."""

from __future__ import annotations


class SetClock:
    """A clock that stands until it is told to move.

    Args:
        at_us: microseconds since the epoch to start at.
    """

    def __init__(self, at_us: int = 1_767_225_600_000_000) -> None:
        self._at_us = at_us
        self._monotonic = 0.0

    def now_us(self) -> int:
        """Return the time that was set."""
        return self._at_us

    def monotonic(self) -> float:
        """Return seconds that only `advance` moves."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks on."""
        self._at_us += int(seconds * 1_000_000)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, as an administrator or a time server does."""
        self._at_us += int(seconds * 1_000_000)
