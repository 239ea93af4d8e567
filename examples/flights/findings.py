"""Prints every figure of FINDINGS.md: what the models are worth by month, and which signals speak when."""

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import features
import judged
import msgspec
import numpy as np
import polars as pl
import tables
import traffic
import variants
from judged import Trained
from sklearn.metrics import roc_auc_score

from ropewalk.settings import read_settings

PROJECT = Path(__file__).resolve().parent
BINS = 10
SHARES = (0.1, 0.2)
SIGMAS = 4.0
"""A sequential test that looks all the time decides at about this many standard errors (alpha of a few percent)."""
MONTHS = {"Jun": 6, "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10}


def trained(name: str, variant: str = "", **arguments: int) -> Trained:
    """Run the pipeline of a copy of this project with the variant's changes."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "pipeline.py"
        copy.write_bytes((PROJECT / "pipeline.py").read_bytes())
        if variant:
            variants.apply(variant, Path(folder))
        module = _module(f"pipeline_{name}", copy)
    kept: dict[str, Any] = {}
    # The pipeline hands its model over by this name; here it stays in memory.
    module.log_model = lambda model, _name, **rows: kept.update(rows, model=model)  # type: ignore[attr-defined]
    start = time.perf_counter()
    module.train(**arguments)
    seconds = time.perf_counter() - start
    return Trained(name=name, model=kept["model"], train=kept["train"], holdout=kept["holdout"], seconds=seconds)


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def live(month_from: int = 4, month_to: int = 12) -> pl.DataFrame:
    """All questions of these months that got an answer, with `month` and `day` in New York's calendar."""
    rows = features.landed(traffic.questions(month_from, month_to))
    day = pl.col("flight_id").str.slice(0, 10).str.to_date()
    return rows.with_columns(day.alias("day"), day.dt.month().alias("month"))


def table(head: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> None:
    """Print a table in Markdown."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def losses(late: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared error and log loss of each row."""
    return (chance - late) ** 2, -np.log(np.where(late == 1, chance, 1 - chance))


def auc(late: np.ndarray, chance: np.ndarray) -> float:
    """Area under the curve: how often a late flight gets a higher chance than one in time."""
    return float(roc_auc_score(late, chance))


def shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Share of the values in each bin, and of those that are missing; half a count is added to each."""
    counts = np.histogram(values[~np.isnan(values)], edges)[0].astype(float)
    counts = np.append(counts, np.isnan(values).sum()) + 0.5
    return counts / counts.sum()


def edges_of(reference: np.ndarray) -> np.ndarray:
    """Ten bins of equal weight in the reference; a column with few values gets fewer."""
    inner = np.unique(np.nanquantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.concatenate([[-np.inf], inner, [np.inf]])


def psi(reference: np.ndarray, current: np.ndarray) -> float:
    """Population stability index over ten bins of equal weight in the reference, and one for gaps."""
    edges = edges_of(reference)
    before, after = shares(reference, edges), shares(current, edges)
    return float(((after - before) * np.log(after / before)).sum())


def ks(reference: np.ndarray, current: np.ndarray) -> float:
    """Largest distance between the two distribution functions, without gaps."""
    first, second = np.sort(reference[~np.isnan(reference)]), np.sort(current[~np.isnan(current)])
    at = np.concatenate([first, second])
    below = np.searchsorted(first, at, "right") / len(first) - np.searchsorted(second, at, "right") / len(second)
    return float(np.abs(below).max())


def column(rows: pl.DataFrame, name: str) -> np.ndarray:
    """A column as floats, gaps as NaN."""
    return rows[name].cast(pl.Float64).to_numpy()


def print_months(rows: pl.DataFrame, models: list[Trained]) -> None:
    """Each model on each month that it did not learn from."""
    first = {"champion": 4, "retrained": 7, "leaky": 7, "autumn": 9}

    def lines() -> Iterator[tuple[Any, ...]]:
        for model in models:
            for month in range(first[model.name], 13):
                part = rows.filter(pl.col("month") == month)
                late, chance = part["late"].to_numpy(), model.chances(part)
                brier, log = losses(late, chance)
                yield (
                    model.name,
                    month,
                    part.height,
                    f"{late.mean():.3f}",
                    f"{chance.mean():.3f}",
                    f"{chance.mean() - late.mean():+.3f}",
                    f"{auc(late, chance):.3f}",
                    f"{brier.mean():.4f}",
                    f"{log.mean():.4f}",
                )

    print("## By month\n")
    table(("model", "month", "flights", "late", "mean chance", "gap", "AUC", "Brier", "log loss"), lines())


def print_gates(pairs: list[tuple[Trained, Trained]], alone: list[Trained]) -> None:
    """What the quality gate sees: each candidate and the model it would replace, on the candidate's holdout."""

    def lines() -> Iterator[tuple[Any, ...]]:
        for holder, model in [(one, one) for one in alone] + [(new, one) for old, new in pairs for one in (old, new)]:
            late, chance = holder.holdout["late"].to_numpy(), model.chances(holder.holdout)
            brier, log = losses(late, chance)
            worst = max(
                (brier[(holder.holdout[by] == value).to_numpy()].mean() - brier.mean(), f"{by}={value}")
                for by in ("origin", "carrier")
                for value in holder.holdout[by].unique()
                if (holder.holdout[by] == value).sum() >= 200
            )
            yield (
                holder.name,
                model.name,
                len(late),
                f"{auc(late, chance):.3f}",
                f"{brier.mean():.4f}",
                f"{log.mean():.4f}",
                f"{worst[1]} {worst[0]:+.4f}",
            )

    print("## On the holdout of the candidate\n")
    table(("holdout of", "model", "rows", "AUC", "Brier", "log loss", "worst slice (Brier above whole)"), lines())


def print_canaries(rows: pl.DataFrame, pairs: list[tuple[Trained, Trained, int]]) -> None:
    """How far candidate and champion lie apart on live rows, and how many rows show it."""

    def lines() -> Iterator[tuple[Any, ...]]:
        for old, new, month in pairs:
            part = rows.filter(pl.col("month") == month)
            late = part["late"].to_numpy()
            before, after = old.chances(part), new.chances(part)
            for name, place in (("Brier", 0), ("log loss", 1)):
                first, second = losses(late, before)[place], losses(late, after)[place]
                gap = float((second - first).mean())
                paired = SIGMAS**2 * (second - first).var() / gap**2
                apart = SIGMAS**2 * (first.var() + second.var()) / gap**2
                yield (
                    f"{old.name} → {new.name}",
                    month,
                    name,
                    f"{gap:+.4f}",
                    f"{(second - first).std():.3f}",
                    f"{paired:,.0f}",
                    f"{apart:,.0f}",
                    f"{before.mean():.3f} → {after.mean():.3f}",
                    f"{ks(before, after):.2f}",
                )

    print("## Canary\n")
    head = ("candidate", "month", "loss", "difference", "deviation of pairs", "pairs needed", "rows per arm needed")
    table((*head, "mean chance", "KS of chances"), lines())


def windows(
    rows: pl.DataFrame, model: Trained, days: int, start: date, end: date
) -> Iterator[tuple[date, dict[str, float]]]:
    """Every signal over the last `days` days, once a day."""
    chance = model.chances(rows)
    rows = rows.with_columns(pl.Series("chance", chance))
    reference = model.chances(model.train)
    at = start
    while at <= end:
        part = rows.filter(pl.col("day").is_between(at - timedelta(days=days - 1), at))
        late, answers = part["late"].to_numpy(), part["chance"].to_numpy()
        signals = {
            "mean chance - late rate": float(answers.mean() - late.mean()),
            "Brier": float(losses(late, answers)[0].mean()),
            "PSI of chance": psi(reference, answers),
            "KS of chance": ks(reference, answers),
        }
        for name in ("recent_delay", "departures_hour", "temp", "visib"):
            signals[f"PSI of {name}"] = psi(column(model.train, name), column(part, name))
        signals["KS of recent_delay"] = ks(column(model.train, "recent_delay"), column(part, "recent_delay"))
        yield at, signals
        at += timedelta(days=1)


def print_signals(rows: pl.DataFrame, model: Trained, days: int, start: date) -> None:
    """Least and greatest value of each signal by the month in which the window ends."""
    seen = list(windows(rows, model, days, start, date(2013, 10, 31)))

    def lines() -> Iterator[tuple[Any, ...]]:
        for name in seen[0][1]:
            cells = []
            for month in MONTHS.values():
                values = [signals[name] for at, signals in seen if at.month == month]
                cells.append(f"{min(values):+.3f} … {max(values):+.3f}" if values else "")
            yield (name, *cells)

    print(f"## Signals over {days} days: {model.name}\n")
    table(("signal", *MONTHS), lines())


def print_rollouts(pairs: list[tuple[Trained, Trained, int]]) -> None:
    """What the canary of this project's `ropewalk.toml` would have decided, with and without a shadow before it."""
    plan = read_settings(PROJECT).canary

    def lines() -> Iterator[tuple[Any, ...]]:
        for old, new, month in pairs:
            for share in SHARES:
                rows = features.landed(traffic.questions(month, month, share))
                late = rows["late"].to_numpy()
                before, after = losses(late, old.chances(rows))[0], losses(late, new.chances(rows))[0]
                for shadow in (True, False):
                    tried = msgspec.structs.replace(plan, shadow=shadow)
                    ends = (judged.rollout(tried, before, after, seed) for seed in range(3))
                    cells = "; ".join(f"{outcome} {', '.join(f'{at:,}' for at in left)}" for outcome, left in ends)
                    yield (
                        f"{old.name} → {new.name}",
                        f"{share:.0%}",
                        f"{rows.height:,}",
                        "yes" if shadow else "no",
                        cells,
                    )

    print("## Rollouts, three draws each: outcome and the requests after which each step was left\n")
    table(("candidate", "share of flights", "requests of the month", "shadow", "outcome"), lines())


def print_timings(champion: Trained, retrained: Trained) -> None:
    """Seconds of the parts, wall clock."""

    def seconds(work: Any, times: int = 1) -> float:
        start = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - start) / times

    flights, weather, planes, airports = tables.flights(1, 3), tables.weather(), tables.planes(), tables.airports()
    row = champion.train.head(1)
    pipeline = _module("pipeline_timed", PROJECT / "pipeline.py")
    parts = [
        ("read flights, January to March", seconds(lambda: tables.flights(1, 3))),
        ("read weather, planes, airports", seconds(lambda: (tables.weather(), tables.planes(), tables.airports()))),
        ("build features", seconds(lambda: features.build(flights, weather, planes, airports))),
        ("fit, 7 leaves", seconds(lambda: pipeline.fit(champion.train, 7))),
        ("whole pipeline, January to March", champion.seconds),
        ("whole pipeline, January to June", retrained.seconds),
        ("questions of April to December", seconds(lambda: traffic.questions(4, 12))),
        ("arrivals of April to December, one in ten", seconds(lambda: list(traffic.arrivals(4, 12, 0.1)))),
        ("one row through scikit-learn", seconds(lambda: champion.chances(row), 50)),
    ]
    print(f"## Timings ({os.cpu_count()} cores)\n")
    table(("part", "seconds"), ((name, f"{value:.4f}") for name, value in parts))


def main() -> None:
    """Train what the demo trains and print all tables."""
    rows = live()
    champion, retrained = trained("champion"), trained("retrained", "retrained")
    leaky, autumn = trained("leaky", "leaky", month_to=6), trained("autumn", month_to=8)
    print_months(rows, [champion, retrained, leaky, autumn])
    print_gates([(champion, retrained), (retrained, leaky), (retrained, autumn)], [champion])
    print_canaries(rows, [(champion, retrained, 7), (retrained, leaky, 8), (retrained, autumn, 9)])
    print_signals(rows, champion, 14, date(2013, 6, 1))
    print_signals(rows, retrained, 14, date(2013, 7, 14))
    print_rollouts([(champion, retrained, 7), (retrained, leaky, 8)])
    print_timings(champion, retrained)


if __name__ == "__main__":
    main()
