"""Scores: what a labelled prediction lost, in the unit of its task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ropewalk.models.manifest import Manifest
from ropewalk.refs import canonical

if TYPE_CHECKING:
    import polars as pl

_FALSE, _TRUE = ("false", "0", "0.0"), ("true", "1", "1.0")


def score(rows: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    """Return the rows with `loss`, `said` and `was`; null where there is no label, no answer or a label of no class.

    A binary model: Brier loss, said = the probability of the second class, was = 1 when that class came. More classes:
    Brier loss over all of them halved, said = the probability of the label it gave, was = 1 when it was right. A
    regression: squared error, said = the prediction, was = the label.

    Args:
        rows: captured rows with `status`, `label` (JSON text) and the columns `out.` of the model.
        manifest: of the model that answered.
    """
    import polars as pl

    if "label" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, dtype=pl.String).alias("label"))
    said, was, loss = _by_task(rows.columns, manifest)
    answered = pl.col("status") == "ok"
    return rows.with_columns(
        pl.when(answered).then(said).alias("said"), pl.when(answered).then(was).alias("was")
    ).with_columns(pl.when(answered & pl.col("was").is_not_null()).then(loss).alias("loss"))


def _by_task(columns: Sequence[str], manifest: Manifest) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    import polars as pl

    nothing = pl.lit(None, dtype=pl.Float64)
    if manifest.task == "regression":
        if "out.prediction" not in columns:
            return nothing, nothing, nothing
        said = pl.col("out.prediction").cast(pl.Float64)
        was = pl.col("label").cast(pl.Float64, strict=False)
        return said, was, (said - was) ** 2
    if manifest.task == "binary":
        if "out.probability" not in columns:
            return nothing, nothing, nothing
        said = pl.col("out.probability").cast(pl.Float64)
        known = pl.col("label").is_in([*_words(manifest.classes[0], _FALSE), *_words(manifest.classes[1], _TRUE)])
        was = pl.when(known).then(pl.col("label").is_in(_words(manifest.classes[1], _TRUE)).cast(pl.Float64))
        return said, was, (said - was) ** 2
    return _many(columns, manifest)


def _many(columns: Sequence[str], manifest: Manifest) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    import polars as pl

    nothing = pl.lit(None, dtype=pl.Float64)
    named = {one: f"out.probability.{one}" for one in manifest.classes}
    if any(name not in columns for name in named.values()):
        return nothing, nothing, nothing
    came = {one: pl.col("label").is_in(_words(one)) for one in manifest.classes}
    known = pl.any_horizontal(list(came.values()))
    said = pl.max_horizontal([pl.col(name).cast(pl.Float64) for name in named.values()])
    right = pl.any_horizontal([came[one] & (pl.col(name) == said) for one, name in named.items()])
    squares = [(pl.col(name).cast(pl.Float64) - came[one].cast(pl.Float64)) ** 2 for one, name in named.items()]
    return said, pl.when(known).then(right.cast(pl.Float64)), pl.sum_horizontal(squares) / 2.0


def _words(value: object, more: tuple[str, ...] = ()) -> list[str]:
    """Return the JSON texts that mean a class; 0, 0.0 and false are the same to callers, and so are 1, 1.0 and true."""
    texts = {canonical(value).decode()}
    if value in (0, 1) or more:
        texts.update(more)
    if isinstance(value, int | float) and not isinstance(value, bool):
        texts.update({str(float(value)), str(int(value))} if float(value).is_integer() else {str(value)})
    return sorted(texts)
