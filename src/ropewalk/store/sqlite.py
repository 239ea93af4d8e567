"""SQLite behind the port: WAL, synchronous FULL, readers beside one writer that commits in groups."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from ropewalk.clock import Clock
from ropewalk.errors import Conflict, Corrupt, RopewalkError, Unavailable
from ropewalk.refs import canonical
from ropewalk.store.database import Reader, Row, Transaction, Value
from ropewalk.store.migrate import load_migrations, pending
from ropewalk.store.queries import load_queries

T = TypeVar("T")
GROUP_MAX = 256
BUSY_SECONDS = 10.0
DAMAGE_MAX = 20


class SqliteSession:
    """Runs named queries on one connection; the caller owns the transaction around it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queries = load_queries("sqlite")

    def _execute(self, query: str, values: Mapping[str, Value]) -> sqlite3.Cursor:
        with _translated(query):
            return self._connection.execute(self._queries[query], values)

    def rows(self, query: str, /, **values: Value) -> list[Row]:
        """Return all rows of a named query."""
        cursor = self._execute(query, values)
        with _translated(query):
            return cast("list[Row]", cursor.fetchall())

    def row(self, query: str, /, **values: Value) -> Row | None:
        """Return the first row of a named query, or None."""
        cursor = self._execute(query, values)
        with _translated(query):
            return cast("Row | None", cursor.fetchone())

    def value(self, query: str, /, **values: Value) -> Value:
        """Return the first column of the first row, or None."""
        row = self.row(query, **values)
        return None if row is None else cast("Value", next(iter(row.values())))

    def all(self, record: type[T], query: str, /, **values: Value) -> list[T]:
        """Return all rows as records."""
        make = _maker(record)
        return [make(row) for row in self.rows(query, **values)]

    def get(self, record: type[T], query: str, /, **values: Value) -> T | None:
        """Return the first row as a record, or None."""
        row = self.row(query, **values)
        return None if row is None else _maker(record)(row)

    def run(self, query: str, /, **values: Value) -> int:
        """Run a named statement; return how many rows it changed."""
        return self._execute(query, values).rowcount

    def many(self, query: str, rows: Iterable[Mapping[str, Value]], /) -> int:
        """Run a named statement for each row of values; return how many rows were changed."""
        with _translated(query):
            return self._connection.executemany(self._queries[query], rows).rowcount


def _maker(record: type[T]) -> Callable[[Row], T]:
    from_row = getattr(record, "from_row", None)
    if from_row is not None:
        return cast("Callable[[Row], T]", from_row)
    return lambda row: cast("Any", record)(**row)


@contextmanager
def _translated(where: str) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, where) from error


def translate(error: sqlite3.Error, where: str) -> RopewalkError:
    """Return our error for SQLite's, without its SQL."""
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict("row-conflict", "The rows refuse this change.", where=where, why=text)
    if isinstance(error, sqlite3.OperationalError) and "full" in text:
        return Unavailable(
            "disk-full", "The disk is full.", where=where, why=text, fix="free space, then run the same command again"
        )
    if isinstance(error, sqlite3.OperationalError) and ("locked" in text or "busy" in text):
        return Unavailable(
            "store-busy", "Another process keeps the store busy.", where=where, fix="run the same command again"
        )
    if isinstance(error, sqlite3.OperationalError) and "I/O" in text:
        return Unavailable("store-io", "The disk refused a read or a write.", where=where, why=text)
    if isinstance(error, sqlite3.DatabaseError) and any(
        word in text for word in ("malformed", "not a database", "decode")
    ):
        return Corrupt(
            "store-damaged", "The database file is damaged.", where=where, why=text, fix="restore the latest backup"
        )
    return RopewalkError("store-error", "The store failed.", where=where, why=text)


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Value, ...]) -> dict[str, Value]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    work: Callable[[Transaction], object]
    key: str | None
    answer: Future[object]


