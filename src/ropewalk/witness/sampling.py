"""A bounded sample of the rows that a model saw, which still holds every column's extremes, gaps and categories."""

from __future__ import annotations

import sys
from typing import Any, cast

ROWS_WHOLE = 10_000
ROWS_SAMPLED = 2_000
BYTES_MAX = 8 << 20
COLUMNS_LOOKED_AT = 500
CATEGORIES_MAX = 200
_MATRIX = 2


def library(frame: object) -> str:
    """Return `pandas`, `polars`, `numpy`, or the name of another library."""
    return type(frame).__module__.partition(".")[0]


def rows_of(frame: Any) -> int:  # noqa: ANN401 - a frame of any library
    """Return how many rows a frame has."""
    shape = getattr(frame, "shape", None)
    return int(shape[0]) if shape else len(frame)


def is_table(frame: object) -> bool:
    """Say whether it has rows and named or numbered columns, and is not sparse."""
    kind = library(frame)
    if kind in ("pandas", "polars"):
        return type(frame).__name__ == "DataFrame"
    return kind == "numpy" and getattr(frame, "ndim", 0) == _MATRIX


def as_table(frame: object) -> object:
    """Return lists of numbers as the array that scikit-learn would make of them; everything else as it is."""
    numpy = sys.modules.get("numpy")
    if isinstance(frame, list) and numpy is not None:
        return numpy.asarray(cast("Any", frame))
    return cast("object", frame)


def places(frame: Any) -> list[int]:  # noqa: ANN401
    """Return the numbers of the rows to keep, rising: all of a small frame."""
    rows = rows_of(frame)
    size = _bytes(frame)
    if rows <= ROWS_WHOLE and size <= BYTES_MAX:
        return list(range(rows))
    most = max(1, min(ROWS_SAMPLED, rows * BYTES_MAX // max(size, 1)))
    found = {place * (rows - 1) // max(most - 1, 1) for place in range(most)}
    if most >= ROWS_SAMPLED // 2:
        looks = {"pandas": _pandas, "polars": _polars}.get(library(frame), _numpy)
        for column in _columns(frame)[:COLUMNS_LOOKED_AT]:
            found.update(int(place) for place in looks(column))
    return sorted(found)


def take(frame: Any, chosen: list[int]) -> Any:  # noqa: ANN401
    """Return a copy of these rows, of the same kind as the frame."""
    if library(frame) == "pandas":
        return frame.iloc[chosen].copy()
    if library(frame) in ("polars", "numpy"):
        return frame[chosen]
    return [frame[place] for place in chosen]


def _bytes(frame: Any) -> int:  # noqa: ANN401
    if library(frame) == "pandas":
        return int(frame.memory_usage().sum())
    if library(frame) == "polars":
        return int(frame.estimated_size())
    return int(getattr(frame, "nbytes", sys.getsizeof(frame)))


def _columns(frame: Any) -> list[Any]:  # noqa: ANN401
    if library(frame) == "pandas":
        return [frame.iloc[:, place] for place in range(frame.shape[1])]
    if library(frame) == "polars":
        return list(frame.get_columns())
    return [frame[:, place] for place in range(frame.shape[1])]


def _pandas(column: Any) -> list[int]:  # noqa: ANN401
    gaps = column.isna().to_numpy()
    found = gaps.nonzero()[0][:1].tolist()
    if gaps.all():
        return found
    if column.dtype.kind in "iuf":
        values = column.to_numpy(dtype="float64", na_value=float("nan"))
        return [*found, *_extremes(values)]
    return [*found, *(~column.duplicated()).to_numpy().nonzero()[0][:CATEGORIES_MAX].tolist()]


def _polars(column: Any) -> list[int]:  # noqa: ANN401
    found = column.is_null().arg_true()[:1].to_list()
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        ends = (column.arg_min(), column.arg_max())
        return [*found, *(place for place in ends if place is not None)]
    return [*found, *column.arg_unique()[:CATEGORIES_MAX].to_list()]


def _numpy(column: Any) -> list[int]:  # noqa: ANN401
    if column.dtype.kind not in "iuf":
        return []
    return _extremes(column.astype("float64"))


def _extremes(values: Any) -> list[int]:  # noqa: ANN401 - an array of floats
    gaps = values != values  # noqa: PLR0124 - NaN alone differs from itself
    found = gaps.nonzero()[0][:1].tolist()
    if gaps.all():
        return found
    low, high = values.copy(), values.copy()
    low[gaps], high[gaps] = float("inf"), float("-inf")
    return [*found, int(low.argmin()), int(high.argmax())]
