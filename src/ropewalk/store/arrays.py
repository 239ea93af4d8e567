"""Many rows as one PostgreSQL statement: each column travels as an array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ropewalk.store.database import Value
from ropewalk.store.inserts import Insert

_TEXTS = {str}
_QUOTED = str.maketrans({'"': '\\"', "\\": "\\\\"})
_NUMBERS = {"bigint": frozenset((int,)), "double precision": frozenset((int, float))}


def unnested(
    insert: Insert, types: Mapping[tuple[str, str], str], columns: Sequence[Sequence[Value]]
) -> tuple[str, dict[str, Any]]:
    """Return an insert of many rows in psycopg's words, and its values.

    Args:
        insert: what is inserted.
        types: PostgreSQL's type of each column, by table and column.
        columns: the values of each of the insert's columns.
    """
    kinds = [types[insert.table, column] for column in insert.columns]
    arrays = ", ".join(f"%(c{place})s::{kind}[]" for place, kind in enumerate(kinds))
    sql = (
        f"insert into {insert.table} ({', '.join(insert.columns)}) "  # noqa: S608 - our own statement, taken apart
        f"select * from unnest({arrays}) {insert.rest}"
    )
    named = zip(kinds, columns, strict=True)
    return sql, {f"c{place}": array_of(values, kind) for place, (kind, values) in enumerate(named)}


def array_of(values: Sequence[Value], kind: str) -> str | list[Value]:
    """Return values as an array of one type: in PostgreSQL's own words, which is quicker, or as a list."""
    found = set(map(type, values))
    if found <= _NUMBERS.get(kind, frozenset()):
        return "{" + repr(list(values))[1:-1] + "}"
    if found == _TEXTS:
        return "{" + ",".join([f'"{str(value).translate(_QUOTED)}"' for value in values]) + "}"
    if kind == "double precision":
        return [None if value is None else float(value) for value in values]
    return list(values)
