"""Frames as Parquet blobs: the same rows give the same bytes, and so the same digest."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import polars as pl

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Corrupt, Invalid
from ropewalk.refs import short

ROWS_PER_GROUP = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRef:
    """A frame that lies in the blobs.

    Attributes:
        digest: sha256 of the Parquet bytes.
        rows: how many rows.
        columns: how many columns.
        bytes: length of the Parquet file.
        schema: name and polars type of each column, in order.
    """

    digest: str
    rows: int
    columns: int
    bytes: int
    schema: tuple[tuple[str, str], ...]


def write(blobs: Bucket, frame: object) -> FrameRef:
    """Keep a frame as Parquet; equal frames give equal bytes in any process.

    Args:
        blobs: where the bytes go.
        frame: a polars DataFrame or LazyFrame, or a pandas DataFrame (its index is not kept).

    Raises:
        Invalid: it is no frame, or a column holds Python objects that Parquet has no type for.
    """
    table = as_polars(frame)
    buffer = io.BytesIO()
    try:
        _settled(table).write_parquet(buffer, compression="zstd", compression_level=3, row_group_size=ROWS_PER_GROUP)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise Invalid("frame-not-kept", "The frame has a column that Parquet cannot hold.", why=str(error)) from error
    return FrameRef(
        digest=blobs.put(buffer.getvalue()),
        rows=table.height,
        columns=table.width,
        bytes=buffer.getbuffer().nbytes,
        schema=schema_of(table),
    )


def _settled(table: pl.DataFrame) -> pl.DataFrame:
    """Make one chunk of each column, and forget in which order this process happened to number categories."""
    categorical = [name for name, kind in table.schema.items() if isinstance(kind, pl.Categorical)]
    if categorical:
        table = table.with_columns(
            pl.col(name).cast(pl.Enum(table[name].cast(pl.String).drop_nulls().unique().sort())) for name in categorical
        )
    return table.rechunk()


def read(blobs: Bucket, digest: str) -> pl.DataFrame:
    """Return a frame whose bytes still match the digest.

    Raises:
        NotFound: there is no such blob.
        Corrupt: the bytes have changed, or were no Parquet ever.
    """
    path = blobs.fetch(digest)
    try:
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise Corrupt("frame-unreadable", "The blob is not a Parquet file.", where=short(digest)) from error


def scan(blobs: Bucket, digest: str) -> pl.LazyFrame:
    """Return a lazy frame over bytes that match the digest, for work that should not hold all rows."""
    return pl.scan_parquet(blobs.fetch(digest))


def schema_of(frame: pl.DataFrame) -> tuple[tuple[str, str], ...]:
    """Return name and type of each column in order."""
    return tuple((name, str(kind)) for name, kind in frame.schema.items())


def is_pandas(value: object) -> TypeGuard[Any]:
    """Say whether a value is a pandas DataFrame, without importing pandas."""
    kind = type(value)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def is_frame(value: object) -> bool:
    """Say whether a value is a frame that `write` takes."""
    return isinstance(value, pl.DataFrame | pl.LazyFrame) or is_pandas(value)


def as_polars(frame: object) -> pl.DataFrame:
    """Return any frame as a polars one; a pandas index is dropped, pandas' NaN in columns of objects becomes null.

    Raises:
        Invalid: it is no frame, or a pandas column has no type of ours.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if not is_pandas(frame):
        raise Invalid("frame-expected", "A polars or pandas frame is wanted here.", why=f"found {type(frame).__name__}")
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names):
        raise Invalid("frame-names-double", "Two columns have the same name.", why=", ".join(sorted(names))[:200])
    return pl.DataFrame([_from_pandas(name, frame.iloc[:, place]) for place, name in enumerate(names)])


def _from_pandas(name: str, column: Any) -> pl.Series:  # noqa: ANN401 - a pandas Series
    kind = str(column.dtype)
    try:
        if kind == "category":
            column = column.astype(object)
            kind = "object"
        if column.dtype.kind in "iufb" and type(column.dtype).__module__.startswith("numpy"):
            return pl.Series(name, column.to_numpy(), nan_to_null=column.dtype.kind == "f")
        if column.dtype.kind == "M":
            zone = str(column.dt.tz) if column.dt.tz is not None else None
            naive = column.dt.tz_convert("UTC").dt.tz_localize(None) if zone else column
            series = pl.Series(name, naive.to_numpy().astype("datetime64[us]"))
            return series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else series
        values = cast("list[object]", column.astype(object).where(column.notna(), None).tolist())
        return pl.Series(name, values, strict=True)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise Invalid(
            "frame-column-mixed",
            "A pandas column has no single type.",
            where=name,
            why=str(error)[:200],
            fix=f'frame["{name}"] = frame["{name}"].astype("string")',
        ) from error


def to_pandas(frame: pl.DataFrame) -> Any:  # noqa: ANN401 - pandas is the user's
    """Return a pandas DataFrame with a fresh index; text becomes objects, missing numbers NaN, as pandas has it."""
    import pandas as pd

    return pd.DataFrame({name: _to_pandas(frame[name]) for name in frame.columns})


def _to_pandas(column: pl.Series) -> Any:  # noqa: ANN401 - a numpy array or list
    if column.dtype.is_numeric() and not column.null_count():
        return column.to_numpy(writable=True)
    if column.dtype.is_float() or (column.dtype.is_integer() and column.null_count()):
        return column.cast(pl.Float64).to_numpy(writable=True)
    if column.dtype == pl.Boolean and not column.null_count():
        return column.to_numpy(writable=True)
    if column.dtype == pl.Datetime and cast("pl.Datetime", column.dtype).time_zone is None:
        return column.to_numpy(writable=True)
    import numpy as np

    values = np.empty(len(column), dtype=object)
    values[:] = column.to_list()
    return values
