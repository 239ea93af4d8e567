"""The port: a database runs named queries inside transactions and knows no meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

T = TypeVar("T")
Row = Mapping[str, object]
READ_SECONDS = 2.0
Value = str | int | float | bytes | None


class Reader(Protocol):
    """A consistent view of the rows."""

    def rows(self, query: str, /, **values: Value) -> list[Row]:
        """Return all rows of a named query, such as `runs.list`."""
        ...

    def row(self, query: str, /, **values: Value) -> Row | None:
        """Return the first row of a named query, or None."""
        ...

    def value(self, query: str, /, **values: Value) -> Value:
        """Return the first column of the first row, or None."""
        ...

    def all(self, record: type[T], query: str, /, **values: Value) -> list[T]:
        """Return all rows as frozen records: columns are given to the record's fields by name."""
        ...

    def get(self, record: type[T], query: str, /, **values: Value) -> T | None:
        """Return the first row as a record, or None."""
        ...

    def composed(self, sql: str, values: Mapping[str, Value], /) -> list[Row]:
        """Return all rows of a statement that a `compile.py` composed of constant parts with bound `:names`."""
        ...


class Transaction(Reader, Protocol):
    """A view that may change rows; who opened it owns the commit."""

    def run(self, query: str, /, **values: Value) -> int:
        """Run a named statement; return how many rows it changed."""
        ...

    def many(self, query: str, rows: Iterable[Mapping[str, Value]], /) -> int:
        """Run a named statement for each row of values; return how many rows were changed."""
        ...

    def pour(self, *parts: tuple[str, Sequence[tuple[Value, ...]]]) -> None:
        """Run named inserts of parameters alone, each for many rows at once, in as few statements as can be.

        Args:
            parts: names, each with rows of plain values in the order of the insert's columns. Where an insert changes
                rows that are there, no two of its rows may be the same one; no part may need what another one writes.
        """
        ...


class Database(Protocol):
    """Where rows live."""

    def read(self, *, seconds_max: float | None = READ_SECONDS) -> AbstractContextManager[Reader]:
        """Open a consistent view; never waits for writers.

        Args:
            seconds_max: what a single statement may take: of processor time on SQLite, twice that by the clock on
                PostgreSQL. None for no limit, which is for commands that look at everything. A statement that takes
                more is ended with `query-too-costly` (Invalid).
        """
        ...

    def write(self, work: Callable[[Transaction], T], /, *, key: str | None = None, urgent: bool = False) -> T:
        """Run `work` in one transaction and return its result once it is durable.

        Args:
            work: is given the transaction; an exception undoes all of it and is raised here.
            key: idempotency key; a second call with the same key does nothing and returns the first answer
                (which then must be JSON-able).
            urgent: write even while the last of the disk is kept back: ledger and rollback alone.

        Raises:
            Unavailable: the disk is full or nearly so (`disk-full`), the server does not answer
                (`store-unreachable`), or too many writes wait (`store-overloaded`). Nothing of this work was kept,
                except that a commit whose answer was lost may have been done: an idempotency key makes that safe.
        """
        ...

    def submit(self, work: Callable[[Transaction], T], /, *, key: str | None = None, urgent: bool = False) -> Future[T]:
        """Queue `work` as `write` does, without waiting; cancelling the future before its turn drops it.

        The future is done once the commit is durable. Its callbacks run in the writer's thread: they must be short
        and must not fail.

        Raises:
            Unavailable: the store is closed, or too many writes wait (`store-overloaded`).
        """
        ...

    def pace(self) -> float:
        """Return the seconds that one write took as of late, with its share of a commit; 0 before the first."""
        ...

    def take_turns(self, *, on: bool) -> float:
        """Let the writer work now, and wait for it, so that it and the caller's thread do not hinder each other.

        For an event loop that has more to do than it can: called every few milliseconds it waits as long as a group of
        writes takes the interpreter, but not for the disk, and never longer than a few hundredths of a second. Engines
        whose writes mostly wait for another process do nothing.

        Args:
            on: False when the caller stops doing so, and the writer shall work whenever it wants to.

        Returns:
            The seconds that were waited.
        """
        ...

    def version(self) -> int:
        """Return a number that changes when anybody, in this process or another, has committed."""
        ...

    def tend(self) -> None:
        """Let the engine look again at tables that have changed much: what it knows of them picks the index.

        PostgreSQL does so by itself a minute later, unless its autovacuum is off; then it is told to vacuum too.
        SQLite's searches are written so that they need no such knowledge, and nothing is done.
        """
        ...

    def damage(self) -> list[str]:
        """Return what is wrong with the storage's own structure, in its words; empty when nothing."""
        ...

    def close(self) -> None:
        """Finish what was accepted, then close."""
        ...
