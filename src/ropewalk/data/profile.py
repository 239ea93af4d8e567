"""A profile: what the values of each column look like, small enough to keep with a model and to compare with later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import polars as pl

from ropewalk.clock import iso
from ropewalk.data.frames import as_polars
from ropewalk.data.kinds import comparable_column, kind_of
from ropewalk.errors import Invalid

BINS_MAX = 64
TOP_MAX = 64
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one column's values look like.

    Attributes:
        name: the column.
        type: `int`, `float`, `bool`, `string`, `datetime` or `other`.
        rows: how many rows.
        nulls: how many are empty; NaN counts as empty.
        infinite: how many are an infinity; they are in the end bins and in no other figure.
        distinct: how many different values.
        min: lowest value; ISO 8601 for a datetime; None without values.
        max: highest value.
        mean: mean of a number column.
        std: standard deviation (of the sample) of a number column.
        quantiles: the values below which the shares `QUANTILES` lie; microseconds since the epoch for a datetime.
        edges: ascending cut points of the histogram, of about equal shares; microseconds for a datetime.
        counts: `len(edges) + 1` numbers of rows: below the first edge, from each edge to below the next, from the last.
        top: the most frequent values of a text or boolean column with their counts.
        other: rows with values that are not in `top`.
    """

    name: str
    type: str
    rows: int
    nulls: int = 0
    infinite: int = 0
    distinct: int = 0
    min: int | float | str | None = None
    max: int | float | str | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    other: int = 0


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a frame looks like.

    Attributes:
        rows: how many rows.
        columns: each column, in order.
    """

    rows: int
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile | None:
        """Return a column by name, or None."""
        return next((column for column in self.columns if column.name == name), None)


def to_json(profile: Profile) -> bytes:
    """Return the profile as JSON that is the same for the same profile."""
    return msgspec.json.encode(profile, order="deterministic")


def from_json(data: bytes | str) -> Profile:
    """Return the profile that JSON says.

    Raises:
        Invalid: it is no profile.
    """
    try:
        return msgspec.json.decode(data, type=Profile)
    except msgspec.DecodeError as error:
        raise Invalid("profile-invalid", "This is not a profile.", why=str(error)) from error


def profile(frame: object) -> Profile:
    """Return what a frame looks like: each column is sorted once, and everything is read off the sorted values.

    Args:
        frame: a polars or pandas frame.
    """
    table = as_polars(frame)
    return Profile(rows=table.height, columns=tuple(_column(table, name) for name in table.columns))


def _column(table: pl.DataFrame, name: str) -> ColumnProfile:
    kind = kind_of(table.schema[name])
    if kind in ("int", "float", "datetime"):
        return _ordered(table, name, kind)
    if kind is None:
        return ColumnProfile(name=name, type="other", rows=table.height, nulls=table[name].null_count())
    return _named(table, name, kind)


def _ordered(table: pl.DataFrame, name: str, kind: str) -> ColumnProfile:
    dtype = table.schema[name]
    values = table.get_column(name)
    if kind == "datetime" or isinstance(dtype, pl.Decimal):
        values = table.select(comparable_column(name, dtype)).to_series()
    nulls = values.null_count()
    if dtype.is_float():
        nulls += int(values.is_nan().sum())
    values = values.sort()
    # Sorted: nulls first, -inf, numbers, inf, NaN last.
    values = values.slice(values.null_count(), len(values) - nulls)
    if not len(values):
        return ColumnProfile(name=name, type=kind, rows=table.height, nulls=nulls)
    edges, distinct = _edges(values)
    finite = values.filter(values.is_finite()) if dtype.is_float() and _has_infinite(values) else values
    spots = [min(len(values) - 1, int(share * len(values))) for share in QUANTILES]
    mean, std = (None, None) if kind == "datetime" else (_number(finite.mean()), _number(finite.std()))
    low, high = _ends(finite, kind)
    return ColumnProfile(
        name=name,
        type=kind,
        rows=table.height,
        nulls=nulls,
        infinite=len(values) - len(finite),
        distinct=distinct,
        min=low,
        max=high,
        mean=mean,
        std=std,
        quantiles=tuple(_finite(float(value)) for value in values.gather(spots).to_list()),
        edges=edges,
        counts=count_bins(values, edges, ordered=True),
    )


def _ends(ordered: pl.Series, kind: str) -> tuple[Any, Any]:
    if not len(ordered):
        return None, None
    low, high = ordered[0], ordered[-1]
    return (iso(low), iso(high)) if kind == "datetime" else (low, high)


def _has_infinite(values: pl.Series) -> bool:
    return math.isinf(values[0]) or math.isinf(values[-1])


def _finite(value: float) -> float:
    """Return a number that JSON can say: an infinity becomes the largest float."""
    return max(-1.7976931348623157e308, min(1.7976931348623157e308, value))


def _number(value: Any) -> float | None:  # noqa: ANN401 - polars says Any
    return None if value is None or not math.isfinite(value) else float(value)


def _edges(values: pl.Series) -> tuple[tuple[float, ...], int]:
    """Return cut points of about equal shares, each a value that occurs, and how many different values there are."""
    changes = values != values.shift()
    distinct = int(changes.sum() or 0) + 1
    if distinct <= BINS_MAX:
        cuts = values.filter(changes.fill_null(value=False))
    else:
        cuts = pl.Series(_cuts(values), dtype=values.dtype).unique().sort()
        cuts = cuts.filter(cuts > values[0])
    # Whole numbers beyond 2**53 may become the same float.
    return tuple(dict.fromkeys(edge for edge in map(float, cuts.to_list()) if math.isfinite(edge))), distinct


def _cuts(values: pl.Series) -> list[Any]:
    """Return values at equal shares; one that fills several shares gets a bin of its own, the others share the rest."""
    spots = _spread(values, BINS_MAX)
    heavy = [value for value, next_ in pairwise([values[0], *spots]) if value == next_]
    heavy = list(dict.fromkeys(heavy))
    if not heavy:
        return spots
    above = values.search_sorted(pl.Series(heavy, dtype=values.dtype), side="right").to_list()
    ends = [values[place] for place in above if place < len(values)]
    light = values.filter(~values.is_in(heavy))
    return heavy + ends + (_spread(light, BINS_MAX - 2 * len(heavy)) if len(light) else [])


def _spread(values: pl.Series, parts: int) -> list[Any]:
    """Return the sorted values at the inner borders of so many equal parts."""
    return values.gather([place * len(values) // parts for place in range(1, parts)]).to_list()


def count_bins(values: pl.Series, edges: Sequence[float], *, ordered: bool = False) -> tuple[int, ...]:
    """Return how many values lie below the first edge, from each edge to below the next, and from the last edge on.

    Counts of parts of a table add up to the counts of the whole. Empty values and NaN are not counted.

    Args:
        values: numbers; datetimes as microseconds since the epoch.
        edges: ascending.
        ordered: the values are sorted and none is empty.
    """
    if not ordered:
        values = values.drop_nulls()
        values = (values.drop_nans() if values.dtype.is_float() else values).sort()
    if not len(edges):
        return (len(values),)
    cuts = pl.Series(edges, dtype=pl.Float64)
    numbers = values if values.dtype == pl.Float64 else values.cast(pl.Float64)
    places = numbers.search_sorted(cuts, side="left").to_list()
    return tuple(after - before for before, after in zip([0, *places], [*places, len(values)], strict=True))


def _named(table: pl.DataFrame, name: str, kind: str) -> ColumnProfile:
    column = table.get_column(name)
    texts = column.cast(pl.String) if kind == "string" else column.cast(pl.UInt8).cast(pl.String)
    found = texts.drop_nulls().value_counts(name="rows ").sort(["rows ", name], descending=[True, False])
    top = tuple((str(value), int(count)) for value, count in found.head(TOP_MAX).iter_rows())
    if kind == "bool":
        top = tuple(("true" if value == "1" else "false", count) for value, count in top)
    nulls = column.null_count()
    return ColumnProfile(
        name=name,
        type=kind,
        rows=table.height,
        nulls=nulls,
        distinct=found.height,
        top=top,
        other=table.height - nulls - sum(count for _, count in top),
    )
