"""Drift: how far live values lie from reference values, and how much of that chance alone can do.

Distances are the Kolmogorov-Smirnov distance over the reference's histogram for ordered values and the total variation
for named ones; empty values are a bin of their own. Counts of parts add up to counts of the whole.

Bound: the difference of two shares is a mean, and its lower bound Robbins' normal mixture, valid at every look (see
`releases.sequential`), with a part of alpha for each bin in which the largest difference could have been. The total
variation is at least the difference of any single name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ropewalk.data.profile import ColumnProfile
from ropewalk.releases.sequential import Drift, lower_mean

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What values looked like when things were well.

    Attributes:
        ordered: whether bins have an order.
        type: the profile's word for the type.
        edges: ascending cut points, of ordered values.
        names: the named values.
        counts: rows in each bin; the last one is for empty values, the one before, of named values, for other names.
        rows: how many independent rows that is worth.
    """

    ordered: bool
    type: str
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    counts: tuple[int, ...]
    rows: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far live values lie from the reference.

    Attributes:
        name: `ks` or `tv`.
        reading: the distance, 0 to 1.
        low: what of it chance cannot explain at any look.
        psi: the population stability index, for readers who are used to it; it decides nothing.
    """

    name: str
    reading: float
    low: float
    psi: float


def from_profile(column: ColumnProfile) -> Reference:
    """Return the reference that a column of the training snapshot is."""
    if column.edges or column.type in ("int", "float", "datetime"):
        return Reference(
            ordered=True,
            type=column.type,
            edges=column.edges,
            counts=(*(column.counts or (0,)), column.nulls),
            rows=column.rows,
        )
    names, counts = [name for name, _ in column.top], [count for _, count in column.top]
    return Reference(
        ordered=False,
        type=column.type,
        names=tuple(names),
        counts=(*counts, column.other, column.nulls),
        rows=column.rows,
    )


def from_values(values: pl.Series, bins: int, rows: float) -> Reference:
    """Return the reference that earlier live numbers are, cut into bins of about equal shares.

    Args:
        values: numbers; empty ones have a bin of their own.
        bins: how many at most.
        rows: how many independent rows they are worth.
    """
    import polars as pl

    ordered = values.cast(pl.Float64).drop_nulls().drop_nans().sort()
    cuts = sorted({float(ordered[at * len(ordered) // bins]) for at in range(1, bins)}) if len(ordered) else []
    empty = Reference(ordered=True, type="float", edges=tuple(cuts), counts=(0,) * (len(cuts) + 2), rows=rows)
    found = count(values, pl.repeat(0, len(values), eager=True), empty)
    return Reference(ordered=True, type="float", edges=tuple(cuts), counts=_sum(found), rows=rows)


def count(values: pl.Series, clumps: pl.Series, reference: Reference) -> list[tuple[int, ...]]:
    """Return the rows in each bin of the reference, for each clump that has any.

    Args:
        values: live values as they were captured; datetimes may be ISO 8601 text.
        clumps: the number of the clump of each value.
        reference: whose bins.
    """
    import polars as pl

    width = len(reference.counts)
    if reference.ordered:
        numbers = _numbers(values, reference.type)
        edges = pl.Series(reference.edges, dtype=pl.Float64)
        places = edges.search_sorted(numbers.fill_null(0.0), side="right").cast(pl.Int64)
        places = pl.select(pl.when(numbers.is_null()).then(width - 1).otherwise(places)).to_series()
    else:
        texts = (
            values.cast(pl.String)
            if values.dtype != pl.Boolean
            else values.replace_strict({True: "true", False: "false"}, return_dtype=pl.String)
        )
        place = {name: at for at, name in enumerate(reference.names)}
        known = texts.replace_strict(place, default=width - 2, return_dtype=pl.Int64)
        places = pl.select(pl.when(texts.is_null()).then(width - 1).otherwise(known)).to_series()
    found = pl.DataFrame({"clump": clumps, "bin": places}).group_by("clump", "bin").len()
    rows: dict[int, list[int]] = {}
    for clump, at, number in found.iter_rows():
        rows.setdefault(clump, [0] * width)[at] = number
    return [tuple(rows[clump]) for clump in sorted(rows)]


def _numbers(values: pl.Series, kind: str) -> pl.Series:
    import polars as pl

    if kind == "datetime" and values.dtype == pl.String:
        values = values.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if values.dtype == pl.Date:
        values = values.cast(pl.Datetime("us"))
    if isinstance(values.dtype, pl.Datetime):
        values = values.dt.epoch("us")
    return values.cast(pl.Float64, strict=False).fill_nan(None)


def distance(clumps: Sequence[Sequence[int]], reference: Reference, *, alpha: float, scale: float = 0.1) -> Distance:
    """Return the distance of live counts to the reference, with what chance cannot explain.

    Args:
        clumps: counts from `count`, one for each clump.
        reference: what they are held against.
        alpha: chance, over all looks at this window, that `low` is above the true distance.
        scale: a distance that one expects.
    """
    live = _sum(clumps)
    rows, known = sum(live), sum(reference.counts)
    if not rows or not known:
        return Distance(name="ks" if reference.ordered else "tv", reading=0.0, low=0.0, psi=0.0)
    p, q = [each / rows for each in live], [each / known for each in reference.counts]
    if reference.ordered:
        name, reading, chosen = "ks", *_ks(p, q)
    else:
        name, reading = "tv", 0.5 * sum(abs(a - b) for a, b in zip(p, q, strict=True))
        chosen = [max(range(len(p)), key=lambda at: abs(p[at] - q[at]))]
    # Any of the bins could have been the place; each of them, on either side, has its part of alpha.
    part = alpha / (2 * len(p))
    gap = abs(sum(p[at] - q[at] for at in chosen))
    share, before = sum(p[at] for at in chosen), sum(q[at] for at in chosen)
    factor = clump_factor([(sum(each[at] for at in chosen), sum(each)) for each in clumps], part)
    # Half a row more and less, so that a share of nothing is not taken for certain.
    variance = _spread_of(share, rows / factor) + _spread_of(before, reference.rows)
    low = lower_mean(Drift(pull=gap / variance, information=1.0 / variance), scale, part)
    return Distance(name=name, reading=reading, low=max(low, 0.0), psi=_psi(p, q))


def _spread_of(share: float, rows: float) -> float:
    softened = (share * rows + 0.5) / (rows + 1.0)
    return softened * (1.0 - softened) / rows


def clump_factor(clumps: Sequence[tuple[float, int]], alpha: float) -> float:
    """Return how many rows weigh as much as one independent row, at least 1: the design effect of a share.

    Args:
        clumps: hits and rows of each clump.
        alpha: the chance of error that it is meant for; few clumps know their own spread badly, far out above all.
    """
    full = [(hits, rows) for hits, rows in clumps if rows]
    total = sum(rows for _, rows in full)
    share = sum(hits for hits, _ in full) / total if total else 0.0
    alone = total * share * (1.0 - share)
    if len(full) < 2 or alone <= 0.0:  # noqa: PLR2004 - one clump has nothing to vary against
        return 1.0
    between = spread([hits - rows * share for hits, rows in full])
    return 1.0 + max(between / alone - 1.0, 0.0) * student_excess(len(full), alpha)


def spread(sums: Sequence[float]) -> float:
    """Return the variance of the total of centred sums, in order of time, where neighbours may resemble each other.

    Newey and West's estimate with one lag of full weight, never below what independent clumps would give.
    """
    number = len(sums)
    alone = sum(each**2 for each in sums)
    beside = 2.0 * sum(one * other for one, other in itertools.pairwise(sums))
    return (alone + max(beside, 0.0)) * number / (number - 1)


def student_excess(clumps: int, alpha: float) -> float:
    """Return how much larger a variance has to be taken that was estimated between so many clumps.

    Neighbours that may resemble each other leave about two thirds of the degrees of freedom.
    It is the squared ratio of Student's to the normal quantile, by Wallace's approximation ("Bounds on normal
    approximations to Student's and the chi-square distributions", 1959) at the quantile `sqrt(2 ln(1 / alpha))`.
    """
    freedom = max(2 * (clumps - 1) // 3, 1)
    square = 2.0 * math.log(1.0 / alpha)
    shrink = ((8.0 * freedom + 3.0) / (8.0 * freedom + 1.0)) ** 2
    return freedom * math.expm1(min(square * shrink / freedom, 50.0)) / square


def _ks(p: Sequence[float], q: Sequence[float]) -> tuple[float, list[int]]:
    """Return the largest difference of the distribution functions, and the bins below the place where it is."""
    best, place, above, below = 0.0, 0, 0.0, 0.0
    for at, (a, b) in enumerate(zip(p, q, strict=True)):
        above, below = above + a, below + b
        if abs(above - below) > best:
            best, place = abs(above - below), at
    return best, list(range(place + 1))


def _psi(p: Sequence[float], q: Sequence[float]) -> float:
    small = 1e-4
    return sum(
        (max(a, small) - max(b, small)) * math.log(max(a, small) / max(b, small)) for a, b in zip(p, q, strict=True)
    )


def _sum(clumps: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*clumps, strict=True))
