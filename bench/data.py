"""Prints what checking, profiling and comparing a table cost, beside one pass over the same columns in polars alone.

Run: `.venv/bin/python bench/data.py [--quick]`. A table of a million rows and 20 columns, in memory. Each limit is the
faster of polars' two engines. Goals (performance.md): the contract's check within 1.3x of one fused query, the profile
within 1.5x of one pass, drift against a stored profile <= 0.5 s with distances within 0.001 of the exact ones.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from measure.figures import Cell, Sheet, Stopwatch, is_quick

from ropewalk.data.check import check
from ropewalk.data.contract import Contract
from ropewalk.data.infer import infer
from ropewalk.data.profile import Profile, from_json, profile, to_json
from ropewalk.observations.drift import count, distance, from_profile

FLOATS = [f"f{at}" for at in range(12)]
WHOLE = [f"n{at}" for at in range(4)]
TEXTS = [f"c{at}" for at in range(3)]
ALPHA = 0.01
ENGINES: tuple[Literal["in-memory", "streaming"], ...] = ("in-memory", "streaming")


def table(rows: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """Return 12 float columns (two with empty values), 4 whole ones, 3 of text and a flag."""
    dice = np.random.default_rng(seed)
    columns = {name: pl.Series(dice.normal(shift, 1, rows)) for name in FLOATS}
    for name in FLOATS[:2]:
        columns[name] = pl.select(pl.when(pl.Series(dice.random(rows)) < 0.1).then(None).otherwise(columns[name]))[
            "literal"
        ]
    columns |= {name: pl.Series(dice.poisson(20 + 10 * at, rows)) for at, name in enumerate(WHOLE)}
    for at, name in enumerate(TEXTS):
        columns[name] = pl.Series([f"v{value}" for value in dice.integers(0, 5 * 4**at, rows)])
    return pl.DataFrame(columns).with_columns(flag=pl.Series(dice.random(rows) < 0.3))


def fused(contract: Contract) -> list[pl.Expr]:
    """Return the same rules written by hand as one query: what is empty, not finite, out of range or no category."""
    looks: list[pl.Expr] = []
    for column in contract.columns:
        one = pl.col(column.name)
        looks.append(one.null_count().alias(f"{column.name} empty"))
        if column.type in ("int", "float"):
            looks += [one.min().alias(f"{column.name} min"), one.max().alias(f"{column.name} max")]
        if column.type == "float":
            looks.append((one.is_nan() | one.is_infinite()).sum().alias(f"{column.name} finite"))
        if column.categories:
            looks.append((~one.is_in(list(column.categories))).sum().alias(f"{column.name} category"))
    return looks


def one_pass(frame: pl.DataFrame) -> list[pl.Expr]:
    """Return the figures of a profile as one query: moments, distinct values, quantiles, the most frequent names."""
    looks: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        one = pl.col(name)
        looks += [one.null_count().alias(f"{name} empty"), one.n_unique().alias(f"{name} distinct")]
        if dtype.is_numeric():
            looks += [getattr(one, word)().alias(f"{name} {word}") for word in ("min", "max", "mean", "std")]
            looks += [one.quantile(q).alias(f"{name} {q}") for q in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)]
        else:
            looks.append(one.value_counts(sort=True).head(64).implode().alias(f"{name} top"))
    return looks


def drift(kept: bytes, live: pl.DataFrame) -> dict[str, float]:
    """Return each column's distance to a profile that was stored, live rows in 20 clumps as a monitor has them."""
    before = from_json(kept)
    clumps = pl.select(pl.int_range(live.height) * 20 // live.height).to_series()
    found: dict[str, float] = {}
    for column in before.columns:
        reference = from_profile(column)
        found[column.name] = distance(count(live[column.name], clumps, reference), reference, alpha=ALPHA).reading
    return found


def counted(before: Profile, live: pl.DataFrame) -> None:
    """Count live values into a profile's bins with numpy and polars alone: what any comparison has to do."""
    for column in before.columns:
        values = live[column.name]
        if column.edges:
            places = np.searchsorted(np.array(column.edges), values.drop_nulls().to_numpy(), side="right")
            np.bincount(places, minlength=len(column.edges) + 1)
        else:
            values.value_counts()


def exact(first: pl.Series, second: pl.Series) -> float:
    """Return the exact distance of two distribution functions; an empty value lies above every other."""
    one, other = (np.sort(each.fill_null(np.inf).to_numpy()) for each in (first, second))
    places = np.concatenate([one, other])
    below = (np.searchsorted(each, places, side="right") / len(each) for each in (one, other))
    return float(np.abs(np.subtract(*below)).max())


def main(rows: int, rounds: int) -> None:
    sheet, watch = Sheet("data"), Stopwatch()
    train, live = table(rows, 1), table(rows, 2, shift=0.02)
    contract = infer(train.head(max(rows // 10, 1000)), target="flag", slack=0.5)
    kept = to_json(profile(train))
    looks, passes = fused(contract), one_pass(train)
    read: dict[str, float] = {}
    for _ in range(rounds):
        with watch.time("check"):
            report = check(contract, train)
        for engine in ENGINES:
            with watch.time(f"fused {engine}"):
                train.lazy().select(looks).collect(engine=engine)
            with watch.time(f"pass {engine}"):
                train.lazy().select(passes).collect(engine=engine)
        with watch.time("profile"):
            profile(train)
        with watch.time("drift"):
            read = drift(kept, live)
        with watch.time("count"):
            counted(from_json(kept), live)
    lines: list[tuple[Cell, ...]] = []
    for name, ours, least, goal in (
        ("contract check", "check", "fused", "<= 1.3x"),
        ("profile", "profile", "pass", "<= 1.5x"),
        ("drift against a stored profile", "drift", "count", "<= 500 ms"),
    ):
        mine, bound = watch.median(ours), min(watch.median(key) for key in watch.seconds if key.startswith(least))
        lines.append((name, mine * 1e3, bound * 1e3, mine / bound, goal, watch.spread(ours)))
    title = f"{rows:,} rows x {train.width} columns, {pl.thread_pool_size()} threads, median ms"
    sheet.table(title, ("", "ropewalk", "limit", "ratio", "goal", "least-most"), lines)
    off = {name: abs(read[name] - exact(train[name], live[name])) for name in (*FLOATS, *WHOLE)}
    worst = max(off, key=lambda name: off[name])
    sheet.table(
        "what the short profile costs in truth",
        ("", "worst", "goal"),
        [
            (f"distance off the exact one ({worst})", off[worst], "<= 0.001"),
            ("bytes of the stored profile", len(kept), ""),
            ("rules broken in the training table", len(report.violations), ""),
        ],
    )
    sheet.keep()


if __name__ == "__main__":
    if is_quick():
        main(5_000, 1)
    else:
        main(1_000_000, 5)
