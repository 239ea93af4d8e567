"""Metrics of predictions against the truth, with bootstrap intervals over the same resampled rows for both models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.errors import Invalid

if TYPE_CHECKING:
    import polars as pl

HIGHER_IS_BETTER = {
    "roc_auc": True,
    "accuracy": True,
    "f1": True,
    "r2": True,
    "log_loss": False,
    "brier": False,
    "rmse": False,
    "mae": False,
}
OF_TASK = {
    "binary": frozenset({"roc_auc", "log_loss", "brier", "accuracy", "f1"}),
    "multiclass": frozenset({"log_loss", "brier", "accuracy", "f1"}),
    "regression": frozenset({"rmse", "mae", "r2"}),
}
RESAMPLES = 200
LEVEL = 0.95
SEED = 20130101
PROBABILITY_MIN = 1e-15


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: on all rows.
        low: lower end of the 95 % percentile interval (Efron 1979).
        high: upper end.
    """

    value: float
    low: float
    high: float

    def record(self) -> dict[str, float | None]:
        """Return it as JSON; what is not a number becomes null."""
        return {
            name: value if math.isfinite(value) else None
            for name, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }


def scored(task: str, classes: Sequence[object], truth: pl.Series, outputs: pl.DataFrame) -> pl.DataFrame:
    """Return one row per prediction in the form that `metric` takes; rows without a known truth are left out.

    Columns: binary `truth` (0 or 1), `score`, `hit`, `label`; multiclass `truth`, `label`, `score` (probability of the
    true class), `square` (squared distance of the probabilities from the truth), `hit`; regression `truth`, `score`.

    Args:
        task: `binary`, `multiclass` or `regression`.
        classes: labels in the model's order.
        truth: the target column.
        outputs: what the model answered to the same rows.
    """
    import polars as pl

    if task == "regression":
        frame = pl.DataFrame({"truth": truth.cast(pl.Float64), "score": outputs["prediction"].cast(pl.Float64)})
    elif task == "binary":
        truths = _texts(truth)
        second = _text(classes[1])
        labels = _texts(outputs["label"])
        frame = pl.DataFrame(
            {
                "truth": [None if one is None else float(one == second) for one in truths],
                "score": outputs["probability"].cast(pl.Float64),
                "label": [float(one == second) for one in labels],
                "hit": [float(one == two) for one, two in zip(truths, labels, strict=True)],
            }
        )
    else:
        frame = _multiclass(classes, truth, outputs)
    return frame.filter(pl.col("truth").is_not_null())


