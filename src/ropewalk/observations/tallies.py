"""What a sealed segment holds for one canary: counts, first events and sums, small and mergeable in any order.

A tally is made of a segment's rows once and never changes: what is told of them later stands in `told`. Merging
tallies gives what counting all rows at once would give: counts add up, of first events the one with the smallest id
stays, and a champion's row meets its shadow's wherever the two were sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import polars as pl

EVENTS = ("error", "invalid", "slow")
# The first outputs of so many units are looked at; both arms stop at the same id, so that their shares stay.
OUTPUTS_MAX = 100_000
VERSION = 2
ROWS = "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What rows hold; units are keys, or the ids of rows without one.

    Attributes:
        counts: `generation`, `role`, `rows` and a count for each of `EVENTS`, of rows that were answered by share.
        firsts: `event`, `unit`, `id`, `generation`, `role`: each unit's first event of a kind.
        outputs: `unit`, `id`, `generation`, `role`, `bin`: each unit's first output.
        paired: `rows` and counts of each event, by the champion and (`.canary`) by its shadow on the same requests.
        apart: `event`, `unit`, `id`, `canary`: each unit's first request on which only one had the event.
        moves: `unit`, `id`, `bin`, `bin.canary`: each unit's first pair of outputs.
        lone: rows of champion and shadow that have not met the other yet; `id` is the champion's row.
    """

    counts: pl.DataFrame
    firsts: pl.DataFrame
    outputs: pl.DataFrame
    paired: pl.DataFrame
    apart: pl.DataFrame
    moves: pl.DataFrame
    lone: pl.DataFrame


def make(rows: pl.DataFrame, climbing: Sequence[int], shadowed: Sequence[int], until: str = "") -> Tally:
    """Return what rows hold.

    Args:
        rows: with `id`, `unit`, `generation`, `role`, `pair`, `error`, `invalid`, `slow`, `bin`.
        climbing: generations in which the candidate had a share.
        shadowed: generations in which the candidate was the champion's shadow.
        until: no output after this id can still be one of the first `OUTPUTS_MAX`; empty when any can.
    """
    import polars as pl

    split = rows.filter(pl.col("role").is_in(["champion", "canary"]) & pl.col("generation").is_in(list(climbing)))
    place = ["generation", "role"]
    events = [
        split.filter(pl.col(event)).select(pl.lit(event).alias("event"), "unit", "id", *place) for event in EVENTS
    ]
    outputs = split.filter(pl.col("bin").is_not_null() & ((pl.col("id") <= until) if until else pl.lit(value=True)))
    flags = ["unit", *EVENTS, "bin"]
    champion = rows.filter((pl.col("role") == "champion") & pl.col("generation").is_in(list(shadowed)))
    shadow = rows.filter((pl.col("role") == "shadow") & pl.col("pair").is_not_null())
    lone = pl.concat(
        [
            champion.select("id", pl.lit(value=False).alias("canary"), *flags),
            shadow.select(pl.col("pair").alias("id"), pl.lit(value=True).alias("canary"), *flags),
        ]
    )
    return _settled(
        counts=split.group_by(place).agg(
            pl.len().cast(pl.Int64).alias("rows"), *(pl.col(name).sum().cast(pl.Int64) for name in EVENTS)
        ),
        firsts=pl.concat(events),
        outputs=outputs.select("unit", "id", *place, "bin"),
        lone=lone,
    )


def merge(tallies: Sequence[Tally]) -> Tally:
    """Return what all of them hold together; at least one."""
    import polars as pl

    if len(tallies) == 1:
        return tallies[0]
    held: dict[str, pl.DataFrame] = {
        field.name: pl.concat([getattr(one, field.name) for one in tallies]) for field in fields(Tally)
    }
    return _settled(**held)


def _settled(
    *,
    counts: pl.DataFrame,
    firsts: pl.DataFrame,
    outputs: pl.DataFrame,
    lone: pl.DataFrame,
    paired: pl.DataFrame | None = None,
    apart: pl.DataFrame | None = None,
    moves: pl.DataFrame | None = None,
) -> Tally:
    """Return a tally in which everything stands once, in an order that the rows alone decide."""
    import polars as pl

    place = ["generation", "role"]
    met, lone = _meet(lone)
    sides = [*EVENTS, *(f"{event}.canary" for event in EVENTS)]
    own = met.select(pl.len().cast(pl.Int64).alias("rows"), *(pl.col(name).sum().cast(pl.Int64) for name in sides))
    aparts = [
        met.filter(pl.col(event) != pl.col(f"{event}.canary")).select(
            pl.lit(event).alias("event"), "unit", "id", pl.col(f"{event}.canary").alias("canary")
        )
        for event in EVENTS
    ]
    moved = met.filter(pl.col("bin").is_not_null() & pl.col("bin.canary").is_not_null())
    moved = moved.select("unit", "id", "bin", "bin.canary")
    return Tally(
        counts=counts.group_by(place).agg(pl.col("rows", *EVENTS).sum()).sort(place),
        firsts=_first(firsts, ["event", "unit"]),
        outputs=_first(outputs, ["unit"]).head(OUTPUTS_MAX),
        paired=_all(own, paired).select(pl.col("rows", *sides).sum()),
        apart=_first(_all(pl.concat(aparts), apart), ["event", "unit"]),
        moves=_first(_all(moved, moves), ["unit"]).head(OUTPUTS_MAX),
        lone=lone,
    )


def _meet(lone: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of champion and shadow that belong together, and those that are still alone."""
    import polars as pl

    champion, shadow = lone.filter(~pl.col("canary")), lone.filter(pl.col("canary"))
    met = champion.join(shadow, on="id", how="inner", suffix=".canary").sort("id")
    if not met.height:
        return met, lone
    return met, lone.filter(~pl.col("id").is_in(met.get_column("id").implode()))


def _all(found: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    import polars as pl

    return found if before is None else pl.concat([before, found])


def _first(rows: pl.DataFrame, unit: list[str]) -> pl.DataFrame:
    return rows.sort("id", *(name for name in unit if name != "unit")).unique(unit, keep="first", maintain_order=True)


def to_bytes(tally: Tally, rows: pl.DataFrame, about: dict[str, Any]) -> bytes:
    """Return a tally as bytes, with the rows that something may be told of and what one has to know of it."""
    frames: dict[str, bytes] = {}
    for name, frame in [(field.name, getattr(tally, field.name)) for field in fields(Tally)] + [(ROWS, rows)]:
        held = BytesIO()
        frame.write_ipc_stream(held, compression="zstd")
        frames[name] = held.getvalue()
    return msgspec.msgpack.encode(_Said(version=VERSION, about=about, frames=frames))


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """A tally's bytes."""

    version: int
    about: dict[str, Any]
    frames: dict[str, bytes]


def from_bytes(data: bytes) -> tuple[Tally, pl.DataFrame, dict[str, Any]] | None:
    """Return a tally, its rows and what was to know of it; None for one that this version does not read."""
    import polars as pl

    try:
        said = msgspec.msgpack.decode(data, type=_Said)
    except msgspec.DecodeError:
        return None
    if said.version != VERSION:
        return None
    found: dict[str, pl.DataFrame] = {name: pl.read_ipc_stream(BytesIO(held)) for name, held in said.frames.items()}
    rows = found.pop(ROWS)
    return Tally(**found), rows, said.about
