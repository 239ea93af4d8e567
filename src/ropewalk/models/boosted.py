"""Teaches skl2onnx the estimators of XGBoost and LightGBM, also inside a Pipeline, by the converters of onnxmltools."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, cast

OPSETS = {"": 18, "ai.onnx.ml": 3}
"""What the converters of onnxmltools write: trees of ONNX-ML 3."""
_HOMES = {"xgboost": "XGBoost.convert_xgboost", "lightgbm": "LightGbm.convert_lightgbm"}
_CLASSES = {
    "xgboost": (("XGBClassifier", "XGBRFClassifier"), ("XGBRegressor", "XGBRFRegressor")),
    "lightgbm": (("LGBMClassifier",), ("LGBMRegressor",)),
}
_OPTIONS = {"zipmap": [True, False, "columns"], "nocl": [True, False], "raw_scores": [True, False]}


def boosted_in(model: object) -> tuple[str, ...]:
    """Return which of the two libraries stand in a fitted estimator: itself, or somewhere in its Pipeline."""
    return tuple(sorted({_top(one) for one in _boosted(model)}))


def _boosted(model: object) -> Iterator[Any]:
    waiting, seen = [model], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if _top(one) in _HOMES:
            yield one
        elif isinstance(one, list | tuple):
            waiting.extend(cast("Sequence[object]", one))
        elif hasattr(one, "get_params"):
            waiting.extend(vars(one).values())


def _top(one: object) -> str:
    return type(one).__module__.partition(".")[0]


def nameless(model: Any) -> Any:  # noqa: ANN401 - an estimator
    """Return a copy whose XGBoost trees call columns by their places: its converter knows no other names."""
    made = copy.deepcopy(model)
    for one in _boosted(made):
        if _top(one) == "xgboost" and hasattr(one, "get_booster"):
            one.get_booster().feature_names = None
    return made


def teach(libraries: tuple[str, ...]) -> None:
    """Register the converters of these libraries with skl2onnx; again is harmless.

    Raises:
        ImportError: onnxmltools is not installed.
    """
    skl2onnx: Any = import_module("skl2onnx")
    shapes: Any = import_module("skl2onnx.common.shape_calculator")
    for library in libraries:
        file, _, function = _HOMES[library].partition(".")
        convert: Any = getattr(import_module(f"onnxmltools.convert.{library}.operator_converters.{file}"), function)
        home: Any = sys.modules.get(f"{library}.sklearn") or import_module(f"{library}.sklearn")
        classifiers, regressors = _CLASSES[library]
        for name in classifiers:
            skl2onnx.update_registered_converter(
                getattr(home, name), f"Ropewalk{name}", shapes.calculate_linear_classifier_output_shapes, convert,
                options=_OPTIONS, overwrite=True,
            )  # fmt: skip
        for name in regressors:
            skl2onnx.update_registered_converter(
                getattr(home, name), f"Ropewalk{name}", shapes.calculate_linear_regressor_output_shapes, convert,
                overwrite=True,
            )  # fmt: skip
