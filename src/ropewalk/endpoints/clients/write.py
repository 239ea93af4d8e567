"""Writing a client: the types of a contract put into the text of a client, the same bytes for the same contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pprint import pformat
from typing import Any, Literal

from ropewalk.data.contract import Column
from ropewalk.endpoints.openapi import record_schema
from ropewalk.endpoints.plain import RECORDS_MAX
from ropewalk.endpoints.served import Served

Language = Literal["python", "typescript"]
ENDINGS: Mapping[str, str] = {"python": ".py", "typescript": ".ts"}
_PYTHON = {"int": "int", "float": "float", "bool": "bool", "string": "str", "datetime": "str"}
_TYPESCRIPT = {"int": "number", "float": "number", "bool": "boolean", "string": "string", "datetime": "string"}
WIDTH = 118


def write(language: Language, endpoint: str, served: Served) -> str:
    """Return the text of a client.

    Args:
        language: `python` or `typescript`.
        endpoint: name of the endpoint.
        served: who answers there.
    """
    parts = _python(endpoint, served) if language == "python" else _typescript(endpoint, served)
    text = files("ropewalk.endpoints.clients").joinpath(f"{language}.txt").read_text("utf-8")
    common = {"NAME": endpoint, "RELEASE": served.release, "RECORDS_MAX": f"{RECORDS_MAX:_}"}
    for name, value in (common | parts).items():
        text = text.replace(f"@{name}@", value)
    return text


def _python(endpoint: str, served: Served) -> dict[str, str]:
    record = {column.name: _python_type(column) for column in served.contract.inputs}
    outputs = {one.name: "int | str | bool" if one.name == "label" else _PYTHON[one.type] for one in served.outputs}
    prediction = {
        "id": "str",
        **{name: f"NotRequired[{kind}]" for name, kind in outputs.items()},
        "release": "NotRequired[str]",
        "error": "NotRequired[Problem]",
        "warnings": "NotRequired[list[dict[str, Any]]]",
    }
    return {
        "ENDPOINT": repr(endpoint),
        "CONTRACT": f"{_literal(record_schema(served.contract))}",
        "RECORD": _python_fields(record),
        "PREDICTION": _python_fields(prediction),
        "EXAMPLE": _literal(served.example),
    }


def _python_fields(fields: Mapping[str, str]) -> str:
    return "{\n" + "".join(f"    {json.dumps(name)}: {kind},\n" for name, kind in fields.items()) + "}"


def _python_type(column: Column) -> str:
    kind = _PYTHON[column.type]
    if column.strict and column.categories is not None:
        kind = f"Literal[{', '.join(json.dumps(one) for one in column.categories)}]"
    return f"NotRequired[{kind} | None]" if column.nullable else kind


def _literal(value: object) -> str:
    return pformat(value, width=WIDTH, sort_dicts=False, compact=True)


def _typescript(endpoint: str, served: Served) -> dict[str, str]:
    record = {column.name: _typescript_type(column) for column in served.contract.inputs}
    nullable = {column.name for column in served.contract.inputs if column.nullable}
    outputs = {
        one.name: "number | string | boolean" if one.name == "label" else _TYPESCRIPT[one.type]
        for one in served.outputs
    }
    prediction = {
        "id": "string",
        **outputs,
        "release": "string",
        "error": "Problem",
        "warnings": "{ field: string; rule: string; message: string }[]",
    }
    return {
        "ENDPOINT": json.dumps(endpoint),
        "RECORD": _typescript_fields(record, nullable),
        "PREDICTION": _typescript_fields(prediction, set(prediction) - {"id"}),
        "EXAMPLE": json.dumps(served.example, indent=2, ensure_ascii=True),
    }


def _typescript_fields(fields: Mapping[str, str], optional: set[str]) -> str:
    lines = [f"  {json.dumps(name)}{'?' if name in optional else ''}: {kind};\n" for name, kind in fields.items()]
    return "{\n" + "".join(lines) + "}"


def _typescript_type(column: Column) -> str:
    kind: Any = _TYPESCRIPT[column.type]
    if column.strict and column.categories is not None:
        kind = " | ".join(json.dumps(one) for one in column.categories)
    return f"{kind} | null" if column.nullable else kind
