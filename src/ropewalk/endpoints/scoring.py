"""MLflow's scoring protocol: `/invocations` in its five forms of a body, answered as `mlflow models serve` does.

Source: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally (where it is silent, the server's own code).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from itertools import islice
from math import isnan
from typing import Any, cast

import msgspec

from ropewalk.endpoints.asking import Asked, Given
from ropewalk.endpoints.guard import decode_json
from ropewalk.endpoints.plain import KEY_LETTERS_MAX, RECORDS_MAX
from ropewalk.endpoints.protocol import require_answers
from ropewalk.endpoints.reply import JSON, Reply
from ropewalk.endpoints.served import Served
from ropewalk.errors import Invalid

# The version of MLflow whose scoring server these routes answer like.
SPOKEN_VERSION = "3.17.2"
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV = b"text/csv"
IDS_SHOWN_MAX = 100
_SPLIT = frozenset(("columns", "data", "index"))
# What pandas reads from a CSV file as an empty value.
_EMPTY = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip
_FLAGS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
Row = dict[str, Any]


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand in `params`; members that are not known here are passed over, as MLflow's server does.

    Attributes:
        key: what the split among releases is sticky by.
        outputs: outputs by name that each prediction shall have, as an object; the model's own prediction otherwise.
    """

    key: str | None = None
    outputs: list[str] | None = None


def decode(body: bytes, media: bytes, served: Served) -> tuple[Asked, Params]:
    """Return the rows of a request; columns that the model does not know are passed over, as MLflow does.

    Args:
        body: JSON or CSV.
        media: which of the two.
        served: the release whose columns give rows without names theirs, and texts of a CSV file their types.

    Raises:
        Invalid: it is none of the forms; the error says which member is wrong.
    """
    if media == CSV:
        rows, params = _of_csv(body, served), Params()
    else:
        rows, params = _of_json(_json(body), served)
    if not 1 <= len(rows) <= RECORDS_MAX:
        raise _malformed("rows", f"between 1 and {RECORDS_MAX} rows; found {len(rows)}")
    known = {field.name: _LIKE_PANDAS.get(field.type, _same) for field in served.inputs}
    kept = [{name: known[name](value) for name, value in row.items() if name in known} for row in rows]
    return Asked(kept, [params.key] * len(kept), None), params


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return JSON of any shape; NaN and infinities are read too, for MLflow's own client writes them."""
    try:
        return decode_json(body)
    except Invalid as error:
        if error.code != "json-malformed" or not (b"NaN" in body or b"Infinity" in body):
            raise
        try:
            return json.loads(body, parse_constant=lambda word: None if word == "NaN" else float(word))
        except ValueError:
            raise error from None


def _of_json(value: Any, served: Served) -> tuple[list[Row], Params]:  # noqa: ANN401 - JSON of any shape
    if not isinstance(value, dict):
        raise _malformed("body", f"an object with exactly one of {', '.join(FORMS)}; found a {_kind(value)}")
    said = cast("dict[str, Any]", value)
    found = [name for name in FORMS if name in said]
    if len(found) != 1:
        raise _malformed("body", f"exactly one of {', '.join(FORMS)}; found {', '.join(list(said)[:20]) or 'nothing'}")
    name = found[0]
    return _READ[name](said[name], served), _params(said.get("params"), served)


def _params(value: Any, served: Served) -> Params:  # noqa: ANN401 - JSON of any shape
    if value is None:
        return Params()
    try:
        params = msgspec.convert(value, Params)
    except msgspec.ValidationError as error:
        raise _malformed("params", str(error)) from error
    if params.key is not None and len(params.key) > KEY_LETTERS_MAX:
        raise _malformed("params.key", f"text of at most {KEY_LETTERS_MAX} letters")
    known = [output.name for output in served.outputs]
    for name in params.outputs or ():
        if name not in known:
            raise _malformed(f"params.outputs: {name[:80]!r}", f"known are {', '.join(known)}")
    return params


def _split(value: Any, _served: Served) -> list[Row]:  # noqa: ANN401 - JSON of any shape
    """Return the rows of `{"columns", "data"}`."""
    if not isinstance(value, dict):
        raise _malformed("dataframe_split", f"an object with columns and data; found a {_kind(value)}")
    said = cast("dict[str, Any]", value)
    columns, data = said.get("columns"), said.get("data")
    if not said.keys() <= _SPLIT or not _texts(columns) or not isinstance(data, list):
        raise _malformed("dataframe_split", f"columns (texts) and data (rows); found {', '.join(list(said)[:20])}")
    names = cast("list[str]", columns)
    if len(set(names)) != len(names):
        raise _malformed("dataframe_split.columns", "names of which none stands twice")
    return _named(cast("list[Any]", data), names, "dataframe_split.data")


def _records(value: Any, _served: Served) -> list[Row]:  # noqa: ANN401 - JSON of any shape
    rows = cast("list[Any]", value) if isinstance(value, list) else None
    if rows is None or not all(isinstance(row, dict) for row in rows):
        raise _malformed("dataframe_records", "a list of objects")
    return rows


