"""Copies a whole store into another, whatever their engines: all of it in one transaction, or nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ropewalk.clock import Clock
from ropewalk.errors import Corrupt
from ropewalk.store import schema
from ropewalk.store.database import Value
from ropewalk.store.link import Link
from ropewalk.store.migrate import Migration, load_migrations

_SPAN = 1 << 256
_CREATE = re.compile(r"\s*create\s+table\s+(\w+)", re.IGNORECASE)
OnRows = Callable[[str, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a table holds.

    Attributes:
        table: its name.
        rows: how many.
        digest: of all rows together, whatever their order and the engine: the sum of their sha256.
    """

    table: str
    rows: int
    digest: str


class _Sum:
    """Adds up rows: equal for the same rows in any order."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Sequence[tuple[Value, ...]]) -> None:
        encode = msgspec.msgpack.encode
        for row in rows:
            self._sum += int.from_bytes(hashlib.sha256(encode(row)).digest(), "big")
        self.rows += len(rows)

    def holding(self, table: str) -> Holding:
        return Holding(table=table, rows=self.rows, digest=f"sum-sha256:{self._sum % _SPAN:064x}")


def tables_in_order(steps: Sequence[Migration]) -> list[str]:
    """Return the tables in the order in which the schema makes them, so that what is referred to comes first."""
    return [found[1] for step in steps for statement in step.statements if (found := _CREATE.match(statement))]


def columns_of(link: Link) -> dict[str, tuple[str, ...]]:
    """Return each table's columns by name, in the order in which the schema makes the tables, without the notes."""
    known = link.tables()
    return {
        table: tuple(sorted(known[table])) for table in tables_in_order(load_migrations(link.dialect)) if table in known
    }


def counts(link: Link) -> dict[str, int]:
    """Return how many rows each table holds, in the order in which the schema makes them."""
    return {
        table: int(str(link.raw(f'select count(*) from "{table}"')[0][0]))  # noqa: S608 - a table of our schema
        for table in columns_of(link)
    }


def measure(link: Link, on_rows: OnRows = lambda _table, _rows: None) -> list[Holding]:
    """Return what each table holds, within the transaction or view that is open."""
    return [_measured(link, table, columns, on_rows) for table, columns in columns_of(link).items()]


def _measured(link: Link, table: str, columns: Sequence[str], on_rows: OnRows) -> Holding:
    total = _Sum()
    for rows in link.scan(table, columns):
        total.add(rows)
        on_rows(table, len(rows))
    return total.holding(table)


def replace(source: Link, target: Link, clock: Clock, on_rows: OnRows = lambda _table, _rows: None) -> list[Holding]:
    """Make the target hold what the source holds, in the transactions that are open on both; the caller commits.

    The target's tables are taken away and made anew, so that nothing of what it held is left.

    Args:
        source: with a transaction or view; its schema is this release's.
        target: with a transaction.
        clock: tells when.
        on_rows: told of rows as they are copied, and again as they are read back.

    Returns:
        What each table holds: read back from the target, and found to be what the source gave.

    Raises:
        Corrupt: a table reads back otherwise than it was written (`store-copy-differs`).
    """
    _make_anew(target, clock)
    found: list[Holding] = []
    for table, columns in columns_of(source).items():
        given = _Sum()
        for rows in source.scan(table, columns):
            given.add(rows)
            target.insert(table, columns, rows)
            on_rows(table, len(rows))
        wanted, there = given.holding(table), _measured(target, table, columns, on_rows)
        if there != wanted:
            raise Corrupt(
                "store-copy-differs",
                f"The copy of table {table} is not what was copied.",
                where=table,
                why=f"{wanted.rows} rows with {wanted.digest} became {there.rows} with {there.digest}",
                fix="ropewalk store status --check",
            )
        found.append(there)
    for step in load_migrations(target.dialect):
        for table, column in step.identities:
            target.go_on_above(table, column)
    return found


def _make_anew(target: Link, clock: Clock) -> None:
    steps = load_migrations(target.dialect)
    done = schema.applied(target)
    for step in reversed(steps):
        if step.number in done:
            schema.undo(target, step)
    for step in steps:
        schema.apply(target, clock, step)
    for table in reversed(tables_in_order(steps)):  # what a step wrote itself comes from the source too
        if target.raw(f'select 1 from "{table}" limit 1'):  # noqa: S608 - a table of our schema
            target.raw(f'delete from "{table}"')  # noqa: S608 - a table of our schema


def is_untouched(found: Mapping[str, int], fresh: Mapping[str, int]) -> bool:
    """Return whether a store holds no more than one that was just made."""
    return all(rows <= fresh.get(table, 0) for table, rows in found.items())
