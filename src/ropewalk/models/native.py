"""The engine that asks the library itself: builds the frame the model was trained on and calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from ropewalk.errors import Invalid
from ropewalk.models.manifest import Field
from ropewalk.models.signature import Shape

Columns = Mapping[str, Sequence[object]]
_DEPTH_MAX = 6


class NativeEngine:
    """Answers by the estimator itself, with one thread, so that sums are added in one order.

    Args:
        model: a fitted estimator.
        shape: what it takes and gives.
    """

    def __init__(self, model: Any, shape: Shape) -> None:  # noqa: ANN401 - an estimator of any library
        self._model = model
        self._shape = shape
        self._frame = frame_maker(shape)
        one_thread(model)

    def answer(self, columns: Columns, rows: int) -> dict[str, list[Any]]:
        """Return the outputs of all rows, computed together."""
        frame = self._frame(columns, rows)
        shape = self._shape
        if shape.task == "regression":
            return {"prediction": _floats(self._model.predict(frame))}
        chances = _array_of(self._model.predict_proba(frame))
        labels = _plain(self._model.predict(frame))
        if shape.task == "binary":
            return {"probability": _floats(chances[:, 1]), "label": labels}
        found: dict[str, list[Any]] = {"label": labels}
        for place, name in enumerate(shape.classes):
            found[f"probability.{name}"] = _floats(chances[:, place])
        return found


def _floats(values: Any) -> list[float]:  # noqa: ANN401 - a numpy array
    return _array_of(values).astype("float64").reshape(-1).tolist()


def _plain(labels: Any) -> list[Any]:  # noqa: ANN401
    return _array_of(labels).reshape(-1).tolist()


def _array_of(values: Any) -> Any:  # noqa: ANN401 - of numpy, pandas or polars, or a list
    import numpy as np

    return np.asarray(values)


def one_thread(model: object) -> None:
    """Set `n_jobs` to 1 wherever it stands in a model: threads add up in the order in which they finish."""
    waiting: list[tuple[object, int]] = [(model, 0)]
    seen: set[int] = set()
    while waiting:
        item, depth = waiting.pop()
        if id(item) in seen or depth > _DEPTH_MAX:
            continue
        seen.add(id(item))
        if isinstance(item, list | tuple):
            waiting.extend((one, depth + 1) for one in cast("Sequence[object]", item)[:1000])
        elif isinstance(item, dict):
            waiting.extend((one, depth + 1) for one in cast("dict[str, object]", item).values())
        elif hasattr(item, "get_params"):
            inside = cast("dict[str, object]", getattr(item, "__dict__", {}))
            if inside.get("n_jobs", 1) != 1:
                cast("Any", item).n_jobs = 1
            waiting.extend((one, depth + 1) for one in inside.values())


def frame_maker(shape: Shape) -> Callable[[Columns, int], Any]:
    """Return what turns plain columns into the model's own kind of frame, with the dtypes of training."""
    fields = shape.signature.inputs
    if shape.frame == "numpy":
        return lambda columns, rows: _array(fields, columns, rows)
    if shape.frame == "pandas":
        return lambda columns, rows: _pandas(fields, columns, rows)
    return lambda columns, rows: _polars(fields, columns, rows)


def _array(fields: tuple[Field, ...], columns: Columns, rows: int) -> Any:  # noqa: ANN401
    import numpy as np

    frame = np.empty((rows, len(fields)), dtype=np.float64)
    for place, field in enumerate(fields):
        try:
            frame[:, place] = cast("Any", columns[field.name])
        except (TypeError, ValueError) as error:
            raise _wrong(field, error) from error
    return frame


def _pandas(fields: tuple[Field, ...], columns: Columns, rows: int) -> Any:  # noqa: ANN401
    import pandas as pd

    index = pd.RangeIndex(rows)
    made: dict[str, Any] = {}
    for field in fields:
        values = _times(field, columns[field.name])
        gaps = any(value is None for value in values)
        dtype = "float64" if gaps and field.dtype.startswith(("int", "uint", "bool")) else field.dtype
        try:
            made[field.name] = pd.Series(values, dtype=cast("Any", dtype), index=index)
        except (TypeError, ValueError, OverflowError) as error:
            raise _wrong(field, error) from error
    return pd.DataFrame(made, index=index)


def _polars(fields: tuple[Field, ...], columns: Columns, rows: int) -> Any:  # noqa: ANN401
    import polars as pl

    made: list[Any] = []
    for field in fields:
        values = _times(field, columns[field.name])
        try:
            series = pl.Series(field.name, values, dtype=_loose(field), strict=field.type != "datetime")
            made.append(series.cast(_exact(field)))
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            raise _wrong(field, error) from error
    return pl.DataFrame(made) if made else pl.DataFrame({"": [None] * rows}).drop("")


def _loose(field: Field) -> Any:  # noqa: ANN401 - a polars type
    import polars as pl

    wide = {"int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean, "string": pl.String}
    return wide.get(field.type, pl.Datetime("us"))


def _exact(field: Field) -> Any:  # noqa: ANN401 - a polars type
    import polars as pl

    stem = field.dtype.partition("(")[0]
    if stem in ("Categorical", "Enum"):
        return pl.Categorical
    if field.type == "datetime":
        return pl.Date if stem == "Date" else pl.Datetime("us")
    return getattr(pl, stem, _loose(field))


def _times(field: Field, values: Sequence[object]) -> Sequence[object]:
    """Return times as they are reckoned: naive UTC; texts are read as ISO 8601."""
    if field.type != "datetime":
        return values
    return [_time(field, value) for value in values]


def _time(field: Field, value: object) -> object:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise _wrong(field, error) from error
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _wrong(field: Field, error: Exception) -> Invalid:
    return Invalid(
        "input-type-wrong",
        "A value is not of the column's type.",
        where=field.name,
        why=f"{field.type} is wanted: {str(error)[:200]}",
    )
