"""The process that makes a version of a model of MLflow's client: it loads it, tries it, and writes its contract.

A process of its own because loading a model runs code of the libraries that it names, which must not happen beside the
keys. What it may name is on the allow-list, as for every model that is served.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ropewalk.errors import RopewalkError
from ropewalk.models.signature import Shape
from ropewalk.models.stock import TYPES, Stock, Wanted, read_stock, refused

GIVE = "log_model(..., input_example=X), or: ropewalk ship MODEL --rows FILE --target COLUMN"
TARGETS = ("target", "label", "ropewalk.label")


def main() -> int:
    """Read a note from standard input, write the answer to standard output (internal)."""
    note = json.loads(sys.stdin.read())
    warnings.simplefilter("ignore")
    try:
        found: dict[str, Any] = _adopted(note)
    except RopewalkError as error:
        found = {"error": [error.code, error.what, error.where, error.why, error.fix]}
    except Exception as error:  # noqa: BLE001 - whatever a library raises while it loads a model is why it is not taken
        found = {"why": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    sys.stdout.write(json.dumps(found))
    return 0


def _adopted(note: dict[str, Any]) -> dict[str, Any]:
    from ropewalk.blobs.place import open_at
    from ropewalk.models import log
    from ropewalk.models.signature import shape_of

    stock = read_stock(Path(note["folder"]))
    model = load(stock, note["allowed"])
    shown = not note["rows"]
    table, target = _example(stock, model) if shown else _rows(stock, Path(note["rows"]), str(note["target"]))
    shape = shape_of(model, table, target)
    log.check_answers(model, shape)
    contract = _contract(stock, shape, target) if shown else None
    digest = log.build(
        open_at(note["blobs"]), model, note["name"], shape=shape, train=table, holdout=None, target=target,
        contract=contract,
    )  # fmt: skip
    return {"manifest": digest, "rows": len(table), "labelled": not shown}


def load(stock: Stock, allowed: Sequence[str]) -> Any:  # noqa: ANN401 - an estimator of any library
    """Return the model.

    Raises:
        Refused: its file names something that may not be loaded.
    """
    from ropewalk.models import formats

    if stock.part in (formats.SKOPS, formats.PICKLE):
        return formats.load(stock.part, stock.file.read_bytes(), allowed)
    home, _, name = stock.part.rpartition(".")
    made = getattr(importlib.import_module(home), name)()
    made.load_model(stock.file)
    return made


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
