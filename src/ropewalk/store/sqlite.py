"""SQLite behind the port: WAL, synchronous FULL, readers beside one writer that commits in groups."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from ropewalk.clock import Clock
from ropewalk.errors import Conflict, Corrupt, RopewalkError, Unavailable
from ropewalk.store import schema
from ropewalk.store.database import READ_SECONDS, Reader, Transaction, Value
from ropewalk.store.dialect import SCAN_ROWS, quoted
from ropewalk.store.hold import FileHold, alone_in
from ropewalk.store.inserts import poured
from ropewalk.store.migrate import load_migrations
from ropewalk.store.queries import load_queries
from ropewalk.store.refusals import busy, disk_full, too_costly, unstorable
from ropewalk.store.regexp import fits_until
from ropewalk.store.reserve import RESERVE_BYTES, Reserve
from ropewalk.store.schema import NOTES
from ropewalk.store.session import Session
from ropewalk.store.share import Share
from ropewalk.store.writer import Writer

T = TypeVar("T")
Do = Callable[[str, Any], sqlite3.Cursor]
BUSY_SECONDS = 10.0
TICK_STEPS = 20_000
BACKUP_PAGES = 2_000
PRAGMAS = (
    "journal_mode=wal",
    "synchronous=full",
    "foreign_keys=on",
    "temp_store=memory",
    "case_sensitive_like=on",
    "journal_size_limit=67108864",  # after a burst the log gives its room back
)


class SqliteSession(Session):
    """Runs named queries on one connection.

    Args:
        connection: the connection.
        limited: end a statement that takes more processor time than its view allows.
    """

    def __init__(self, connection: sqlite3.Connection, *, limited: bool = False) -> None:
        super().__init__(load_queries("sqlite"))
        self._connection = connection
        self._share = Share()
        regexp = fits_until(self._share.over, connection.interrupt, self._share.spend)
        connection.create_function("regexp", 2, regexp, deterministic=True)
        if limited:
            connection.set_progress_handler(self._share.over, TICK_STEPS)

    def _ask(
        self, query: str, sql: str, values: Mapping[str, Value], *, one: bool
    ) -> tuple[list[tuple[Any, ...]], Sequence[Sequence[Any]] | None]:
        self._share.renew()
        try:
            cursor = self._connection.execute(sql, values)
            return (cursor.fetchmany(1) if one else cursor.fetchall()), cursor.description
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise translate(error, query) from error

    def run(self, query: str, /, **values: Value) -> int:
        """Run a named statement; return how many rows it changed."""
        return self._changed(query, self._connection.execute, ((self._queries[query], values),))

    def many(self, query: str, rows: Iterable[Mapping[str, Value]], /) -> int:
        """Run a named statement for each row of values; return how many rows were changed."""
        return self._changed(query, self._connection.executemany, ((self._queries[query], rows),))

    def pour(self, *parts: tuple[str, Sequence[tuple[Value, ...]]]) -> None:
        """Run named inserts: each statement takes as many rows as it can, so that threads change seldom."""
        for query, rows in parts:
            self._changed(query, self._connection.execute, poured(self._queries[query], rows))

    def _changed(self, query: str, do: Do, statements: Iterable[tuple[str, object]]) -> int:
        try:
            return sum(do(sql, values).rowcount for sql, values in statements)
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise translate(error, query) from error

    def begin(self, seconds_max: float | None) -> None:
        """Begin a view whose statements may each take so many seconds of processor time."""
        self._share.allow(seconds_max)
        try:
            self._connection.execute("begin")
        except sqlite3.Error as error:
            raise translate(error, "begin") from error

    def rollback(self) -> None:
        """End the view."""
        self._connection.execute("rollback")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class SqliteLink:
    """A connection that writes."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.session = SqliteSession(connection)

    def _do(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except sqlite3.Error as error:
            raise translate(error, statement) from error

    def begin(self) -> None:
        """Begin; waits for the writers of other processes."""
        self._do("begin immediate")

    def mark(self) -> None:
        """Set a savepoint."""
        self._do("savepoint job")

    def undo(self) -> None:
        """Undo all since the savepoint and take it away."""
        self._do("rollback to job")
        self._do("release job")

    def keep(self) -> None:
        """Take the savepoint away and keep what came after it."""
        self._do("release job")

    def commit(self) -> None:
        """Return once everything is on the disk."""
        self._do("commit")

    def rollback(self) -> None:
        """Undo the transaction, if SQLite has not done so itself."""
        if self._connection.in_transaction:
            self._do("rollback")

    def lost(self) -> bool:
        """Return whether SQLite itself rolled everything back: disk full, I/O."""
        return not self._connection.in_transaction

    def raw(self, statement: str, values: Mapping[str, Value] | None = None) -> list[tuple[Value, ...]]:
        """Run a statement that has no name."""
        try:
            return self._connection.execute(statement, values or {}).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise translate(error, "schema") from error

    def look(self) -> None:
        """Begin a view."""
        self._do("begin")

    def scan(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[tuple[Value, ...]]]:
        """Return all rows of a table, thousands at a time."""
        try:
            cursor = self._connection.execute(f'select {quoted(columns)} from "{table}"')  # noqa: S608 - known names
            while rows := cursor.fetchmany(SCAN_ROWS):
                yield rows
        except sqlite3.Error as error:
            raise translate(error, table) from error

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> None:
        """Write rows into a table."""
        marks = ", ".join("?" * len(columns))
        try:
            self._connection.executemany(f'insert into "{table}" ({quoted(columns)}) values ({marks})', rows)  # noqa: S608
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise translate(error, table) from error

    def go_on_above(self, table: str, column: str) -> None:
        """Do nothing: SQLite looks for the highest number itself."""

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of each table."""
        names = self.raw(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name"
        )
        return {str(name): tuple(str(row[1]) for row in self.raw(f'pragma table_info("{name}")')) for (name,) in names}

    def close(self) -> None:
        """Undo what is open and close."""
        with suppress(sqlite3.Error):
            self._connection.execute("rollback")
        with suppress(sqlite3.Error):
            self._connection.close()


def translate(error: Exception, where: str) -> RopewalkError:
    """Return our error for SQLite's, without its SQL."""
    text = str(error)
    if isinstance(error, OverflowError | UnicodeEncodeError):
        return unstorable(where, text)
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict("row-conflict", "The rows refuse this change.", where=where, why=text)
    if isinstance(error, sqlite3.OperationalError) and (known := _of_the_machine(text, where)):
        return known
    if any(word in text for word in ("malformed", "not a database", "decode")):
        return Corrupt(
            "store-damaged", "The database file is damaged.", where=where, why=text, fix="restore the latest backup"
        )
    return RopewalkError("store-error", "The store failed.", where=where, why=text)


def _of_the_machine(text: str, where: str) -> RopewalkError | None:
    if "full" in text:
        return disk_full(where, text)
    if "locked" in text or "busy" in text:
        return busy(where)
    if "interrupted" in text:
        return too_costly(where)
    # A disk that refuses to open the file for writing lets SQLite open it for reading alone.
    if any(word in text for word in ("I/O", "unable to open", "readonly")):
        return Unavailable("store-io", "The disk refused a read or a write.", where=where, why=text)
    return None


class SqliteDatabase:
    """One SQLite file, shared by any number of threads and processes of one machine.

    Args:
        path: the file; made with mode 0600 in a folder of mode 0700 when it is not there.
        clock: tells the time of migrations and idempotency keys.
        climb: bring the schema to this release's; False leaves it as it is, for `ropewalk store`.
        reserve_bytes: what stays free on the disk for urgent writes.
    """

    def __init__(self, path: Path, clock: Clock, *, climb: bool = True, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._idle: list[SqliteSession] = []
        self._lock = threading.Lock()
        self._closed = False
        self._hold: FileHold | None = None
        self._writer = Writer(self.link, clock, Reserve(path.parent, reserve_bytes).refusal)
        with alone_in(path.parent):
            self._watch = self._connect()
            link = SqliteLink(self._watch)
            link.raw(NOTES)
            if climb:
                schema.climb(link, clock, load_migrations("sqlite"), where=path.name)

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS, cached_statements=512
            )
            for pragma in PRAGMAS:
                connection.execute(f"pragma {pragma}")
        except sqlite3.Error as error:
            raise translate(error, str(self._path.name)) from error
        return connection

    def link(self, *, patient: bool = False) -> SqliteLink:
        """Open a connection that writes; who opened it closes it."""
        del patient  # a file has no limits of time
        return SqliteLink(self._connect())

    def hold(self, *, alone: bool = False) -> None:
        """Have the store open until it is closed, beside others or alone."""
        self._hold = FileHold(self._path.with_name(f"{self._path.name}.lock"), self._path.name, alone=alone)

    def place(self) -> str:
        """Return where the file is."""
        return str(self._path)

    def bytes(self) -> int:
        """Return how much room the file takes, with what was written lately."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    @contextmanager
    def read(self, *, seconds_max: float | None = READ_SECONDS) -> Generator[Reader]:
        """Open a consistent view; never waits for writers."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        session = session or SqliteSession(self._connect(), limited=True)
        session.begin(seconds_max)
        try:
            yield session
        finally:
            session.rollback()
            with self._lock:
                keep = not self._closed
                if keep:
                    self._idle.append(session)
            if not keep:
                session.close()

    def submit(self, work: Callable[[Transaction], T], /, *, key: str | None = None, urgent: bool = False) -> Future[T]:
        """Queue `work`; the future is done once its commit is durable."""
        return self._writer.submit(work, key, urgent=urgent)

    def write(self, work: Callable[[Transaction], T], /, *, key: str | None = None, urgent: bool = False) -> T:
        """Run `work` in one transaction and return its result once it is durable."""
        return self._writer.submit(work, key, urgent=urgent).result()

    def pace(self) -> float:
        """Return the seconds that one write took as of late."""
        return self._writer.pace()

    def take_turns(self, *, on: bool) -> float:
        """Let the writer work now, and wait for it."""
        return self._writer.turns.take(on=on)

    def version(self) -> int:
        """Return a number that changes when anybody has committed."""
        with self._lock:
            try:
                return int(self._watch.execute("pragma data_version").fetchone()[0])
            except sqlite3.Error as error:
                raise translate(error, "version") from error

    def tend(self) -> None:
        """Do nothing: the order of tables is said in each search."""

    def damage(self) -> list[str]:
        """Return what is wrong with the file's own structure: pages, indexes, constraints; empty when nothing."""
        try:
            with closing(self._connect()) as connection:
                rows = connection.execute("pragma integrity_check(20)").fetchall()
        except sqlite3.Error as error:
            return [str(error)]
        found = [str(row[0]) for row in rows]
        return [] if found == ["ok"] else found

    def backup(self, target: Path, on_pages: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        """Copy a consistent state into a new file, one that needs no other beside it, while others read and write.

        Args:
            target: the file; it must not be there.
            on_pages: told how many pages of how many are copied.
        """
        source = self._connect()
        try:
            # The view is opened first, so that what others commit meanwhile neither comes in nor starts the copy anew.
            source.execute("begin")
            source.execute("select count(*) from sqlite_master").fetchone()
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                source.backup(
                    copy, pages=BACKUP_PAGES, progress=lambda _, left, total: on_pages(total - left, total), sleep=0
                )
        except sqlite3.Error as error:
            raise translate(error, target.name) from error
        finally:
            source.close()
        stand_alone(target)

    def close(self) -> None:
        """Finish what was accepted, then close."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
        self._writer.close()
        for session in idle:
            session.close()
        self._watch.close()
        if self._hold is not None:
            self._hold.close()


def stand_alone(path: Path) -> None:
    """Let a file that nobody has open hold everything itself, with no other beside it, durably."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("pragma journal_mode=delete")
    except sqlite3.Error as error:
        raise translate(error, path.name) from error
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
