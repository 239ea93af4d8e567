"""One connection to PostgreSQL: how it is opened, what runs on it, and its errors in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

from ropewalk.errors import Conflict, Corrupt, RopewalkError, Unavailable
from ropewalk.store.arrays import unnested
from ropewalk.store.database import READ_SECONDS, Value
from ropewalk.store.dialect import SCAN_ROWS, quoted, to_postgres
from ropewalk.store.inserts import Insert
from ropewalk.store.pulse import Pulse
from ropewalk.store.queries import load_queries
from ropewalk.store.refusals import busy, disk_full, too_costly, unreachable, unstorable
from ropewalk.store.session import Session

BATCH_ROWS = 5_000
ARRAYS_FROM = 16
CONNECT_SECONDS = 4
GRACE_SECONDS = 1.0
# A clock on the wall is no processor's: the server may be busy with others.
READ_MS = int(2 * READ_SECONDS * 1000)
WRITE_MS = 30_000
# Who holds the writers' lock and does nothing keeps everybody else waiting.
WRITE_IDLE_MS = 60_000
SERVER = {
    "synchronous_commit": "on",
    "lock_timeout": "4000",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "client_min_messages": "warning",
    "jit": "off",
    "random_page_cost": "1.1",
}
LINE = {
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 4000,
    "client_encoding": "UTF8",
    "application_name": "ropewalk",
}


class _FlagDumper(Dumper):
    """A bool is the number 0 or 1, as in SQLite."""

    oid = psycopg.adapters.types["int8"].oid

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _FlagLoader(Loader):
    def load(self, data: Buffer) -> int:
        return int(bytes(data) == b"t")


class _NumberLoader(Loader):
    """A sum of whole numbers is one; what has a point is a float."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a database's sessions know of its queries and tables.

    Attributes:
        inserts: inserts of parameters alone by query name.
        types: PostgreSQL's type of each column, by table and column.
        numbered: table and column of the queries that give a number which is else the database's.
    """

    inserts: Mapping[str, Insert]
    types: Mapping[tuple[str, str], str]
    numbered: Mapping[str, tuple[str, str]]


def connect(
    url: str, *, statement_ms: int, idle_ms: int = 0, connect_seconds: int = CONNECT_SECONDS
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection in which each statement stands for itself until somebody begins.

    Args:
        url: the database.
        statement_ms: what a statement may take, by the clock; 0 for no limit.
        idle_ms: how long a transaction may stand without a statement before the server ends it; 0 for no limit.
        connect_seconds: how long the server may take to let us in; 2 at least.

    Raises:
        Unavailable: the server does not answer, or refuses us (`store-unreachable`).
    """
    try:
        given = conninfo_to_dict(url)
        settings = {**SERVER, "statement_timeout": str(statement_ms)}
        settings["idle_in_transaction_session_timeout"] = str(idle_ms)
        options = " ".join(
            [str(given.get("options") or ""), *(f"-c {name}={value}" for name, value in settings.items())]
        )
        connection = psycopg.connect(
            make_conninfo(url, **{**LINE, "connect_timeout": connect_seconds, "options": options}), autocommit=True
        )  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise unreachable(place(url), _said(error)) from error
    connection.prepare_threshold = 2
    adapters = connection.adapters
    adapters.register_dumper(int, Int8Dumper)
    adapters.register_dumper(bool, _FlagDumper)
    adapters.register_dumper(str, StrDumper)
    adapters.register_loader("bool", _FlagLoader)
    adapters.register_loader("numeric", _NumberLoader)
    return connection


def place(url: str) -> str:
    """Return where a database is, without user and password."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        return "[store] url"
    return f"{given.get('host') or 'localhost'}:{given.get('port') or 5432}/{given.get('dbname') or ''}"


def _said(error: Exception) -> str:
    """Return PostgreSQL's first line, without the statement."""
    diag = getattr(error, "diag", None)
    text = str(getattr(diag, "message_primary", None) or error)
    return text.strip().partition("\n")[0]


def translate(error: Exception, where: str) -> RopewalkError:
    """Return our error for psycopg's, without its SQL."""
    text = _said(error)
    if isinstance(error, UnicodeEncodeError):
        return unstorable(where, text)
    code = getattr(error, "sqlstate", None) or ""
    known = _by_code(code, where, text)
    if known is not None:
        return known
    if isinstance(error, psycopg.IntegrityError):
        return Conflict("row-conflict", "The rows refuse this change.", where=where, why=text)
    if isinstance(error, psycopg.DataError):
        return unstorable(where, text)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return unreachable(where, text)
    return RopewalkError("store-error", "The store failed.", where=where, why=text)


