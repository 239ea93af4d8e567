"""Plays the flights of 2013 as live traffic: the questions as they are asked, and when each answer becomes known."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import features
import polars as pl
import tables

SEED = 2013
MICROSECONDS_MAX = 60_000_000
"""A question is put up to this long after its row was made, so that times differ; departure is 59 minutes away."""
WEATHER_ENDS = "2013-12-31"
"""The published weather ends on 30 December, and the play with it: a model that was never without weather takes no row
without, and would rightly refuse the year's last day."""
_WHOLE = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One question to the endpoint and the answer the world gives later.

    `asked_at` and `known_at` are microseconds since 1970 in UTC. `late` and `known_at` are None for a flight that never
    landed where it was meant to. `flight_id` names the flight (the entity key); `row` is what the endpoint is sent.
    """

    asked_at: int
    flight_id: str
    row: dict[str, str | int | float | None]
    late: int | None
    known_at: int | None


def questions(month_from: int, month_to: int, share: float = 1.0, seed: int = SEED) -> pl.DataFrame:
    """The same in columns, in order of `asked_at`: `asked_at`, `flight_id`, FEATURES, `known_at`, `late`.

    Each flight is kept with probability `share`; a flight kept at one share is kept at every larger one and at the same
    microsecond, whatever the months, so that acts played apart fit together. ValueError unless 0 < share <= 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"wanted a share above 0 and at most 1, found {share}")
    # The weather and the queue of the first hours come from the day before, so one more month is read and cut off.
    flights = tables.flights(max(month_from - 1, 1), month_to)
    rows = features.build(flights, tables.weather(), tables.planes(), tables.airports())
    months = pl.col("flight_id").str.slice(5, 2).cast(pl.Int64)
    rows = rows.filter(months.is_between(month_from, month_to), pl.col("flight_id") < WEATHER_ENDS)
    return _drawn(rows, share, seed)


def arrivals(month_from: int, month_to: int, share: float = 1.0, seed: int = SEED) -> Iterator[Arrival]:
    """The questions one by one; see `questions` for order, share and errors."""
    rows = questions(month_from, month_to, share, seed)
    asked_at = rows["asked_at"].to_physical().to_list()
    known_at = rows["known_at"].to_physical().to_list()
    sent = rows.select(features.FEATURES).iter_rows(named=True)
    for at, flight_id, row, known, late in zip(
        asked_at, rows["flight_id"], sent, known_at, rows[features.TARGET], strict=True
    ):
        yield Arrival(asked_at=at, flight_id=flight_id, row=row, late=late, known_at=known)


def _drawn(rows: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Keeps a share of the flights and delays each question a little, both drawn from the flight's own name."""
    drawn = [_draw(seed, name) for name in rows["flight_id"]]
    wait = pl.duration(microseconds=pl.col("wait") * MICROSECONDS_MAX // _WHOLE)
    return (
        rows.with_columns(
            pl.Series("kept", [kept for kept, _ in drawn], dtype=pl.Int64),
            pl.Series("wait", [wait for _, wait in drawn], dtype=pl.Int64),
        )
        .filter(pl.col("kept") < share * _WHOLE)
        .with_columns((pl.col("asked_at") + wait).alias("asked_at"))
        .drop("kept", "wait")
        .sort("asked_at", "flight_id")
    )


def _draw(seed: int, name: str) -> tuple[int, int]:
    """Two even draws below 2**32 that depend on nothing but the seed and the name."""
    drawn = blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn[:4], "big"), int.from_bytes(drawn[4:], "big")
