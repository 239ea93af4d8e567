"""The time that schedules go by: a wall clock that leaps is not believed until it has stayed where it is."""

from __future__ import annotations

from ropewalk.clock import Clock

# Time servers correct by less than this; who is off by more was set by hand, or stood still.
STEP_US = 60_000_000
BELIEVED_SECONDS = 600.0


class Steady:
    """Follows a clock, and goes on by the monotonic one while the wall clock has leapt.

    A clock that leaps ahead by a year for five minutes starts nothing early; one that leaps back starts nothing twice.
    After ten minutes the wall clock is believed: what it has leapt over counts as missed.

    Args:
        clock: the machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall, self._mono = clock.now_us(), clock.monotonic()
        self._doubt: tuple[float, int] | None = None

    def now_us(self) -> int:
        """Return the time that is believed, microseconds since the epoch."""
        wall, mono = self._clock.now_us(), self._clock.monotonic()
        expected = self._wall + round((mono - self._mono) * 1_000_000)
        off = wall - expected
        if abs(off) > STEP_US:
            if self._doubt is None or abs(off - self._doubt[1]) > STEP_US:
                self._doubt = (mono, off)
            if mono - self._doubt[0] < BELIEVED_SECONDS:
                return expected
        self._wall, self._mono, self._doubt = wall, mono, None
        return wall

    @property
    def leapt_us(self) -> int:
        """By how much the wall clock is off what is believed; 0 while it is believed."""
        return 0 if self._doubt is None else self._doubt[1]