def _damaged(where: str, text: str) -> RopewalkError:
    return Corrupt("store-damaged", "The database is damaged.", where=where, why=text, fix="restore the latest backup")


def _io(where: str, text: str) -> RopewalkError:
    return Unavailable("store-io", "The disk refused a read or a write.", where=where, why=text)


# The beginnings of PostgreSQL's codes (Appendix A of its documentation), the longest first.
_CODES: tuple[tuple[tuple[str, ...], Callable[[str, str], RopewalkError]], ...] = (
    (("53100",), disk_full),
    (("54",), unstorable),  # an index takes words of some 2,700 bytes
    (("57014",), lambda where, _: too_costly(where)),
    (("55P03", "40001", "40P01"), lambda where, _: busy(where)),
    (("58030",), _io),
    (("XX001", "XX002"), _damaged),
    (("08", "53", "57P", "25P03"), unreachable),
)


def _by_code(code: str, where: str, text: str) -> RopewalkError | None:
    """Return our error for one of PostgreSQL's codes."""
    return next((make(where, text) for beginnings, make in _CODES if code.startswith(beginnings)), None)


class PostgresSession(Session):
    """Runs named queries on one connection.

    Args:
        connection: the connection.
        pulse: ends calls to a silent server.
        words: what is known of the tables.
        statement_ms: what the server lets a statement take; 0 for no limit.
    """

    def __init__(
        self, connection: psycopg.Connection[tuple[Any, ...]], pulse: Pulse, words: Words, *, statement_ms: int
    ) -> None:
        super().__init__(load_queries("postgres"))
        self.connection = connection
        self._pulse = pulse
        self._words = words
        self._cursor = connection.cursor()
        self._call = pulse.watch(connection.fileno(), 0.0)
        self.allow(statement_ms)

    def allow(self, statement_ms: int) -> None:
        """Note what the server lets a statement take from now on; 0 for no limit."""
        self._call.seconds_max = statement_ms / 1000 + GRACE_SECONDS if statement_ms else 0.0

    def execute(self, where: str, sql: str, values: Mapping[str, Value] | None) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement in PostgreSQL's words; the cursor is good until the next one."""
        self._call.since = monotonic()
        try:
            return self._cursor.execute(sql.encode(), values)
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise translate(error, where) from error
        finally:
            self._call.since = 0.0

    def _ask(
        self, query: str, sql: str, values: Mapping[str, Value], *, one: bool
    ) -> tuple[list[tuple[Any, ...]], Sequence[Sequence[Any]] | None]:
        cursor = self.execute(query, to_postgres(sql), values)
        if cursor.description is None:
            return [], None
        return (cursor.fetchmany(1) if one else cursor.fetchall()), cursor.description

    def run(self, query: str, /, **values: Value) -> int:
        """Run a named statement; return how many rows it changed."""
        count = self.execute(query, to_postgres(self._queries[query]), values).rowcount
        self._go_on_above(query)
        return count

    def many(self, query: str, rows: Iterable[Mapping[str, Value]], /) -> int:
        """Run a named statement for each row of values; plain inserts travel as arrays, thousands of rows at a time."""
        waiting, count = iter(rows), 0
        while batch := list(islice(waiting, BATCH_ROWS)):
            insert = self._words.inserts.get(query) if len(batch) >= ARRAYS_FROM else None
            if insert and insert.plain:
                columns = [[row[name] for row in batch] for name in insert.names]
                count += self.execute(query, *unnested(insert, self._words.types, columns)).rowcount
            else:
                count += self._each(query, batch)
        self._go_on_above(query)
        return count

    def _each(self, query: str, rows: Sequence[Mapping[str, Value]]) -> int:
        self._call.since = monotonic()
        try:
            self._cursor.executemany(to_postgres(self._queries[query]).encode(), rows)
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise translate(error, query) from error
        finally:
            self._call.since = 0.0
        return self._cursor.rowcount

    def pour(self, *parts: tuple[str, Sequence[tuple[Value, ...]]]) -> None:
        """Run named inserts, each column of several rows an array."""
        for query, rows in parts:
            insert = self._words.inserts[query]
            if len(rows) == 1:
                self.run(query, **dict(zip(insert.names, rows[0], strict=True)))
                continue
            for start in range(0, len(rows), BATCH_ROWS):
                columns = list(zip(*rows[start : start + BATCH_ROWS], strict=True))
                self.execute(query, *unnested(insert, self._words.types, columns))

    def _go_on_above(self, query: str) -> None:
        found = self._words.numbered.get(query)
        if found:
            self.go_on_above(*found)

    def go_on_above(self, table: str, column: str) -> None:
        """Tell the database to give only numbers above those that are there, and never lower than it would have."""
        self.execute(
            table,
            f"select setval(s.name, greatest((select max({column}) from {table}), "  # noqa: S608 - names of ours
            f"coalesce(pg_sequence_last_value(s.name), 1), 1)) "
            f"from (select pg_get_serial_sequence('{table}', '{column}')::regclass as name) s",
            None,
        )

    def copy_in(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        """Write rows by PostgreSQL's COPY."""
        self._call.since = monotonic()
        try:
            with self._cursor.copy(f'copy "{table}" ({quoted(columns)}) from stdin'.encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise translate(error, table) from error
        finally:
            self._call.since = 0.0

    def close(self) -> None:
        """Close the connection; never fails."""
        self._pulse.leave(self._call)
        with suppress(psycopg.Error):
            self.connection.close()


class PostgresLink:
    """A connection that writes, alone among all that write to the same tables.

    Args:
        session: its session.
        lock: number of the advisory lock.
    """

    dialect = "postgres"

    def __init__(self, session: PostgresSession, lock: int) -> None:
        self.session = session
        self._lock = lock
        self._kept = False

    def _do(self, statement: str) -> None:
        self.session.execute("commit", statement, None)

    def begin(self) -> None:
        """Begin; waits some seconds for the writers of other processes."""
        self._kept = False
        self._do(f"begin; select pg_advisory_xact_lock({self._lock})")

    def mark(self) -> None:
        """Set a savepoint; one that was kept goes in the same breath."""
        self._do("release savepoint job; savepoint job" if self._kept else "savepoint job")
        self._kept = False

    def undo(self) -> None:
        """Undo all since the savepoint and take it away."""
        self._do("rollback to savepoint job; release savepoint job")

    def keep(self) -> None:
        """Keep what came after the savepoint."""
        self._kept = True

    def commit(self) -> None:
        """Return once everything is durable on the server; the number of commits tells others that there was one."""
        self._do("update commits set number = number + 1; commit")

    def rollback(self) -> None:
        """Undo the transaction, if the server has not done so itself."""
        if not self.lost():
            self._do("rollback")

    def lost(self) -> bool:
        """Return whether the transaction is gone with its connection."""
        status = self.session.connection.info.transaction_status
        return status not in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def raw(self, statement: str, values: Mapping[str, Value] | None = None) -> list[tuple[Value, ...]]:
        """Run a statement that has no name."""
        cursor = self.session.execute("schema", statement if values is None else to_postgres(statement), values)
        return cursor.fetchall() if cursor.description is not None else []

    def look(self) -> None:
        """Begin a view that stands still."""
        self._kept = False
        self._do("begin isolation level repeatable read read only")

    def scan(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[tuple[Value, ...]]]:
        """Return all rows of a table, thousands at a time, by a cursor on the server."""
        execute = self.session.execute
        execute(table, f'declare scan no scroll cursor for select {quoted(columns)} from "{table}"', None)  # noqa: S608
        while rows := execute(table, f"fetch {SCAN_ROWS} from scan", None).fetchall():
            yield rows
        execute(table, "close scan", None)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        """Write rows into a table."""
        self.session.copy_in(table, columns, rows)

    def go_on_above(self, table: str, column: str) -> None:
        """Let the database give only numbers above those that are there."""
        self.session.go_on_above(table, column)

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of each table of ours."""
        found: dict[str, tuple[str, ...]] = {}
        rows = self.raw(
            "select table_name::text, column_name::text from information_schema.columns "
            "join information_schema.tables using (table_schema, table_name) "
            "where table_schema = current_schema() and table_type = 'BASE TABLE' and table_name <> 'commits' "
            "order by table_name, ordinal_position"
        )
        for table, column in rows:
            found[str(table)] = (*found.get(str(table), ()), str(column))
        return found

    def close(self) -> None:
        """Close the connection, which undoes what is open."""
        self.session.close()
