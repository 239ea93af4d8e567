"""A connection as the writer, the schema's steps and the copying of whole stores drive it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from ropewalk.store.database import Database, Transaction, Value


class Link(Protocol):
    """One connection that writes; what fails is raised in our words."""

    @property
    def dialect(self) -> str:
        """Return `sqlite` or `postgres`."""
        ...

    @property
    def session(self) -> Transaction:
        """Return what a job is given."""
        ...

    def begin(self) -> None:
        """Begin a transaction that no other writer runs beside."""
        ...

    def mark(self) -> None:
        """Set a savepoint."""
        ...

    def undo(self) -> None:
        """Undo all since the savepoint and take it away."""
        ...

    def keep(self) -> None:
        """Take the savepoint away and keep what came after it."""
        ...

    def commit(self) -> None:
        """Return once everything is durable."""
        ...

    def rollback(self) -> None:
        """Undo the transaction."""
        ...

    def lost(self) -> bool:
        """Return whether the engine gave the transaction up by itself: a full disk, a broken connection."""
        ...

    def raw(self, statement: str, values: Mapping[str, Value] | None = None) -> list[tuple[Value, ...]]:
        """Run a statement that has no name, such as a step of the schema; `:names` are bound when values are given."""
        ...

    def look(self) -> None:
        """Begin a view that stands still and waits for nobody; `rollback` ends it."""
        ...

    def scan(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[tuple[Value, ...]]]:
        """Return all rows of a table, thousands at a time, within the transaction or view that is open."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        """Write rows into a table; numbers that the database would give are taken as they are."""
        ...

    def go_on_above(self, table: str, column: str) -> None:
        """Let the database give only numbers above those that are there."""
        ...

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of each table, in order, without the engine's own tables."""
        ...

    def close(self) -> None:
        """Undo what is open and close; never fails."""
        ...


class Store(Database, Protocol):
    """A database whose rows can be copied as a whole and whose schema can be walked."""

    def link(self, *, patient: bool = False) -> Link:
        """Open a connection that writes; who opened it closes it. A patient one has no limits of time."""
        ...

    def hold(self, *, alone: bool = False) -> None:
        """Have the store open until it is closed or its process ends, beside others or alone.

        Raises:
            Conflict: others have it open, and it is wanted alone (`store-in-use`).
            Unavailable: another has it alone (`store-held`).
        """
        ...

    def place(self) -> str:
        """Return where it is, without secrets."""
        ...

    def bytes(self) -> int:
        """Return how much room it takes."""
        ...
