"""The process that makes a version of a model of MLflow's client: it loads it, tries it, and writes its contract.

A process of its own because loading a model runs code of the libraries that it names, which must not happen beside the
keys. What it may name is on the allow-list, as for every model that is served, and the walls of such a model hold it:
it reads its own folder and the rows, writes beside them, starts nothing, reaches nobody, and its time and memory end.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import resource
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ropewalk.errors import Missing, RopewalkError
from ropewalk.models.drop import Drop
from ropewalk.models.manifest import FRAMEWORK_PARTS, ONNX_PART, PYFUNC, REQUIREMENTS, SAFETENSORS
from ropewalk.models.sandbox import confine
from ropewalk.models.signature import Shape
from ropewalk.models.states import HDF5
from ropewalk.models.stock import TYPES, Stock, Wanted, read_given, read_stock, refused

GIVE = "log_model(..., input_example=X), or: ropewalk ship MODEL --rows FILE --target COLUMN"
GIVE_ROWS = "ropewalk ship MODEL --rows FILE --target COLUMN"
CPU_SECONDS_MAX = 300
MEMORY_BYTES_MAX = 4 << 30
TARGETS = ("target", "label", "ropewalk.label")


def main() -> int:
    """Read a note from standard input, write the answer to standard output (internal)."""
    note = json.loads(sys.stdin.read())
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a model prints is no answer
    held = Path(note["folder"]).parent
    rows = [Path(note["rows"])] if note["rows"] else []
    libraries = [Path(note["libraries"])] if note["libraries"] else []
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    confine([held, *rows, *libraries], [held / "out"], memory_bytes=MEMORY_BYTES_MAX)
    sys.dont_write_bytecode = True
    sys.path[:0] = [*map(str, libraries), note["code"]]
    try:
        found: dict[str, Any] = _adopted(note)
    except RopewalkError as error:
        found = {"error": [error.code, error.what, error.where, error.why, error.fix]}
    except Exception as error:  # noqa: BLE001 - whatever a library raises while it loads a model is why it is not taken
        found = {"why": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    answers.write(json.dumps(found))
    answers.flush()
    os._exit(0)  # nothing at exit may want what a confined process must not


def _adopted(note: dict[str, Any]) -> dict[str, Any]:
    from ropewalk.models import log
    from ropewalk.models.signature import shape_of

    stock = read_given(Path(note["folder"]), note["part"]) if note["part"] else read_stock(Path(note["folder"]))
    beside = _own_libraries(stock)
    if beside and not note["libraries"]:
        return {"requirements": beside[REQUIREMENTS].decode("utf-8", "replace")}
    blobs = Drop(Path(note["blobs"]))
    if stock.part == ONNX_PART:
        return _onnx(blobs, stock, note)
    shown = not note["rows"]
    if shown and stock.part in FRAMEWORK_PARTS:
        raise refused(f"rows with labels tell what a {stock.part.partition('.')[2]} answers", GIVE_ROWS)
    model: Any = None
    if shown:
        model = load(stock, note["allowed"])
        table, target = _example(stock, model)
    else:
        table, target = _rows(stock, Path(note["rows"]), str(note["target"]))
        model = _model(stock, table[target].tolist(), note["allowed"])
    shape = shape_of(model, table, target)
    log.check_answers(model, shape)
    contract = _contract(stock, shape, target) if shown else None
    made = log.build(
        blobs, model, note["name"], shape=shape, train=table, holdout=None, target=target, contract=contract,
        beside=beside,
    )  # fmt: skip
    return {"manifest": made.manifest, "rows": len(table), "labelled": not shown, "engine": made.measured.text}


def _own_libraries(stock: Stock) -> dict[str, bytes]:
    """Return the list of a pyfunc's own libraries, as a part."""
    path = stock.file / REQUIREMENTS
    return {REQUIREMENTS: path.read_bytes()} if stock.part == PYFUNC and path.is_file() else {}


