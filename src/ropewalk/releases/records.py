"""Rows of a frame as JSON records, as a caller of an endpoint would send them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

PREFIX = "in."


def records_of(frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield one JSON-able object per row: times in ISO 8601, what is not a finite number as null."""
    for row in frame.iter_rows(named=True):
        yield {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:  # noqa: ANN401 - a cell of any kind
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, datetime | date) else value


def inputs_of(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the input columns of captured rows by their own names."""
    names = {name: name.removeprefix(PREFIX) for name in frame.columns if name.startswith(PREFIX)}
    return frame.select(*names).rename(names) if names else frame.drop("event_us", strict=False)
