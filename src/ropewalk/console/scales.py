"""Axes of plots: where a value stands, which values are worth a tick, and how a tick is written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ropewalk.console.words import at

TICKS = 4
SMALL = 1e-3
LARGE = 1e6
DAY_S = 86_400
HOUR_S = 3600
MINUTE_S = 60
DECADES_MAX = 6
POWER_MAX = 300
LARGEST = 1.7e308
SMALLEST = 1e-300
NARROW = 1e-9
NEAR_ZERO = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A straight or logarithmic way from values to places on a plot.

    Attributes:
        low: the smallest value shown.
        high: the largest, above `low`.
        start: place of `low`, in units of the drawing.
        end: place of `high`.
        log: whether equal factors are equally far apart; `low` is positive then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value; what lies beyond the ends is put on them."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            # Halves first: the span of the largest floats is no float.
            share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return a few round values between the ends."""
        return decades(self.low, self.high) if self.log else rounds(self.low, self.high)


def rounds(low: float, high: float, count: int = TICKS) -> list[float]:
    """Return round values (1, 2 or 5 times a power of ten apart) from `low` to `high`, about `count` of them."""
    rough = (high / 2 - low / 2) / count * 2
    power = math.floor(math.log10(rough)) if rough > 0 and math.isfinite(rough) else 0
    unit = 10.0**power
    step = next((unit * factor for factor in (1, 2, 5) if unit * factor >= rough * 0.99), unit * 10)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, max(0, 2 - power)) for number in range(first, min(last, first + 3 * count) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Return powers of ten from `low` to `high`; the ends where there are fewer than two."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first < 1:
        return [low, high]
    every = max(1, -(-(last - first) // DECADES_MAX))
    return [10.0**power for power in range(first, last + 1, every)]


def spread(values: list[float], start: float, end: float, *, log: bool = False) -> Scale:
    """Return a scale that shows all values with a little air around them.

    Args:
        values: finite numbers, at least one; for a logarithmic scale the positive ones count.
        start: place of the low end.
        end: place of the high end.
        log: whether to be logarithmic; without a positive value it stays straight.
    """
    positive = [value for value in values if value > 0] if log else []
    if positive:
        low, high = math.log10(min(positive)), math.log10(max(positive))
        air = (high - low) * 0.06 if high - low > NARROW else 0.3
        low, high = max(low - air, -POWER_MAX), min(high + air, POWER_MAX)
        return Scale(low=10**low, high=10**high, start=start, end=end, log=True)
    low, high = min(values), max(values)
    air = (high / 2 - low / 2) * 0.24
    # What no float can divide is shown as one value.
    air = air if air > abs(high) * NARROW and air > SMALLEST else abs(high) * 0.1 or 1.0
    bottom = 0.0 if 0 <= low <= (high - low) * NEAR_ZERO else low - air
    return Scale(low=max(bottom, -LARGEST), high=min(high + air, LARGEST), start=start, end=end)


def exact(low: float, high: float, start: float, end: float) -> Scale:
    """Return a straight scale from end to end, without air."""
    return Scale(low=low, high=high if high > low else low + (abs(low) * 1e-6 or 1.0), start=start, end=end)


def short_number(value: float) -> str:
    """Return a number as a tick says it: `0.25`, `12,000`, `3e-07`."""
    if value == 0:
        return "0"
    if not SMALL <= abs(value) < LARGE:
        return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def short_span(seconds: float) -> str:
    """Return a span of seconds as a tick says it: `40 s`, `5 min`, `2.5 h`, `3 d`."""
    for size, word in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {word}"
    return f"{seconds:.3g} s"


def short_time(at_us: float, span_us: float) -> str:
    """Return a point in time as a tick says it, a day or a time by how much the axis spans (both microseconds)."""
    text = at(int(at_us))
    if span_us > 3 * DAY_S * 1e6:
        return text[:10]
    return text[5:16] if span_us > DAY_S * 1e6 else text[11:19]
