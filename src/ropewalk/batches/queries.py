"""Rows of a query: read once, in one consistent view, into a file of ours that is then scored like any other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from ropewalk.batches.pieces import said
from ropewalk.errors import Invalid, NotFound
from ropewalk.store.sqlitefile import SqliteFile

FILE = "rows.ndjson"
POSTGRES = ("postgresql://", "postgres://")
Rows = Iterator[tuple[tuple[str, ...], tuple[Any, ...]]]


def spool(root: Path, folder: Path, database: str, query: str) -> Path:
    """Return the file with a query's rows; where it is there already, nobody is asked again.

    Args:
        root: the project's folder, to which a file's path is relative.
        folder: the batch's own.
        database: a SQLite file, or `postgresql://USER@HOST:PORT/DATABASE` without a password.
        query: one statement that gives rows.

    Raises:
        Invalid: the database refuses the query.
        NotFound: there is no such file.
        Unavailable: the server does not answer.
    """
    path = folder / FILE
    if path.exists():
        return path
    incoming = folder / f".{FILE}.{os.getpid()}"
    try:
        with incoming.open("wb") as file:
            for names, row in _rows(root, database, query):
                if len(set(names)) != len(names):
                    raise Invalid(
                        "batch-query-refused",
                        "Two columns of the query have the same name.",
                        why=", ".join(names)[:300],
                        fix="give them names of their own: SELECT a AS b",
                    )
                file.write(msgspec.json.encode(dict(zip(names, map(_plain, row), strict=True))) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        incoming.replace(path)
    finally:
        incoming.unlink(missing_ok=True)
    return path


def require_database(root: Path, database: str) -> None:
    """Pass only for a database that can be named in the ledger.

    Raises:
        Invalid: the address holds a password.
        NotFound: there is no such file.
    """
    if database.startswith(POSTGRES):
        if ":" in database.rpartition("@")[0].partition("://")[2] or "password=" in database:
            raise Invalid(
                "batch-database-secret",
                "The database's address holds a password.",
                why="the ledger keeps the address",
                fix="put the password into PGPASSWORD or PGPASSFILE",
            )
    elif not (root / database).is_file():
        raise NotFound("data-file-not-found", "There is no such file.", where=database)


def _rows(root: Path, database: str, query: str) -> Rows:
    if database.startswith(POSTGRES):
        try:
            from ropewalk.store.postgresquery import stream
        except ModuleNotFoundError as error:
            from ropewalk.errors import missing_extra

            raise missing_extra("psycopg", "postgres") from error
        return stream(database, query)
    return SqliteFile(root / database).stream(query)


def _plain(value: Any) -> Any:  # noqa: ANN401 - a cell of any kind
    """Return a cell as JSON would say it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return float(value)
    told = said(value)
    return told if isinstance(told, str) else str(value)
