"""A query of a user's own at a PostgreSQL server, read row by row through a cursor of the server's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from ropewalk.store.refusals import query_refused, unreachable

ROWS_A_FETCH = 2000
CONNECT_SECONDS = 10


def stream(url: str, query: str) -> Iterator[tuple[tuple[str, ...], tuple[Any, ...]]]:
    """Yield the names of the columns and the values of each row, of one consistent view that changes nothing.

    Args:
        url: `postgresql://USER@HOST:PORT/DATABASE`.
        query: one statement that gives rows.

    Raises:
        Unavailable: the server does not answer, or refuses us.
        Invalid: the server refuses the query.
    """
    try:
        connection = psycopg.connect(url, connect_timeout=CONNECT_SECONDS)
    except psycopg.Error as error:
        raise unreachable("the database of the query", str(error).strip()) from error
    try:
        with connection, connection.cursor(name="ropewalk_batch") as cursor:
            connection.read_only = True
            cursor.itersize = ROWS_A_FETCH
            cursor.execute(query.encode())
            names: tuple[str, ...] = ()
            for row in cursor:
                names = names or tuple(one.name for one in cursor.description or ())
                yield names, row
    except psycopg.Error as error:
        raise query_refused(str(error)) from error
    finally:
        connection.close()
