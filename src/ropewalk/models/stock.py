"""A model as MLflow's client keeps it in a folder, read for shipping: whose it is, what goes in, its example."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ropewalk.errors import Missing, Refused
from ropewalk.models.formats import PICKLE, SKOPS
from ropewalk.models.manifest import PYFUNC

MLMODEL = "MLmodel"
BYTES_MAX = 1 << 20
# MLflow's words for types of columns, as contracts call them, and as pandas does.
TYPES = {
    "boolean": ("bool", "bool"),
    "integer": ("int", "int32"),
    "long": ("int", "int64"),
    "float": ("float", "float32"),
    "double": ("float", "float64"),
    "string": ("string", "object"),
    "datetime": ("datetime", "datetime64[ns]"),
}
PYFUNC_FLAVOR = "python_function"
_XGBOOST = ("xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRegressor")
_LIGHTGBM = ("lightgbm.sklearn.LGBMClassifier", "lightgbm.sklearn.LGBMRegressor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One column that a model takes, as its signature says.

    Attributes:
        name: of the column.
        type: row of `TYPES`.
        required: whether it has to have a value.
    """

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What a folder of MLflow's holds.

    Attributes:
        file: the native file, or the whole folder of a pyfunc or SavedModel.
        part: by which form it is read: one of our parts, or the class that reads it.
        columns: what goes in, in order; empty where the signature speaks of a tensor, or there is none.
        width: how many columns go in; 0 where there is no signature.
        example: the rows that were logged with it, as columns and rows; None for none.
    """

    file: Path
    part: str
    columns: tuple[Wanted, ...]
    width: int
    example: Any


def read_stock(folder: Path) -> Stock:
    """Return what a folder holds.

    Raises:
        Refused: it is no model that can be shipped; the error says why.
        Missing: PyYAML is not installed.
    """
    told = _mlmodel(folder)
    flavors = cast("dict[str, Any]", told.get("flavors") or {})
    file, part = _native(folder, flavors)
    columns, width = _signature(told)
    return Stock(file=file, part=part, columns=columns, width=width, example=_example(folder, told))


def _mlmodel(folder: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise Missing(
            "extra-not-installed",
            "Reading a model of MLflow's client needs PyYAML.",
            where=MLMODEL,
            fix="pip install 'ropewalk[mlflow]'",
        ) from error
    try:
        text = (folder / MLMODEL).read_bytes()
        found = yaml.safe_load(text) if len(text) <= BYTES_MAX else None
    except (OSError, yaml.YAMLError) as error:
        raise refused(f"it has no readable {MLMODEL}") from error
    if not isinstance(found, dict):
        raise refused(f"its {MLMODEL} holds no fields")
    return cast("Mapping[str, Any]", found)


def _native(folder: Path, flavors: dict[str, Any]) -> tuple[Path, str]:
    """Return the file of the library's own model, and how it is read."""
    if "sklearn" in flavors:
        own = flavors["sklearn"]
        part = SKOPS if own.get("serialization_format") == "skops" else PICKLE
        return _below(folder, own.get("pickled_model")), part
    for name, classes in (("xgboost", _XGBOOST), ("lightgbm", _LIGHTGBM)):
        if name in flavors:
            own = flavors[name]
            made = str(own.get("model_class") or "")
            if made not in classes and PYFUNC_FLAVOR in flavors:
                break
            if made not in classes:
                raise refused(f"it is a {made or name + ' Booster'}, and only {' and '.join(classes)} are taken")
            return _below(folder, own.get("data")), made if name == "xgboost" else PICKLE
    if PYFUNC_FLAVOR in flavors:
        return folder, PYFUNC
    known = ", ".join(sorted(flavors)) or "nothing"
    raise refused(f"it is of {known}, without the flavor {PYFUNC_FLAVOR}, by which any model is read")


def read_given(folder: Path, part: str) -> Stock:
    """Return what a folder holds into which a file was laid as `part`, or a SavedModel was."""
    path = folder / part
    return Stock(file=path if path.is_file() else folder, part=part, columns=(), width=0, example=None)


def _below(folder: Path, name: object) -> Path:
    path = folder / str(name or "")
    if not name or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise refused(f"its {MLMODEL} names the file {str(name)[:80]!r}, which is not there")
    return path


def _signature(told: Mapping[str, Any]) -> tuple[tuple[Wanted, ...], int]:
    said = cast("dict[str, Any]", told.get("signature") or {}).get("inputs")
    if not said:
        return (), 0
    try:
        fields = cast("list[dict[str, Any]]", json.loads(said))
        if len(fields) == 1 and fields[0].get("type") == "tensor":
            shape = fields[0]["tensor-spec"]["shape"]
            if len(shape) == 2 and shape[1] > 0:  # noqa: PLR2004 - rows and columns
                return (), int(shape[1])
            raise refused(f"its signature is a tensor of shape {shape}, not of rows and columns")
        columns = tuple(_wanted(one) for one in fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise refused("its signature is not one of plain columns") from error
    if len({one.name for one in columns}) != len(columns):
        raise refused("two columns of its signature have one name")
    return columns, len(columns)


def _wanted(one: Mapping[str, Any]) -> Wanted:
    name, kind = str(one["name"]), str(one["type"])
    if kind not in TYPES:
        raise refused(f"column {name[:80]!r} of its signature is of type {kind[:40]}, which requests cannot carry")
    return Wanted(name=name, type=kind, required=one.get("required") is not False)


def _example(folder: Path, told: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    info = cast("dict[str, Any]", told.get("saved_input_example_info") or {})
    if not info.get("artifact_path"):
        return None
    path = _below(folder, info["artifact_path"])
    if path.stat().st_size > BYTES_MAX:
        raise refused("its input example is larger than 1 MiB", "ropewalk ship MODEL --rows FILE --target COLUMN")
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise refused("its input example is no JSON") from error


def refused(why: str, fix: str = "log it in a step of the pipeline: ropewalk run", *, where: str = "") -> Refused:
    """Return the error for a model that cannot be shipped."""
    told = "This model of MLflow's client cannot be shipped."
    return Refused("model-not-shippable", told, where=where, why=why, fix=fix)
