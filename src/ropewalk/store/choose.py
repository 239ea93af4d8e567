"""Picks the engine: PostgreSQL where an address is given, the SQLite file in the project's folder otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

from ropewalk.clock import Clock
from ropewalk.errors import Invalid, missing_extra
from ropewalk.store.link import Store
from ropewalk.store.sqlite import SqliteDatabase

if TYPE_CHECKING:
    from ropewalk.store.postgres import PostgresDatabase

SCHEMES = ("postgresql://", "postgres://")


def open_store(url: str, path: Path, clock: Clock, *, climb: bool = True) -> Store:
    """Open the store of a project.

    Args:
        url: `postgresql://...`, or empty.
        path: the SQLite file that is taken when the address is empty.
        clock: the time.
        climb: bring the schema to this release's.

    Raises:
        Invalid: the address is not one of PostgreSQL's (`store-url-invalid`).
        Missing: the driver is not installed.
        Unavailable: the server does not answer.
    """
    return open_postgres(url, clock, climb=climb) if url else SqliteDatabase(path, clock, climb=climb)


def with_schema(url: str, schema: str) -> str:
    """Return an address that leads to another schema of the same database."""
    place, _, query = url.partition("?")
    said = dict(parse_qsl(query, keep_blank_values=True))
    # Of two settings of one name PostgreSQL takes the last.
    said["options"] = f"{said.get('options', '')} -csearch_path={schema}".strip()
    return f"{place}?{urlencode(said, quote_via=quote)}"


def make_schema(url: str, schema: str) -> None:
    """Make a schema of a PostgreSQL store where it is missing.

    Raises:
        Unavailable: the server does not answer, or does not let us (`store-unreachable`).
    """
    from ropewalk.store import postgres

    postgres.make_schema(url, schema)


def drop_schema(url: str, schema: str) -> None:
    """Remove a schema of a PostgreSQL store with all that it holds.

    Raises:
        Unavailable: the server does not answer, or does not let us.
    """
    from ropewalk.store import postgres

    postgres.drop_schema(url, schema)


def open_postgres(url: str, clock: Clock, *, climb: bool = True) -> PostgresDatabase:
    """Open a PostgreSQL store; `climb` and what is raised as in `PostgresDatabase` and `open_store`."""
    if not url.startswith(SCHEMES):
        raise Invalid(
            "store-url-invalid",
            "The store's address is not one of PostgreSQL's.",
            where="[store] url, or ROPEWALK_STORE_URL",
            why=f"it begins with {url.partition(':')[0][:40]!r}",
            fix="give postgresql://USER@HOST:PORT/DATABASE, or nothing for the SQLite file in the project",
        )
    try:
        from ropewalk.store.postgres import PostgresDatabase
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("psycopg"):
            raise
        raise missing_extra("psycopg", "postgres") from error
    return PostgresDatabase(url, clock, climb=climb)
