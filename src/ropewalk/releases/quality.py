"""The quality gate of stage 3: metrics on the holdout rows against thresholds, the champion and by slices."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.releases.metrics import HIGHER_IS_BETTER, RESAMPLES, SEED, Estimate, estimate, metric, scored
from ropewalk.settings import Gate

if TYPE_CHECKING:
    import polars as pl

SLICE_ROWS_MIN = 50
SLICES_MAX = 50
ROWS_MIN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a gate found.

    Attributes:
        metric: its name.
        estimate: the candidate's.
        difference: candidate minus champion on the same rows, or None.
        slices: per column and value: rows and the figure.
        problems: sentences, empty when the gate is passed.
    """

    metric: str
    estimate: Estimate
    difference: Estimate | None
    slices: tuple[tuple[str, str, int, float], ...]
    problems: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "metric": self.metric,
            "estimate": self.estimate.record(),
            "difference": None if self.difference is None else self.difference.record(),
            "slices": [
                [column, value, rows, figure if math.isfinite(figure) else None]
                for column, value, rows, figure in self.slices
            ],
            "problems": list(self.problems),
            "resamples": RESAMPLES,
            "seed": SEED,
        }


def judge(
    gates: Iterable[Gate],
    *,
    task: str,
    classes: tuple[object, ...],
    holdout: pl.DataFrame,
    target: str,
    candidate: pl.DataFrame,
    champion: pl.DataFrame | None,
) -> tuple[Judged, ...]:
    """Judge each gate.

    Args:
        gates: from `ropewalk.toml`.
        task: `binary`, `multiclass` or `regression`.
        classes: labels in the model's order.
        holdout: the candidate's holdout rows with the target.
        target: name of the target.
        candidate: its outputs for these rows.
        champion: the champion's outputs for the same rows, or None when there is no champion.

    Raises:
        Invalid: a gate names a metric that does not fit the task, or a slice that is no column.
    """
    known = holdout[target].is_not_null()
    if not known.any():
        return tuple(_unjudged(gate) for gate in gates)
    rows = scored(task, classes, holdout[target], candidate)
    other = None if champion is None else scored(task, classes, holdout[target], champion)
    features = holdout.filter(known)
    return tuple(_judge(gate, task, rows, other, features) for gate in gates)


def _unjudged(gate: Gate) -> Judged:
    """Return what a gate finds where nobody knows a label, as of a model that came with its inputs alone."""
    unknown = Estimate(value=math.nan, low=math.nan, high=math.nan)
    problem = f"only 0 holdout rows have a label; {ROWS_MIN} are the least that says something"
    return Judged(metric=gate.metric, estimate=unknown, difference=None, slices=(), problems=(problem,))


def _judge(gate: Gate, task: str, rows: pl.DataFrame, other: pl.DataFrame | None, features: pl.DataFrame) -> Judged:
    function = metric(gate.metric, task)
    higher = HIGHER_IS_BETTER[gate.metric]
    whole = estimate(rows, function)
    difference = estimate(rows, function, against=other) if other is not None else None
    problems: list[str] = []
    if rows.height < ROWS_MIN:
        problems.append(f"only {rows.height} holdout rows; {ROWS_MIN} are the least that says something")
    if not math.isfinite(whole.value) or not math.isfinite(whole.low):
        problems.append(f"{gate.metric} is not defined on these rows")
    if gate.at_least is not None and not whole.low >= gate.at_least:
        problems.append(f"{_said(gate.metric, whole)} must be at least {gate.at_least:g} at its lower end")
    if gate.at_most is not None and not whole.high <= gate.at_most:
        problems.append(f"{_said(gate.metric, whole)} must be at most {gate.at_most:g} at its upper end")
    if gate.champion_margin is not None and difference is not None:
        worst = difference.low if higher else -difference.high
        if not worst >= -gate.champion_margin:
            said = _said("difference to the champion", difference)
            problems.append(f"{gate.metric}: {said}; {gate.champion_margin:g} worse is the most that is allowed")
    slices: list[tuple[str, str, int, float]] = []
    for column in gate.slices:
        slices += _slices(column, rows, features, gate.metric, task)
    problems += _slice_problems(gate, whole.value, slices, higher=higher)
    return Judged(
        metric=gate.metric,
        estimate=whole,
        difference=difference,
        slices=tuple(slices),
        problems=tuple(problems),
    )


def _said(name: str, figure: Estimate) -> str:
    return f"{name} {figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"


def _slices(
    column: str, rows: pl.DataFrame, features: pl.DataFrame, name: str, task: str
) -> list[tuple[str, str, int, float]]:
    """Return rows and figure for each of the largest slices of a column."""
    import polars as pl

    from ropewalk.errors import Invalid

    if column not in features.columns:
        raise Invalid(
            "gate-slice-unknown",
            f"There is no column {column!r} to slice by.",
            where="ropewalk.toml [[gates]]",
            why=f"the holdout has {', '.join(features.columns)}",
            fix="edit [[gates]] in ropewalk.toml",
        )
    function = metric(name, task)
    values = features[column].cast(pl.String)
    counts = values.value_counts(sort=True, name="rows").sort(["rows", column], descending=[True, False])
    found: list[tuple[str, str, int, float]] = []
    for value, count in counts.head(SLICES_MAX).iter_rows():
        chosen = values.is_null() if value is None else (values == value).fill_null(value=False)
        found.append((column, "null" if value is None else str(value), int(count), function(rows.filter(chosen))))
    return found


def _slice_problems(gate: Gate, whole: float, slices: list[tuple[str, str, int, float]], *, higher: bool) -> list[str]:
    if gate.slice_margin is None:
        return []
    problems: list[str] = []
    for column, value, rows, figure in slices:
        if rows < SLICE_ROWS_MIN or not math.isfinite(figure):
            continue
        worse = whole - figure if higher else figure - whole
        if worse > gate.slice_margin:
            problems.append(
                f"{gate.metric} is {figure:.4f} where {column} is {value} ({rows} rows), {worse:.4f} worse than the "
                f"whole; {gate.slice_margin:g} is the most that is allowed"
            )
    return problems
