"""What a plain insert says: the table, the columns and the value of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain

from ropewalk.records import frozen
from ropewalk.store.database import Value

POUR_ROWS = (100, 10, 1)
_INSERT = re.compile(
    r"\s*insert\s+into\s+(\w+)\s*\(([^)]*)\)\s*values\s*\(([^)]*)\)\s*(on\s+conflict\b.*)?$",
    re.IGNORECASE | re.DOTALL,
)
_ENDS = re.compile(r"\bdo\s+nothing\s*$", re.IGNORECASE)
_MORE = re.compile(r":\w|\breturning\b", re.IGNORECASE)
_TARGET = re.compile(r"\s*insert\s+into\s+(\w+)\s*\(([^)]*)\)", re.IGNORECASE)


@frozen
class Insert:
    """An insert of which each value is a parameter.

    Attributes:
        table: where the row goes.
        columns: its columns in order.
        names: the parameter of each column.
        rest: `on conflict ...`, or empty.
    """

    table: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    rest: str

    @property
    def plain(self) -> bool:
        """Whether it changes no row that is there, so that it may name one twice."""
        return not self.rest or _ENDS.search(self.rest) is not None


def plain_insert(sql: str) -> Insert | None:
    """Return what a statement inserts when all its values are parameters and it changes no other row, or None."""
    found = insert_of(sql)
    return found if found and found.plain else None


def insert_of(sql: str) -> Insert | None:
    """Return what a statement inserts when all its values are parameters, or None; it may change what is there."""
    found = _INSERT.match(sql)
    if found is None or _MORE.search(found[4] or ""):
        return None
    columns, values = ([part.strip() for part in found[place].split(",")] for place in (2, 3))
    if len(columns) != len(values) or not all(re.fullmatch(r":\w+", value) for value in values):
        return None
    return Insert(
        table=found[1], columns=tuple(columns), names=tuple(value[1:] for value in values), rest=found[4] or ""
    )


def poured(sql: str, rows: Sequence[tuple[Value, ...]]) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """Yield statements that insert many rows, each with its values, by their place."""
    if len(rows) == 1:
        yield _sizes(sql)[-1][1], rows[0]
        return
    start = 0
    for size, said in _sizes(sql):
        while len(rows) - start >= size:
            yield said, tuple(chain.from_iterable(rows[start : start + size]))
            start += size


@cache
def _sizes(sql: str) -> tuple[tuple[int, str], ...]:
    """Return how an insert of parameters alone is said for so many rows at once, the most first."""
    insert = insert_of(sql)
    assert insert, f"not an insert of parameters alone: {sql[:80]}"
    row = f"({', '.join('?' * len(insert.columns))})"
    head = f"insert into {insert.table} ({', '.join(insert.columns)}) values "  # noqa: S608 - our own statement
    return tuple((size, f"{head}{', '.join([row] * size)} {insert.rest}") for size in POUR_ROWS)


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