def _model(stock: Stock, labels: list[Any], allowed: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the model, where rows tell whether what it answers are classes."""
    from ropewalk.models import files, folders, frameworks

    classes = frameworks.classes_of(labels)
    if stock.part in FRAMEWORK_PARTS:
        data = folders.pack(stock.file) if stock.file.is_dir() else stock.file.read_bytes()
        return frameworks.read(stock.part, data, classes, stock.file if stock.file.is_dir() else None)
    if stock.part == files.KERAS or (stock.part == HDF5 and b"model_config" in stock.file.read_bytes()):
        part, data = _keras(stock.file)
        folder = Path(tempfile.mkdtemp())
        folders.unpack(data, folder)
        return frameworks.read(part, data, classes, folder)
    if stock.part == files.XGBOOST:
        stock = dataclasses.replace(stock, part=f"xgboost.sklearn.XGB{'Classifier' if classes else 'Regressor'}")
    return load(stock, allowed)


def _onnx(blobs: Drop, stock: Stock, note: dict[str, Any]) -> dict[str, Any]:
    """Keep an ONNX file as it is; what it answers now is what it has to answer later."""
    from ropewalk.models.graphs import keep_graph

    if not note["rows"]:
        raise refused("rows with labels tell what an ONNX file answers", GIVE_ROWS)
    table, target = _rows(stock, Path(note["rows"]), str(note["target"]))
    digest, engine = keep_graph(blobs, note["name"], stock.file.read_bytes(), table, target)
    return {"manifest": digest, "rows": len(table), "labelled": True, "engine": engine}


def load(stock: Stock, allowed: Sequence[str]) -> Any:  # noqa: ANN401 - an estimator of any library
    """Return the model.

    Raises:
        Refused: its file names something that may not be loaded.
    """
    from ropewalk.models import files, formats, joblibs, states

    plain = {files.JOBLIB: joblibs.load, SAFETENSORS: states.load_safetensors, HDF5: states.load_hdf5}
    if stock.part in plain:
        return plain[stock.part](stock.file.read_bytes(), allowed)
    if stock.part in (formats.SKOPS, formats.PICKLE):
        return formats.load(stock.part, stock.file.read_bytes(), allowed)
    home, _, name = stock.part.rpartition(".")
    made = getattr(importlib.import_module(home), name)()
    made.load_model(stock.file)
    return made


def _keras(path: Path) -> tuple[str, bytes]:
    """Return the part and bytes of a model of Keras, which is kept as a SavedModel; Keras refuses code."""
    from ropewalk.models import frameworks

    try:
        keras: Any = importlib.import_module("keras")
    except ModuleNotFoundError as error:
        fix = "pip install tensorflow-cpu"
        raise Missing(
            "extra-not-installed", "The model needs TensorFlow.", where=path.name, why=str(error), fix=fix
        ) from error
    return frameworks.saved(keras.saving.load_model(path, safe_mode=True, compile=False))


def _names(stock: Stock) -> list[str]:
    return [one.name for one in stock.columns] or [f"x{place}" for place in range(stock.width)]


def _example(stock: Stock, model: Any) -> tuple[Any, str]:  # noqa: ANN401
    """Return the rows that were logged with the model, whose labels nobody knows, and the column for these."""
    import pandas as pd

    told = stock.example
    names = _names(stock)
    if not names:
        raise refused("it was logged without a signature", GIVE)
    fields = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    rows = cast("Any", told) if isinstance(told, list) else fields.get("data", fields.get("inputs"))
    if not isinstance(rows, list):
        why = (
            "it was logged without an example of its rows" if told is None else "its input example is no table of rows"
        )
        raise refused(why, GIVE)
    table = pd.DataFrame(cast("Any", rows), columns=fields.get("columns"))
    if not stock.columns and table.shape[1] == stock.width:
        table.columns = pd.Index(names)
    table = _typed(stock, table)
    target = next(one for one in TARGETS if one not in names)
    table[target] = pd.Series([None] * len(table), dtype=_label_type(model))
    return table, target


def _label_type(model: Any) -> str:  # noqa: ANN401
    classes = getattr(model, "classes_", None)
    if classes is None:
        return "Float64"
    first = getattr(classes[0], "item", lambda: classes[0])()
    return "boolean" if isinstance(first, bool) else "Int64" if isinstance(first, int) else "string"


def _rows(stock: Stock, path: Path, target: str) -> tuple[Any, str]:
    """Return rows with their labels from a file, as the model was fitted on such."""
    import pandas as pd
    import polars as pl

    held = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    absent = [name for name in (*(one.name for one in stock.columns), target) if name not in held.columns]
    if absent:
        raise refused(
            f"{path.name} lacks the columns {', '.join(absent[:10])}", "name a file that has them: --rows FILE"
        )
    wanted = [one.name for one in stock.columns] or [name for name in held.columns if name != target]
    if stock.width not in (0, len(wanted)):
        raise refused(f"{path.name} has {len(wanted)} columns besides {target}, the model takes {stock.width}")
    return _typed(stock, pd.DataFrame(held.select(*wanted, target).to_dict(as_series=False))), target


def _typed(stock: Stock, table: Any) -> Any:  # noqa: ANN401 - pandas' frame
    """Return a frame whose columns have the types of the signature; a whole number with gaps stays a float."""
    absent = [one.name for one in stock.columns if one.name not in table.columns]
    if absent:
        raise refused(f"its input example lacks the columns {', '.join(absent[:10])}")
    for one in stock.columns:
        gaps = bool(table[one.name].isna().any()) and one.type in ("integer", "long", "boolean")
        table[one.name] = table[one.name].astype("float64" if gaps else TYPES[one.type][1])
    return table


def _contract(stock: Stock, shape: Shape, target: str) -> bytes:
    """Return the signature as a contract: types and presence, and no ranges, for a few rows are no experience."""
    from ropewalk.data.contract import Column, Contract, to_json

    said = {one.name: one for one in stock.columns}
    columns = [_column(said.get(field.name), field) for field in shape.signature.inputs]
    kind = next((one.type for one in shape.signature.outputs if one.name == "label"), "float")
    labels = Column(name=target, type=cast("Any", kind), nullable=True)
    return to_json(Contract(columns=(*columns, labels), target=target))


def _column(said: Wanted | None, field: Any) -> Any:  # noqa: ANN401
    from ropewalk.data.contract import Column

    kind = cast("Any", TYPES[said.type][0] if said else field.type)
    return Column(name=field.name, type=kind, nullable=field.nullable or (said is not None and not said.required))


if __name__ == "__main__":
    sys.exit(main())
