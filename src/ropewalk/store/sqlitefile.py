"""Somebody else's SQLite file, such as the database of a user's project: whole scripts, each in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from ropewalk.store.database import Row, Value
from ropewalk.store.refusals import query_refused
from ropewalk.store.sqlite import BUSY_SECONDS, translate


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Value, ...]) -> dict[str, Value]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


class SqliteFile:
    """A SQLite file that is not ours.

    Args:
        path: the file; made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_SECONDS)
            try:
                connection.row_factory = cast("Any", _as_dict)
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise translate(error, self._path.name) from error

    def change(self, statements: Iterable[tuple[str, Mapping[str, Value]]], *, claims: bool = False) -> None:
        """Run single statements in one transaction, all or none; with `claims` none unless the first changes a row."""
        with self._open() as connection:
            connection.execute("begin immediate")
            try:
                for number, (statement, values) in enumerate(statements):
                    if connection.execute(statement, values).rowcount < 1 and claims and number == 0:
                        break
                else:
                    connection.execute("commit")
            finally:
                if connection.in_transaction:
                    connection.execute("rollback")

    def rows(self, query: str) -> list[Row]:
        """Return all rows of a query."""
        with self._open() as connection:
            return cast("list[Row]", connection.execute(query).fetchall())

    def stream(self, query: str) -> Iterator[tuple[tuple[str, ...], tuple[Value, ...]]]:
        """Yield the names of the columns and the values of each row of a query that may change nothing."""
        with self._open() as connection:
            connection.execute("pragma query_only = on")
            connection.row_factory = None
            try:
                cursor = connection.execute(query)
            except sqlite3.Error as error:
                raise query_refused(str(error)) from error
            names = tuple(column[0] for column in cursor.description or ())
            for row in cursor:
                yield names, row

    def copy(self, target: Path) -> None:
        """Copy a consistent state into a new file while others read and write."""
        with self._open() as source, SqliteFile(target)._open() as copy:  # noqa: SLF001 - the same class
            source.backup(copy)


def split_sql(script: str) -> list[str]:
    """Return the single statements of a script; comments between them are kept with the one that follows."""
    statements: list[str] = []
    part = ""
    for piece in script.split(";"):
        part += piece + ";"
        if sqlite3.complete_statement(part):
            statements.append(part.strip())
            part = ""
    rest = part.strip().removesuffix(";").strip()
    return [*statements, rest] if rest else statements
