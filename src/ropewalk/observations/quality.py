"""Quality over windows of event time: failures, losses and calibration, with bounds that know of clumps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ropewalk.observations.drift import clump_factor, spread, student_excess
from ropewalk.observations.windows import CLUMPS_MIN
from ropewalk.releases.sequential import Drift, lower_mean, lower_rate

if TYPE_CHECKING:
    import polars as pl

TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A difference that was seen in a window.

    Attributes:
        count: rows that were looked at.
        reading: the difference, with its sign.
        low: lower bound of its size at every look; 0 when it may be chance.
    """

    count: int
    reading: float
    low: float


def drift_of(values: pl.Series, clumps: pl.Series, alpha: float) -> Drift:
    """Return the mean of values as a pull with its information; rows of a clump are taken as one another's echo.

    Args:
        values: numbers without empty ones, at least one.
        clumps: the number of the clump of each value.
        alpha: the chance of error that it is meant for.
    """
    import polars as pl

    rows = len(values)
    centre = float(values.mean())  # type: ignore[arg-type]
    alone = float(((values - centre) ** 2).sum()) / max(rows - 1, 1) / rows
    table = pl.DataFrame({"clump": clumps, "value": values - centre}).group_by("clump").agg(pl.col("value").sum())
    sums = table.sort("clump").get_column("value").to_list()
    seen = len(sums)
    between = spread(sums) / rows**2 if seen > 1 else 0.0
    excess = max(between - alone, 0.0) * student_excess(seen, alpha)
    information = 1.0 / max(alone + excess, TINY)
    return Drift(pull=centre * information, information=information)


def size_low(drift: Drift, scale: float, alpha: float) -> float:
    """Return a bound that the size of a difference is above at every look with probability `1 - alpha`."""
    mirrored = Drift(pull=-drift.pull, information=drift.information)
    return max(lower_mean(drift, scale, alpha / 2), lower_mean(mirrored, scale, alpha / 2), 0.0)


def calibration(said: pl.Series, was: pl.Series, clumps: pl.Series, *, scale: float, alpha: float) -> Effect:
    """Return the mean prediction minus the rate of labels.

    Args:
        said: predictions of labelled rows.
        was: their labels as numbers.
        clumps: the number of the clump of each row.
        scale: an effect that one expects.
        alpha: chance, over all looks, that `low` is above the truth.
    """
    drift = drift_of(said - was, clumps, alpha)
    low = size_low(drift, scale, alpha) if clumps.n_unique() >= CLUMPS_MIN else 0.0
    return Effect(count=len(said), reading=drift.estimate, low=low)


def losses(
    live: tuple[pl.Series, pl.Series], before: tuple[pl.Series, pl.Series], *, scale: float, alpha: float
) -> Effect:
    """Return the mean loss minus that of the release's first window; only an increase has a lower bound.

    Args:
        live: losses of labelled rows, and their clumps.
        before: the same of the first window.
        scale: an increase that one expects.
        alpha: chance, over all looks, that `low` is above the truth.
    """
    now, then = drift_of(*live, alpha), drift_of(*before, alpha)
    information = 1.0 / (1.0 / now.information + 1.0 / then.information)
    both = Drift(pull=(now.estimate - then.estimate) * information, information=information)
    low = max(lower_mean(both, scale, alpha), 0.0) if live[1].n_unique() >= CLUMPS_MIN else 0.0
    return Effect(count=len(live[0]), reading=both.estimate, low=low)


def failures(failed: pl.Series, clumps: pl.Series, *, alpha: float) -> Effect:
    """Return the share of failed rows.

    Args:
        failed: whether each row failed.
        clumps: the number of the clump of each row.
        alpha: chance, over all looks, that `low` is above the truth.
    """
    factor = factor_of(failed, clumps, alpha)
    hits, rows = int(failed.sum()), len(failed)
    low = lower_rate(int(hits / factor), max(int(rows / factor), 1), alpha)
    return Effect(count=rows, reading=hits / rows, low=min(low, hits / rows))


def factor_of(hits: pl.Series, clumps: pl.Series, alpha: float) -> float:
    """Return how many rows weigh as much as one independent row, for the share of hits.

    Args:
        hits: whether each row is one.
        clumps: the number of the clump of each row.
        alpha: the chance of error that it is meant for.
    """
    import polars as pl

    table = pl.DataFrame({"clump": clumps, "hits": hits.cast(pl.Int64)}).group_by("clump")
    counted = table.agg(pl.col("hits").sum(), pl.len().alias("rows")).sort("clump")
    return clump_factor([(float(part), int(rows)) for _, part, rows in counted.iter_rows()], alpha)
