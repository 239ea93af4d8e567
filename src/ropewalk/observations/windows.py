"""Windows of event time: their length, their clumps, and what a monitor last saw in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ropewalk.errors import Invalid
from ropewalk.store.database import Reader, Transaction

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LENGTH = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
# Rows of one morning resemble each other. A window is cut into clumps, and what varies between them is the noise. The
# longest spell of like rows (a day of weather) should be no longer than a clump or two. Simulated, with a calibration
# monitor allowed 1.25 false alarms in 100 years: 0 with spells of one clump, 2 with two, about 35 with four.
CLUMPS = 28
CLUMPS_MIN = 24
YEAR_US = 365.25 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSeen:
    """The newest look at a window.

    Attributes:
        endpoint: where.
        monitor: whose.
        release: whose rows.
        start_us: begin of the window in event time, microseconds since the epoch.
        end_us: its end, not included.
        count: rows (labelled ones, where labels are needed).
        reading: the effect, in the monitor's unit; None while there are too few rows.
        low: lower bound of the size of the effect, valid at every look; 0 when it may be chance.
        threshold: smallest effect that matters.
        says: `few`, `baseline`, `quiet` or `alarm`.
        at_us: when it was looked at.
    """

    endpoint: str
    monitor: str
    release: str
    start_us: int
    end_us: int
    count: int
    reading: float | None
    low: float | None
    threshold: float
    says: str
    at_us: int


def length_us(text: str) -> int:
    """Return the length of a window such as `7d`, `12h`, `30m` in microseconds.

    Raises:
        Invalid: the text is no length.
    """
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise Invalid(
            "window-malformed",
            "This is no length of a window.",
            where="ropewalk.toml [[monitors]]",
            why=f"found {text[:40]!r}; wanted a number with s, m, h, d or w",
            fix='window = "7d"',
        )
    return int(found[1]) * _UNITS[found[2]] * 1_000_000


def start_of(at_us: int, length: int) -> int:
    """Return the begin of the window that a time lies in; windows are counted from the epoch and do not overlap."""
    return at_us // length * length


def put(tx: Transaction, seen: WindowSeen) -> None:
    """Keep the newest look at a window; one that says what the look before said is not written again."""
    place = {"endpoint": seen.endpoint, "monitor": seen.monitor, "release": seen.release, "start_us": seen.start_us}
    before = tx.get(WindowSeen, "observations.window", **place)
    if before is None or replace(before, at_us=seen.at_us) != seen:
        tx.run("observations.window_put", **{name: getattr(seen, name) for name in WindowSeen.__slots__})


def listed(reader: Reader, endpoint: str, monitor: str, count: int = 200) -> list[WindowSeen]:
    """Return what a monitor saw, newest window first: the drift plot."""
    return reader.all(WindowSeen, "observations.windows", endpoint=endpoint, monitor=monitor, count=count)
