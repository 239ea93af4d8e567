"""Derives what a model takes and gives from the model itself and the frame it was trained on."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from ropewalk.errors import Invalid
from ropewalk.models.manifest import Class, Field, Output, Signature


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to feed a model and to name its answers.

    Attributes:
        task: `binary`, `multiclass` or `regression`.
        frame: `polars`, `pandas` or `numpy`: what the model was fitted on.
        classes: labels in the model's order.
        signature: inputs and outputs.
    """

    task: str
    frame: str
    classes: tuple[Class, ...]
    signature: Signature


def shape_of(model: Any, train: Any, target: str) -> Shape:  # noqa: ANN401 - an estimator and a frame of any library
    """Return the shape of a fitted model.

    Args:
        model: an estimator of scikit-learn's, or anything with `predict`: with `classes_` it is a classifier; `frame_`
            says what it takes (`numpy`, `pandas` or `polars`).
        train: polars or pandas frame with the target and at least the model's columns.
        target: name of the target's column.

    Raises:
        Invalid: the model is not fitted for this frame, or is neither classifier nor regressor.
    """
    library = library_of(train)
    names = _inputs(model, train, target)
    kind = _frame(model, library)
    inputs = fields_of(train, names, kind)
    task, classes = _task(model)
    return Shape(
        task=task, frame=kind, classes=classes, signature=Signature(inputs=inputs, outputs=outputs_of(task, classes))
    )


def _frame(model: Any, library: str) -> str:  # noqa: ANN401
    """Return what a model is given: what it says itself, or what it was fitted on, or what it is logged with."""
    said = getattr(model, "frame_", None)
    if said in ("numpy", "pandas", "polars"):
        return str(said)
    if not is_estimator(model) or getattr(model, "feature_names_in_", None) is not None:
        return library
    return "numpy"


def is_estimator(model: object) -> bool:
    """Say whether it is one of scikit-learn's, without importing that for a model of another library."""
    return any(kind.__module__ == "sklearn.base" and kind.__name__ == "BaseEstimator" for kind in type(model).__mro__)


def library_of(frame: object) -> str:
    """Return `polars` or `pandas`.

    Raises:
        Invalid: the frame is of another library.
    """
    name = type(frame).__module__.partition(".")[0]
    if name not in ("polars", "pandas"):
        raise Invalid(
            "frame-unknown", "A polars or pandas DataFrame is wanted.", why=f"found {type(frame).__name__} of {name}"
        )
    return name


def _inputs(model: Any, train: Any, target: str) -> list[str]:  # noqa: ANN401
    columns = [str(name) for name in train.columns]
    if target not in columns:
        raise Invalid("target-missing", "The training frame lacks the target's column.", why=f"no column {target!r}")
    known = getattr(model, "feature_names_in_", None)
    names = [str(name) for name in known] if known is not None else [name for name in columns if name != target]
    absent = [name for name in names if name not in columns]
    if absent:
        raise Invalid(
            "model-columns-missing",
            "The training frame lacks columns that the model was fitted on.",
            why=", ".join(absent[:10]),
            fix="give log_model the frame with all features and the target",
        )
    wanted = getattr(model, "n_features_in_", len(names))
    if wanted != len(names):
        raise Invalid(
            "model-columns-missing",
            "The training frame does not have the model's number of columns.",
            why=f"the model wants {wanted}, the frame has {len(names)} besides the target",
            fix="give log_model the frame that the model was fitted on, with the target",
        )
    return names


def fields_of(train: Any, names: list[str], kind: str) -> tuple[Field, ...]:  # noqa: ANN401
    """Return the input columns of a frame, as a model that takes `kind` is given them.

    Raises:
        Invalid: a column's type cannot be served.
    """
    return tuple(_field(train, name, kind) for name in names)


def _field(train: Any, name: str, kind: str) -> Field:  # noqa: ANN401
    column = train[name]
    dtype = str(column.dtype)
    if library_of(train) == "polars":
        nullable = bool(column.null_count())
        type_ = _polars_type(column.dtype)
    else:
        nullable = bool(column.isna().any())
        type_ = _pandas_type(column)
    if not type_:
        raise Invalid("column-type-unknown", "A column's type cannot be served.", where=name, why=f"found {dtype}")
    return Field(name=name, type=type_, nullable=nullable, dtype="" if kind == "numpy" else dtype)


def _polars_type(dtype: Any) -> str:  # noqa: ANN401
    import polars as pl

    if dtype == pl.Boolean:
        return "bool"
    if dtype.is_integer():
        return "int"
    if dtype.is_numeric():
        return "float"
    if dtype.is_temporal() and dtype not in (pl.Duration, pl.Time):
        return "datetime"
    return "string" if dtype in (pl.String, pl.Categorical, pl.Enum) else ""


def _pandas_type(column: Any) -> str:  # noqa: ANN401
    import pandas as pd

    types = cast("Any", pd.api.types)
    if types.is_bool_dtype(column.dtype):
        return "bool"
    if types.is_integer_dtype(column.dtype):
        return "int"
    if types.is_float_dtype(column.dtype):
        return "float"
    if types.is_datetime64_any_dtype(column.dtype):
        return "datetime"
    if isinstance(column.dtype.name, str) and column.dtype.name in ("category", "object", "str", "string"):
        return "string"
    return ""


def _task(model: Any) -> tuple[str, tuple[Class, ...]]:  # noqa: ANN401
    if not is_estimator(model):
        return _told(model)
    from sklearn import base

    kind = cast("Any", base)
    if kind.is_classifier(model):
        found = getattr(model, "classes_", None)
        if found is None:
            raise Invalid("model-not-fitted", "The model is not fitted.", fix="call fit before log_model")
        return _classified(found)
    if kind.is_regressor(model):
        return "regression", ()
    raise _unknown(model)


def _told(model: Any) -> tuple[str, tuple[Class, ...]]:  # noqa: ANN401
    """Return what a class that is none of scikit-learn's says by its attributes."""
    if not callable(getattr(model, "predict", None)):
        raise _unknown(model)
    found = getattr(model, "classes_", None)
    return ("regression", ()) if found is None else _classified(found)


def _classified(found: Any) -> tuple[str, tuple[Class, ...]]:  # noqa: ANN401
    classes = tuple(cast("Class", getattr(item, "item", lambda item=item: item)()) for item in found)
    return ("binary" if len(classes) == 2 else "multiclass"), classes  # noqa: PLR2004 - two is binary


def _unknown(model: object) -> Invalid:
    return Invalid(
        "model-unknown", "A fitted model is wanted.", why=f"found {type(model).__name__}, which has no predict",
        fix="give an estimator, or a class with predict (and predict_proba and classes_): docs/guides/formats.md",
    )  # fmt: skip


def outputs_of(task: str, classes: tuple[Class, ...]) -> tuple[Output, ...]:
    """Return the columns that a model of a task answers."""
    if task == "regression":
        return (Output(name="prediction", type="float"),)
    first = classes[0]
    label = "bool" if isinstance(first, bool) else "int" if isinstance(first, int) else "string"
    label = "float" if isinstance(first, float) else label
    if task == "binary":
        return (Output(name="probability", type="float"), Output(name="label", type=label))
    return (
        Output(name="label", type=label),
        *(Output(name=f"probability.{item}", type="float") for item in classes),
    )