class SqliteDatabase:
    """One SQLite file, shared by any number of threads and processes of one machine.

    Args:
        path: the file; made with mode 0600 in a folder of mode 0700 when it is not there.
        clock: tells the time of migrations and idempotency keys.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None
        self._closed = False
        with _alone_in(path.parent):
            self._watch = self._connect()
            self._migrate()

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS, cached_statements=512
            )
            for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on", "temp_store=memory"):
                connection.execute(f"pragma {pragma}")
        except sqlite3.Error as error:
            raise translate(error, str(self._path.name)) from error
        connection.row_factory = cast("Any", _as_dict)
        return connection

    def _migrate(self) -> None:
        connection = self._watch
        connection.execute(
            "create table if not exists migrations "
            "(number integer primary key, name text not null, digest text not null, at_us integer not null)"
        )
        rows = connection.execute("select number, digest from migrations").fetchall()
        applied = {int(row["number"]): str(row["digest"]) for row in rows}
        steps = pending(applied, load_migrations("sqlite"), self._path.name)
        if not steps:
            return
        connection.execute("begin immediate")
        try:
            for step in steps:
                for statement in step.statements:
                    connection.execute(statement)
                connection.execute(
                    "insert into migrations values (?, ?, ?, ?)",
                    (step.number, step.name, step.digest, self._clock.now_us()),
                )
            connection.execute("commit")
        except sqlite3.Error as error:
            connection.execute("rollback")
            raise translate(error, "migrations") from error
        except BaseException:
            connection.execute("rollback")
            raise

    @contextmanager
    def read(self) -> Generator[Reader]:
        """Open a consistent view; never waits for writers."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._connect()
        connection.execute("begin")
        try:
            yield SqliteSession(connection)
        finally:
            connection.execute("rollback")
            with self._lock:
                keep = not self._closed
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def write(self, work: Callable[[Transaction], T], /, *, key: str | None = None) -> T:
        """Run `work` in one transaction and return its result once it is durable."""
        assert threading.current_thread() is not self._writer, "a write inside a write: pass the transaction on"
        answer: Future[object] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable("store-closed", "The store is closed.", fix="run the same command again")
            if self._writer is None:
                self._writer = threading.Thread(target=self._serve, name="ropewalk-store-writer", daemon=True)
                self._writer.start()
            self._jobs.put(_Job(work=work, key=key, answer=answer))
        return cast("T", answer.result())

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        open_ = True
        while open_:
            first = self._jobs.get()
            if first is None:
                break
            group = [first]
            while len(group) < GROUP_MAX:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    open_ = False
                    break
                group.append(job)
            connection = self._commit(connection, group)
        if connection is not None:
            connection.close()

    def _commit(self, connection: sqlite3.Connection | None, group: list[_Job]) -> sqlite3.Connection | None:
        """Run a group in one commit; after a failed commit the connection is never trusted again."""
        try:
            connection = connection or self._connect()
            connection.execute("begin immediate")
            outcomes = [self._attempt(connection, job) for job in group]
            connection.execute("commit")
        except (sqlite3.Error, RopewalkError) as error:
            failure = translate(error, "commit") if isinstance(error, sqlite3.Error) else error
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.execute("rollback")
                connection.close()
            for job in group:
                job.answer.set_exception(failure)
            return None
        for job, (done, result) in zip(group, outcomes, strict=True):
            if done:
                job.answer.set_result(result)
            else:
                job.answer.set_exception(cast("BaseException", result))
        return connection

    def _attempt(self, connection: sqlite3.Connection, job: _Job) -> tuple[bool, object]:
        session = SqliteSession(connection)
        connection.execute("savepoint job")
        try:
            result = self._answer(session, job)
        except BaseException as error:  # whatever the work raised goes to the caller who waits
            if not connection.in_transaction:  # SQLite itself rolled everything back: disk full, I/O
                raise Unavailable("store-io", "The disk refused a write.", why=str(error)) from error
            connection.execute("rollback to job")
            connection.execute("release job")
            return False, error
        connection.execute("release job")
        return True, result

    def _answer(self, session: SqliteSession, job: _Job) -> object:
        if job.key is None:
            return job.work(session)
        known = session.value("idempotency.get", key=job.key)
        if known is not None:
            return json.loads(str(known))
        result = job.work(session)
        answer = canonical(result).decode()
        session.run("idempotency.insert", key=job.key, at_us=self._clock.now_us(), answer=answer)
        return result

    def version(self) -> int:
        """Return a number that changes when anybody has committed."""
        with self._lock, _translated("version"):
            return int(self._watch.execute("pragma data_version").fetchone()["data_version"])

    def damage(self) -> list[str]:
        """Return what is wrong with the file's own structure: pages, indexes, constraints; empty when nothing."""
        connection = self._connect()
        try:
            rows = connection.execute(f"pragma integrity_check({DAMAGE_MAX})").fetchall()
        except sqlite3.Error as error:
            return [str(error)]
        finally:
            connection.close()
        found = [str(row["integrity_check"]) for row in rows]
        return [] if found == ["ok"] else found

    def backup(self, target: Path) -> None:
        """Copy a consistent state into a new file while others read and write."""
        with sqlite3.connect(target) as copy:
            source = self._connect()
            source.backup(copy)
            source.close()
        copy.close()

    def close(self) -> None:
        """Finish what was accepted, then close."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            writer = self._writer
            self._jobs.put(None)
            idle, self._idle = self._idle, []
        if writer is not None:
            writer.join()
        for connection in [*idle, self._watch]:
            connection.close()


@contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    """Let one process at a time set a database up: SQLite does not wait for a lock when a file becomes a WAL one."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class SqliteFile:
    """Somebody else's SQLite file, such as the database of a user's project: whole scripts, each in one transaction.

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
