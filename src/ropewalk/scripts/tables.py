"""The rows that `fit` saw as one table with named columns and the target, and what a model makes of held-out ones."""

from __future__ import annotations

import math
from typing import Any, cast

from ropewalk.errors import Invalid, Refused
from ropewalk.models.native import NativeEngine
from ropewalk.models.signature import Shape

TRIED_ROWS = 100
_NUMBERS = "iufb"


def table_of(model: Any, x: Any, y: Any, names: list[str]) -> tuple[Any, str]:  # noqa: ANN401 - any library's
    """Return a polars or pandas frame of inputs and target, and the target's name.

    Args:
        model: the fitted model, which may know its columns' names.
        x: DataFrame of either library, or a matrix.
        y: the targets: a series, an array or a list.
        names: names of a matrix's columns; empty for `x0`, `x1`, ...

    Raises:
        Invalid: there are several targets, or the matrix holds other things than numbers.
    """
    import numpy as np
    import polars as pl

    targets = np.asarray(y)
    if targets.ndim > 1 and targets.shape[1] != 1:
        raise Invalid("target-missing", "One target is served.", why=f"the model predicts {targets.shape[1]} columns")
    targets = targets.ravel()
    library = type(x).__module__.partition(".")[0]
    known = getattr(model, "feature_names_in_", None)
    if library == "pandas" and known is not None:
        target = _target_name(y, [str(name) for name in x.columns])
        return x.assign(**{target: targets}), target
    if library == "polars":
        target = _target_name(y, list(x.columns))
        return x.with_columns(pl.Series(target, targets.tolist())), target
    matrix = np.asarray(x)
    if matrix.dtype.kind not in _NUMBERS:
        raise Invalid(
            "frame-unknown",
            "The model was fitted on a matrix of other things than numbers.",
            why=f"its type is {matrix.dtype}",
            fix="give fit a DataFrame, whose columns have types of their own",
        )
    if known is not None:  # LightGBM names the columns of a matrix itself, and wants them back
        import pandas as pd

        frame = cast("Any", pd.DataFrame(matrix, columns=cast("Any", [str(name) for name in known])))
        target = _target_name(y, [str(name) for name in known])
        return frame.assign(**{target: targets}), target
    called = names or [f"x{place}" for place in range(matrix.shape[1])]
    target = _target_name(y, called)
    columns = {name: matrix[:, place] for place, name in enumerate(called)}
    return pl.DataFrame({**columns, target: targets.tolist()}), target


def _target_name(y: Any, taken: list[str]) -> str:  # noqa: ANN401
    """Return the target's own name, or one that no column has."""
    name = getattr(y, "name", None)
    if name is None and hasattr(y, "columns"):
        name = y.columns[0]
    for each in (name, "target", "target_", "y_"):
        if isinstance(each, str) and each and each not in taken:
            return each
    return "_".join(("target", *taken))[:200]


def measured(model: Any, x: Any, y: Any, shape: Shape) -> dict[str, float]:  # noqa: ANN401
    """Return what a model is worth on rows that it has not seen, by the names that gates have."""
    import numpy as np
    from sklearn import metrics

    kind, targets = cast("Any", metrics), np.asarray(y).ravel()
    given = model.predict(x)
    if shape.task == "regression":
        return _finite(
            {
                "rmse": math.sqrt(kind.mean_squared_error(targets, given)),
                "mae": kind.mean_absolute_error(targets, given),
                "r2": kind.r2_score(targets, given) if len(targets) > 1 else math.nan,
            }
        )
    chances = model.predict_proba(x)
    found = {"accuracy": kind.accuracy_score(targets, given)}
    if set(targets.tolist()) <= set(shape.classes):
        found["log_loss"] = kind.log_loss(targets, chances, labels=list(shape.classes))
    if shape.task == "binary" and len(set(targets.tolist())) == 2:  # noqa: PLR2004 - both classes are there
        found["roc_auc"] = kind.roc_auc_score(targets == shape.classes[1], chances[:, 1])
    return _finite(found)


def _finite(found: dict[str, Any]) -> dict[str, float]:
    return {f"holdout_{name}": float(value) for name, value in found.items() if math.isfinite(value)}


def require_same(model: Any, x: Any, table: Any, shape: Shape) -> None:  # noqa: ANN401
    """Pass only a model that answers plain values, as requests bring them, as it answers the rows that it saw.

    Raises:
        Refused: it does not, such as one that takes categories by their place in the column at hand.
    """
    from ropewalk.data import frames

    names = [field.name for field in shape.signature.inputs]
    rows = frames.as_polars(table).select(names).head(TRIED_ROWS)
    asked = NativeEngine(model, shape).answer(rows.to_dict(as_series=False), rows.height)
    given = model.predict(x[: rows.height]).reshape(-1).tolist()
    answers = asked["prediction" if shape.task == "regression" else "label"]
    if not all(_near(one, other) for one, other in zip(answers, given, strict=True)):
        raise Refused(
            "model-not-kept",
            "The model answers otherwise when it is asked row by row",
            why="its columns mean something only beside those of training",
            fix="turn categories into numbers inside of a Pipeline",
        )


def _near(one: Any, other: Any) -> bool:  # noqa: ANN401
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-6) or (math.isnan(one) and math.isnan(other))
    return one == other
