"""PostgreSQL behind the port: views that stand still from a small pool, one writer under an advisory lock."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TypeVar

import psycopg

from ropewalk.clock import Clock
from ropewalk.errors import Invalid, RopewalkError, Unavailable
from ropewalk.store import schema
from ropewalk.store.database import READ_SECONDS, Reader, Transaction
from ropewalk.store.hold import held, in_use
from ropewalk.store.inserts import insert_of, numbered_by_hand
from ropewalk.store.migrate import load_migrations
from ropewalk.store.postgreslink import (
    READ_MS,
    WRITE_IDLE_MS,
    WRITE_MS,
    PostgresLink,
    PostgresSession,
    Words,
    connect,
    place,
)
from ropewalk.store.pulse import Pulse
from ropewalk.store.queries import load_queries
from ropewalk.store.refusals import unreachable
from ropewalk.store.writer import Writer

T = TypeVar("T")
VIEWS_MAX = 16
VIEW_WAIT_SECONDS = 4.0
PROBE_SECONDS = 2
QUICK_SECONDS = 0.5
BEGIN = "begin isolation level repeatable read read only"
_TYPES = (
    "select table_name::text, column_name::text, data_type::text from information_schema.columns "
    "where table_schema = current_schema()"
)
_HOLDERS = (
    "select distinct a.application_name::text from pg_locks l join pg_stat_activity a on a.pid = l.pid "
    "where l.locktype = 'advisory' and l.granted and l.classid = %(high)s and l.objid = %(low)s and l.objsubid = 1 "
    "order by 1"
)
_HALF = 0xFFFFFFFF
# Small tables need no statistics: whatever way is taken is short.
_CHANGED = (
    "select s.relname::text, current_setting('autovacuum') = 'on' from pg_stat_user_tables s "
    "join pg_class c on c.oid = s.relid "
    "where s.schemaname = current_schema() and s.n_mod_since_analyze > 1000 + greatest(c.reltuples, 0) / 10"
)
_NO_WORDS = Words(inserts={}, types={}, numbered={})


class PostgresDatabase:
    """The tables of one PostgreSQL schema, shared by any number of threads, processes and machines.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`; `?options=-csearch_path%3DNAME` picks a schema.
        clock: tells the time of migrations and idempotency keys.
        climb: bring the schema to this release's; False leaves it as it is, for `ropewalk store`.

    Raises:
        Unavailable: the server does not answer (`store-unreachable`).
    """

    def __init__(self, url: str, clock: Clock, *, climb: bool = True) -> None:
        self._url = url
        self._place = place(url)
        self._pulse = Pulse(self._alive)
        self._words = _NO_WORDS
        self._number = 0
        self._idle: list[PostgresSession] = []
        self._views = threading.BoundedSemaphore(VIEWS_MAX)
        self._lock = threading.Lock()
        self._asking = threading.Lock()  # a silent server keeps who asks for its version waiting, and no reader
        self._closed = False
        self._watch: PostgresSession | None = None
        self._hold: bool | None = None  # whether alone; None for not at all
        self._writer = Writer(self.link, clock)
        try:
            self._set_up(clock, climb=climb)
        except BaseException:
            self._pulse.close()
            raise

    def _set_up(self, clock: Clock, *, climb: bool) -> None:
        link = self._linked(statement_ms=0)
        try:
            self._number = self._number_of_lock(link)
            link = PostgresLink(link.session, self._number)
            link.begin()
            link.raw(schema.NOTES.replace("integer", "bigint"))
            link.raw("create table if not exists commits (number bigint not null)")
            link.raw("insert into commits select 1 where not exists (select * from commits)")
            link.commit()
            steps = load_migrations("postgres")
            if climb:
                schema.climb(link, clock, steps, where=self._place)
            queries = load_queries("postgres")
            self._words = Words(
                inserts={name: found for name, sql in queries.items() if (found := insert_of(sql))},
                types={(str(table), str(column)): str(kind) for table, column, kind in link.raw(_TYPES)},
                numbered=numbered_by_hand(queries, [one for step in steps for one in step.identities]),
            )
        finally:
            link.close()

    def _number_of_lock(self, link: PostgresLink) -> int:
        """Return the number of the lock under which this schema's writers take turns."""
        ((name, number),) = link.raw("select current_schema(), hashtextextended('ropewalk ' || current_schema(), 0)")
        if name is None:
            raise Unavailable(
                "store-unreachable",
                "The database has no schema to write into.",
                where=self._place,
                why="none of the schemas in its search_path exists",
                fix="create schema NAME, as [store] url names it",
            )
        return int(str(number))

    def _session(self, *, statement_ms: int, idle_ms: int = 0) -> PostgresSession:
        connection = connect(self._url, statement_ms=statement_ms, idle_ms=idle_ms)
        return PostgresSession(connection, self._pulse, self._words, statement_ms=statement_ms)

    def _linked(self, *, statement_ms: int, idle_ms: int = 0) -> PostgresLink:
        return PostgresLink(self._session(statement_ms=statement_ms, idle_ms=idle_ms), self._number)

    def _alive(self) -> bool:
        try:
            connect(self._url, statement_ms=2000, connect_seconds=PROBE_SECONDS).close()
        except RopewalkError:
            return False
        return True

    def link(self, *, patient: bool = False) -> PostgresLink:
        """Open a connection that writes; who opened it closes it. A patient one has no limits of time."""
        if patient:
            return self._linked(statement_ms=0)
        link = self._linked(statement_ms=WRITE_MS, idle_ms=WRITE_IDLE_MS)
        if self._hold is False:
            # What writes holds the store itself: the line that watches may break, and another one begin to move it.
            try:
                self._claim(link.session, alone=False)
            except BaseException:
                link.close()
                raise
        return link

    def hold(self, *, alone: bool = False) -> None:
        """Have the store open until it is closed, beside others of any machine or alone."""
        with self._asking:
            self._hold = alone
            if self._watch is None:
                self._watch = self._watching()

    def _watching(self) -> PostgresSession:
        """Return a line on which the store is held, by a lock that the server takes back when the line breaks."""
        session = self._session(statement_ms=READ_MS)
        if self._hold is None:
            return session
        try:
            self._claim(session, alone=self._hold)
        except BaseException:
            session.close()
            raise
        return session

    def _claim(self, session: PostgresSession, *, alone: bool) -> None:
        number = self._number ^ 1
        me = f"ropewalk {os.getpid()} at {socket.gethostname()}"[:63]
        session.execute("hold", "select set_config('application_name', %(me)s, false)", {"me": me})
        lock = f"select pg_try_advisory_lock{'' if alone else '_shared'}({number})"
        row = session.execute("hold", lock, None).fetchone()
        if row is None or not row[0]:
            names = session.execute("hold", _HOLDERS, {"high": number >> 32 & _HALF, "low": number & _HALF})
            others = [str(name) for (name,) in names.fetchall()]
            raise in_use(self._place, others) if alone else held(self._place)

    def place(self) -> str:
        """Return server, port and database."""
        return f"postgresql://{self._place}"

    def bytes(self) -> int:
        """Return how much room the tables and their indexes take."""
        link = self.link()
        try:
            ((size,),) = link.raw(
                "select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class "
                "where relkind = 'r' and relnamespace = current_schema()::regnamespace"
            )
        finally:
            link.close()
        return int(str(size))

    @contextmanager
    def read(self, *, seconds_max: float | None = READ_SECONDS) -> Generator[Reader]:
        """Open a consistent view; never waits for writers."""
        if not self._views.acquire(timeout=VIEW_WAIT_SECONDS):
            raise Unavailable(
                "store-busy",
                "Every connection to the database is in use.",
                where=self._place,
                why=f"{VIEWS_MAX} views are open",
                fix="send the same request again",
            )
        session = None
        try:
            session = self._begun(seconds_max)
            yield session
        finally:
            try:
                if session is not None:
                    self._give_back(session)
            finally:
                self._views.release()

    def _begun(self, seconds_max: float | None) -> PostgresSession:
        """Return a session with a view; one whose server has gone since is tried once more on a new line."""
        milliseconds = 0 if seconds_max is None else int(2000 * seconds_max)
        begin = BEGIN if milliseconds == READ_MS else f"{BEGIN}; set local statement_timeout = {milliseconds}"
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is not None:
            asked = monotonic()
            try:
                session.execute("begin", begin, None)
            except Unavailable:
                session.close()
                if monotonic() - asked > QUICK_SECONDS:  # the server is silent: who asks has waited long enough
                    raise
            else:
                session.allow(milliseconds)
                return session
        session = self._session(statement_ms=READ_MS)
        session.allow(milliseconds)
        try:
            session.execute("begin", begin, None)
        except BaseException:
            session.close()
            raise
        return session

    def _give_back(self, session: PostgresSession) -> None:
        try:
            session.execute("rollback", "rollback", None)
        except RopewalkError:
            session.close()
            return
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
        """Do nothing: the writer mostly waits for the server, and not for the interpreter."""
        del on
        return 0.0

    def version(self) -> int:
        """Return a number that changes when anybody has committed."""
        with self._asking:
            asked = monotonic()
            for last in (False, True):
                if self._watch is None:
                    self._watch = self._watching()
                try:
                    row = self._watch.execute("version", "select number from commits", None).fetchone()
                except Unavailable:
                    self._watch.close()
                    self._watch = None
                    if last or monotonic() - asked > QUICK_SECONDS:
                        raise
                else:
                    return int(row[0]) if row else 0
        raise unreachable(self._place, "no answer")

    def tend(self) -> None:
        """Let the server count again the tables that have changed much since it did, and tidy them if it does not."""
        link = self.link()
        try:
            for table, vacuumed in link.raw(_CHANGED):
                if not vacuumed:
                    # Until then every row that an index counts is read in the table too, to know whether it is alive.
                    with suppress(Invalid):  # a table that takes longer than a write may is its administrator's
                        link.raw(f'vacuum (skip_locked, truncate off) "{table}"')
                link.raw(f'analyze "{table}"')
        finally:
            link.close()

    def damage(self) -> list[str]:
        """Return what the server cannot read back, and indexes and constraints that do not hold; empty when nothing."""
        found: list[str] = []
        link = self._linked(statement_ms=0)
        try:
            for table in link.tables():
                try:
                    # Every page of the table and of its long values is read, and checked where there are checksums.
                    link.raw(f'select sum(hashtext(t::text)) from "{table}" t')  # noqa: S608 - a name from the catalog
                except RopewalkError as error:
                    found.append(f"{table}: {error.why}")
            rows = link.raw(
                "select c.relname::text from pg_index i join pg_class c on c.oid = i.indexrelid "
                "where c.relnamespace = current_schema()::regnamespace and not (i.indisvalid and i.indisready) "
                "union all select conname::text from pg_constraint where connamespace = current_schema()::regnamespace "
                "and not convalidated"
            )
            found += [f"{name} does not hold" for (name,) in rows]
        finally:
            link.close()
        return found

    def close(self) -> None:
        """Finish what was accepted, then close."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
            watch, self._watch = self._watch, None
        self._writer.close()
        for session in [*idle, *([watch] if watch else [])]:
            with suppress(psycopg.Error):
                session.close()
        self._pulse.close()


def make_schema(url: str, schema: str) -> None:
    """Make a schema where it is missing; two that do it at once are both right."""
    _administer(url, f'create schema if not exists "{schema}"')


def drop_schema(url: str, schema: str) -> None:
    """Remove a schema with all that it holds."""
    _administer(url, f'drop schema if exists "{schema}" cascade')


def _administer(url: str, statement: str) -> None:
    connection = connect(url, statement_ms=0)
    try:
        with suppress(psycopg.errors.UniqueViolation):  # somebody else made it in this very moment
            connection.execute(statement.encode())
    except psycopg.Error as error:
        raise unreachable(place(url), str(error).partition("\n")[0]) from error
    finally:
        connection.close()
