"""What a plain insert says: the table, the columns and the value of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_INSERT = re.compile(
    r"\s*insert\s+into\s+(\w+)\s*\(([^)]*)\)\s*values\s*\(([^)]*)\)\s*(on\s+conflict\b.*\bdo\s+nothing)?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_TARGET = re.compile(r"\s*insert\s+into\s+(\w+)\s*\(([^)]*)\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """An insert of which each value is a parameter.

    Attributes:
        table: where the row goes.
        columns: its columns in order.
        names: the parameter of each column.
        rest: `on conflict ... do nothing`, or empty.
    """

    table: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    rest: str


def plain_insert(sql: str) -> Insert | None:
    """Return what a statement inserts when all its values are parameters and it changes no other row, or None."""
    found = _INSERT.match(sql)
    if found is None or ":" in (found[4] or ""):
        return None
    columns, values = ([part.strip() for part in found[place].split(",")] for place in (2, 3))
    if len(columns) != len(values) or not all(re.fullmatch(r":\w+", value) for value in values):
        return None
    return Insert(
        table=found[1], columns=tuple(columns), names=tuple(value[1:] for value in values), rest=found[4] or ""
    )


def numbered_by_hand(queries: Mapping[str, str], identities: Iterable[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Return table and column of each query that gives a number which other queries leave to the database.

    After such a query the database must be told to go on above that number.
    """
    given: dict[str, dict[str, bool]] = {}
    columns = dict(identities)
    for name, sql in queries.items():
        found = _TARGET.match(sql)
        if found and found[1] in columns:
            by_hand = columns[found[1]] in (part.strip() for part in found[2].split(","))
            given.setdefault(found[1], {})[name] = by_hand
    return {
        name: (table, columns[table])
        for table, names in given.items()
        for name, by_hand in names.items()
        if by_hand and not all(names.values())
    }
