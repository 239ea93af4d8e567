"""Which of a contract's five column types a polars type is, and how values of it compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from ropewalk.data.contract import ColumnType, Contract

_POLARS: Mapping[ColumnType, pl.DataType] = {
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
    "string": pl.String(),
    "datetime": pl.Datetime("us", "UTC"),
}


def kind_of(dtype: pl.DataType) -> ColumnType | None:
    """Return the contract's word for a polars type, or None for lists, structs, bytes and the like."""
    if dtype.is_integer():
        return "int"
    if dtype.is_float() or isinstance(dtype, pl.Decimal):
        return "float"
    if isinstance(dtype, pl.Boolean):
        return "bool"
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return "string"
    return "datetime" if isinstance(dtype, pl.Datetime | pl.Date) else None


def comparable_column(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column as values that bounds compare with: datetimes as microseconds since the epoch, text as text."""
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime | pl.Date):
        return column.cast(pl.Datetime("us")).dt.epoch("us") if isinstance(dtype, pl.Date) else column.dt.epoch("us")
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    return column.cast(pl.Float64) if isinstance(dtype, pl.Decimal) else column


def empty(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return whether each value is empty: null, or NaN."""
    column = pl.col(name)
    return column.is_null() | column.is_nan().fill_null(value=False) if dtype.is_float() else column.is_null()


def to_frame(contract: Contract, columns: Mapping[str, Sequence[object]]) -> pl.DataFrame:
    """Return request columns as a frame with the contract's types, in its order, without the target.

    Args:
        contract: the values have passed its `row_checker`.
        columns: name -> values, all of one length; ISO 8601 text for datetimes; a column may be left out if nullable.
    """
    rows = max((len(values) for values in columns.values()), default=0)
    return pl.DataFrame(
        [_series(column.name, column.type, columns.get(column.name), rows) for column in contract.inputs]
    )


def _series(name: str, kind: ColumnType, values: Sequence[object] | None, rows: int) -> pl.Series:
    if values is None:
        return pl.repeat(None, rows, dtype=_POLARS[kind], eager=True).alias(name)
    if kind == "datetime":
        from ropewalk.clock import from_iso

        stamps = [from_iso(value) if isinstance(value, str) else value for value in values]
        return pl.Series(name, stamps, dtype=pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.Series(name, values, dtype=_POLARS[kind], strict=kind != "float")