def _tensors(value: Any, served: Served) -> list[Row]:  # noqa: ANN401 - JSON of any shape
    """Return the rows of `instances` or `inputs`: objects, columns, or rows in the order of the model's columns."""
    names = [field.name for field in served.inputs]
    if isinstance(value, dict):
        return _columns(cast("dict[str, Any]", value))
    if not isinstance(value, list):
        raise _malformed("instances, inputs", f"a list of rows or an object of columns; found a {_kind(value)}")
    rows = cast("list[Any]", value)
    if all(isinstance(row, dict) for row in rows):
        return cast("list[Row]", rows)
    if len(names) == 1 and not any(isinstance(row, list) for row in rows):
        return [{names[0]: row} for row in rows]
    return _named(rows, names, "instances, inputs")


def _columns(columns: dict[str, Any]) -> list[Row]:
    """Return the rows of columns by name; single values are one row."""
    if not any(isinstance(values, list) for values in columns.values()):
        return [columns]
    if not all(isinstance(values, list) for values in columns.values()):
        raise _malformed("instances, inputs", "lists for all columns, or for none")
    if len({len(values) for values in columns.values()}) > 1:
        raise _malformed("instances, inputs", "columns of the same length")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _named(rows: list[Any], names: list[str], where: str) -> list[Row]:
    """Return rows without names as objects."""
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(cast("list[Any]", row)) != len(names):
            raise _malformed(f"{where}[{at}]", f"a list of {len(names)} values: {', '.join(names[:20])}")
    return [dict(zip(names, row, strict=True)) for row in rows]


_READ: Mapping[str, Callable[[Any, Served], list[Row]]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _tensors,
    "inputs": _tensors,
}


def _texts(value: Any) -> bool:  # noqa: ANN401 - JSON of any shape
    return isinstance(value, list) and all(isinstance(one, str) for one in cast("list[Any]", value))


def _kind(value: object) -> str:
    kinds: dict[type, str] = {dict: "object", list: "list", str: "text", type(None): "null"}
    return kinds.get(type(value), "single value")


# ------------------------------------------------------------------------------------------------------- values
def _same(value: Any) -> Any:  # noqa: ANN401 - a cell of any type
    return value


def _whole(value: Any) -> Any:  # noqa: ANN401 - a cell of any type
    """Return a float without fraction as the whole number that it was before a data frame held it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_LIKE_PANDAS: Mapping[str, Callable[[Any], Any]] = {"int": _whole}


def _of_csv(body: bytes, served: Served) -> list[Row]:
    """Return the rows of a CSV file with a line of names; a text that is not of its column's type is left as it is."""
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        lines = list(
            islice((line for line in reader if line), RECORDS_MAX + 2)
        )  # one more than there may be, with the names
    except (UnicodeDecodeError, csv.Error) as error:
        raise _malformed("body", f"CSV in UTF-8: {error}") from error
    if not lines:
        raise _malformed("body", "CSV with a line of names first; found nothing")
    names = lines[0]
    if len(set(names)) != len(names):
        raise _malformed("body", "a name stands twice in the line of names")
    kinds = {field.name: field.type for field in served.inputs}
    read = [_CELLS[kinds.get(name, "string")] for name in names]
    for at, line in enumerate(lines[1:], start=1):
        if len(line) != len(names):
            raise _malformed(f"row {at}", f"{len(names)} values; found {len(line)}")
    return [
        {name: None if text in _EMPTY else of(text) for name, text, of in zip(names, line, read, strict=True)}
        for line in lines[1:]
    ]


def _cell_int(text: str) -> object:
    try:
        return text if "_" in text else int(text)
    except ValueError:
        return _whole(_cell_float(text))


def _cell_float(text: str) -> object:
    try:
        value = text if "_" in text else float(text)
    except ValueError:
        return text
    return None if isinstance(value, float) and isnan(value) else value


def _cell_bool(text: str) -> object:
    return _FLAGS.get(text.lower(), text)


_CELLS: Mapping[str, Callable[[str], object]] = {
    "int": _cell_int,
    "float": _cell_float,
    "bool": _cell_bool,
    "string": str,
    "datetime": str,
}


# ------------------------------------------------------------------------------------------------------ answers
def encode(given: Given, params: Params) -> Reply:
    """Return `{"predictions": [...]}`: the label of a classifier, the number of a regression, or what `outputs` names.

    Who answered and the predictions' ids stand in headers, for MLflow's body has no place for them.

    Raises:
        RopewalkError: a row's output is not a number that may be used.
    """
    require_answers(given)
    served = given.warm.served
    if params.outputs:
        told: list[Any] = [{name: row[name] for name in params.outputs} for row in given.rows]
    else:
        own = own_output(served)
        told = [row[own] for row in given.rows]
    headers = [(b"x-ropewalk-release", served.release.encode())]
    if len(given.ids) <= IDS_SHOWN_MAX:
        headers.append((b"x-ropewalk-prediction-ids", ",".join(given.ids).encode()))
    return Reply(msgspec.json.encode({"predictions": told}), JSON, tuple(headers))


def own_output(served: Served) -> str:
    """Return the output that the model's own `predict` gives: its label, or the only number of a regression."""
    names = [output.name for output in served.outputs]
    return next((name for name in ("label", "prediction") if name in names), names[0])


def _malformed(where: str, why: str) -> Invalid:
    return Invalid(
        "request-malformed",
        "The request is not of MLflow's scoring protocol.",
        where=where,
        why=why,
        fix="/openapi.json has an example",
    )