def _multiclass(classes: Sequence[object], truth: pl.Series, outputs: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    truths, labels = _texts(truth), _texts(outputs["label"])
    chances = {_text(one): outputs[f"probability.{one}"].to_list() for one in classes}
    own: list[float] = []
    squares: list[float] = []
    for place, one in enumerate(truths):
        own.append(chances[one][place] if one in chances else 0.0)
        squares.append(sum((values[place] - float(name == one)) ** 2 for name, values in chances.items()))
    hits = [float(one == two) for one, two in zip(truths, labels, strict=True)]
    return pl.DataFrame({"truth": truths, "label": labels, "score": own, "square": squares, "hit": hits})


def _text(value: Any) -> str:  # noqa: ANN401 - a label of any kind
    """Return a label so that `1`, `1.0` and `True` are one class, as they are to the model."""
    if isinstance(value, bool | int | float):
        return repr(float(value))
    return str(value)


def _texts(values: pl.Series) -> list[str | None]:
    return [None if value is None else _text(value) for value in values.to_list()]


def metric(name: str, task: str) -> Callable[[pl.DataFrame], float]:
    """Return the function that computes a metric of scored rows; NaN where the rows do not define it.

    Raises:
        Invalid: the metric does not fit the task.
    """
    if name not in OF_TASK[task]:
        raise Invalid(
            "gate-metric-unknown",
            f"There is no metric {name!r} for a {task} model.",
            where="ropewalk.toml [[gates]]",
            why=f"there are {', '.join(sorted(OF_TASK[task]))}",
            fix="edit [[gates]] in ropewalk.toml",
        )
    if name == "log_loss":
        return _log_loss if task == "binary" else _log_loss_of_own
    if name == "brier":
        return _brier if task == "binary" else lambda rows: _mean(rows["square"])
    if name == "f1":
        return _f1 if task == "binary" else _f1_macro
    return {"roc_auc": _roc_auc, "accuracy": _accuracy, "rmse": _rmse, "mae": _mae, "r2": _r2}[name]


def _mean(values: pl.Series) -> float:
    found = values.mean()
    return math.nan if found is None else float(found)  # type: ignore[arg-type]


def _accuracy(rows: pl.DataFrame) -> float:
    return _mean(rows["hit"])


def _roc_auc(rows: pl.DataFrame) -> float:
    """Area under the ROC curve by ranks (Mann and Whitney 1947), ties shared."""
    positive = float(rows["truth"].sum())
    negative = rows.height - positive
    if not positive or not negative:
        return math.nan
    ranks = rows["score"].rank("average")
    return (float((ranks * rows["truth"]).sum()) - positive * (positive + 1) / 2) / (positive * negative)


def _log_loss(rows: pl.DataFrame) -> float:
    score = rows["score"].clip(PROBABILITY_MIN, 1 - PROBABILITY_MIN)
    truth = rows["truth"]
    return -_mean(truth * score.log() + (1 - truth) * (1 - score).log())


def _log_loss_of_own(rows: pl.DataFrame) -> float:
    return -_mean(rows["score"].clip(PROBABILITY_MIN, 1.0).log())


def _brier(rows: pl.DataFrame) -> float:
    return _mean((rows["score"] - rows["truth"]) ** 2)


def _f1(rows: pl.DataFrame) -> float:
    both = float((rows["truth"] * rows["label"]).sum())
    total = float(rows["truth"].sum()) + float(rows["label"].sum())
    return 2 * both / total if total else math.nan


def _f1_macro(rows: pl.DataFrame) -> float:
    found: list[float] = []
    for one in rows["truth"].unique().sort().to_list():
        both = int(((rows["truth"] == one) & (rows["label"] == one)).sum())
        total = int((rows["truth"] == one).sum()) + int((rows["label"] == one).sum())
        found.append(2 * both / total)
    return sum(found) / len(found) if found else math.nan


def _rmse(rows: pl.DataFrame) -> float:
    return math.sqrt(_mean((rows["score"] - rows["truth"]) ** 2))


def _mae(rows: pl.DataFrame) -> float:
    return _mean((rows["score"] - rows["truth"]).abs())


def _r2(rows: pl.DataFrame) -> float:
    spread = float(((rows["truth"] - _mean(rows["truth"])) ** 2).sum())
    left = float(((rows["score"] - rows["truth"]) ** 2).sum())
    return 1 - left / spread if spread else math.nan


def estimate(
    rows: pl.DataFrame,
    function: Callable[[pl.DataFrame], float],
    *,
    against: pl.DataFrame | None = None,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return a metric with its bootstrap interval, or the difference to another model on the same resampled rows.

    Args:
        rows: scored rows.
        function: from `metric`.
        against: the other model's scored rows, row for row the same; the figure is then `rows` minus `against`.
        resamples: how many.
    """
    import polars as pl

    assert against is None or against.height == rows.height, "the same rows for both"
    places = pl.int_range(rows.height, eager=True)
    drawn: list[float] = []
    for number in range(resamples):
        chosen = places.sample(rows.height, with_replacement=True, seed=SEED + number)
        value = function(rows[chosen])
        drawn.append(value - function(against[chosen]) if against is not None else value)
    value = function(rows) - (function(against) if against is not None else 0.0)
    good = sorted(one for one in drawn if math.isfinite(one))
    if len(good) < resamples * LEVEL:
        return Estimate(value=value, low=math.nan, high=math.nan)
    tail = (1 - LEVEL) / 2
    return Estimate(value=value, low=_quantile(good, tail), high=_quantile(good, 1 - tail))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ordered numbers, linear between neighbours."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
