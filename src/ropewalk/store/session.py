"""Named queries on one connection, the same for both engines: rows as mappings, values and records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ropewalk.store.database import Row, Value
from ropewalk.store.records import maker

T = TypeVar("T")
COMPOSED_MAX = 2000


class Session(ABC):
    """Runs named queries; who opened it owns the transaction around it.

    Args:
        queries: portable SQL by name.
    """

    def __init__(self, queries: Mapping[str, str]) -> None:
        self._queries = queries
        self._columns: dict[str, tuple[str, ...]] = {}

    @abstractmethod
    def _ask(
        self, query: str, sql: str, values: Mapping[str, Value], *, one: bool
    ) -> tuple[list[tuple[Any, ...]], Sequence[Sequence[Any]] | None]:
        """Run a statement; return its rows (the first alone with `one`) and the driver's description of its columns."""

    @abstractmethod
    def run(self, query: str, /, **values: Value) -> int:
        """Run a named statement; return how many rows it changed."""

    @abstractmethod
    def many(self, query: str, rows: Iterable[Mapping[str, Value]], /) -> int:
        """Run a named statement for each row of values; return how many rows were changed."""

    @abstractmethod
    def pour(self, *parts: tuple[str, Sequence[tuple[Value, ...]]]) -> None:
        """Run named inserts of parameters alone, each for many rows at once."""

    def _fetch(self, query: str, sql: str, values: Mapping[str, Value], *, one: bool = False) -> list[Row]:
        """Return rows as mappings; the columns' names are looked at once for each statement."""
        found, description = self._ask(query, sql, values, one=one)
        if not found:
            return []
        columns = self._columns.get(sql)
        if columns is None:
            columns = self._columns[sql] = tuple(str(column[0]) for column in description or ())
        return [dict(zip(columns, row, strict=True)) for row in found]

    def rows(self, query: str, /, **values: Value) -> list[Row]:
        """Return all rows of a named query."""
        return self._fetch(query, self._queries[query], values)

    def row(self, query: str, /, **values: Value) -> Row | None:
        """Return the first row of a named query, or None."""
        found = self._fetch(query, self._queries[query], values, one=True)
        return found[0] if found else None

    def value(self, query: str, /, **values: Value) -> Value:
        """Return the first column of the first row, or None."""
        found, _ = self._ask(query, self._queries[query], values, one=True)
        return found[0][0] if found else None

    def all(self, record: type[T], query: str, /, **values: Value) -> list[T]:
        """Return all rows as records."""
        make = maker(record)
        return [make(row) for row in self.rows(query, **values)]

    def get(self, record: type[T], query: str, /, **values: Value) -> T | None:
        """Return the first row as a record, or None."""
        row = self.row(query, **values)
        return None if row is None else maker(record)(row)

    def composed(self, sql: str, values: Mapping[str, Value], /) -> list[Row]:
        """Return all rows of a statement that a `compile.py` composed of constant parts."""
        if len(self._columns) > COMPOSED_MAX:
            self._columns.clear()
        return self._fetch("composed", sql, values)
