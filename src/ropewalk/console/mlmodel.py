"""The signature in an `MLmodel` file: columns that go in and come out, read without a parser of all YAML."""

from __future__ import annotations

import json
import re
from typing import Any, cast

BYTES_MAX = 1 << 20
COLUMNS_MAX = 500
_BLOCK = re.compile(r"^signature:[ \t]*\n((?:[ \t]+.*\n?|[ \t]*\n)+)", re.MULTILINE)
_SAID = re.compile(r"^[ \t]+(inputs|outputs|params):[ \t]+('(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\")", re.MULTILINE)
_SPACE = " \t"


def signature_of(text: str) -> list[tuple[str, list[dict[str, str]]]]:
    """Return inputs, outputs and parameters with the name and type of each column; empty where there are none.

    MLflow writes each of them as one JSON text in quotes, folded over lines.

    Args:
        text: the file.
    """
    block = _BLOCK.search(text)
    if block is None:
        return []
    found: list[tuple[str, list[dict[str, str]]]] = []
    for word, quoted in _SAID.findall(block[1]):
        columns = _columns(_plain(quoted))
        if columns:
            found.append((str(word), columns))
    return found


def _plain(quoted: str) -> str:
    """Return what a quoted scalar says: a break of a line is one space."""
    inner = quoted[1:-1]
    if quoted.startswith("'"):
        return _folded(inner).replace("''", "'")
    folded = _folded(re.sub(r"\\\n[ \t]*(?:\\(?=[ \t]))?", "", inner))
    return re.sub(r"\\(.)", r"\1", folded)


def _folded(text: str) -> str:
    """Return a text whose breaks of lines are a space each, whatever space was around them."""
    first, *others = text.split("\n")
    if not others:
        return text
    *middle, last = others
    return " ".join([first.rstrip(_SPACE), *(one.strip(_SPACE) for one in middle), last.lstrip(_SPACE)])


def _columns(text: str) -> list[dict[str, str]]:
    try:
        listed: object = json.loads(text)
    except (ValueError, RecursionError):
        return []
    columns = cast(list[object], listed) if isinstance(listed, list) else []
    return [
        {"name": str(one.get("name", "")), "type": _type(one)}
        for column in columns[:COLUMNS_MAX]
        if isinstance(column, dict)
        for one in [cast(dict[str, Any], column)]
    ]


def _type(column: dict[str, Any]) -> str:
    spec: object = column.get("tensor-spec")
    if isinstance(spec, dict):
        tensor = cast(dict[str, Any], spec)
        return f"tensor {tensor.get('dtype', '')} {json.dumps(tensor.get('shape', ''))}"
    kind = column.get("type", "")
    said = str(kind) if column.get("type") not in ("array", "object", "map") else json.dumps(column)[:300]
    return said if column.get("required", True) else f"{said}, optional"
