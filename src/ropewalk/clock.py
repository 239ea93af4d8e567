"""The one place that reads the time; everything else takes a Clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time: wall time for records, monotonic time for waiting."""

    def now_us(self) -> int:
        """Return microseconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_us(self) -> int:
        """Return microseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()


def iso(at_us: int) -> str:
    """Return microseconds since the epoch as ISO 8601 in UTC, to the millisecond: `2013-09-01T06:00:00.000Z`."""
    at = datetime.fromtimestamp(at_us / 1_000_000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_us // 1000 % 1000:03d}Z"


def from_iso(text: str) -> int:
    """Return microseconds since the epoch of an ISO 8601 time; a time without a zone is UTC.

    Raises:
        ValueError: the text is not an ISO 8601 time.
    """
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    whole = int(at.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + at.microsecond
