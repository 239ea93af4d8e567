"""Walks the schema's steps up and down: each in one transaction with its note, so that a broken walk goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ropewalk.clock import Clock
from ropewalk.records import frozen
from ropewalk.store.link import Link
from ropewalk.store.migrate import Migration, downwards, pending

NOTES = (
    "create table if not exists migrations "
    "(number integer primary key, name text not null, digest text not null, at_us bigint not null)"
)
_NOTE = "insert into migrations (number, name, digest, at_us) values (:number, :name, :digest, :at_us)"


@frozen
class Loss:
    """What a walk down takes away.

    Attributes:
        table: a table that goes or changes.
        columns: the columns that go; empty when the whole table does.
        rows: how many rows it holds.
    """

    table: str
    columns: tuple[str, ...]
    rows: int


def applied(link: Link) -> dict[int, str]:
    """Return the digests of the steps that were applied, by number."""
    return {int(str(number)): str(digest) for number, digest in link.raw("select number, digest from migrations")}


def climb(
    link: Link,
    clock: Clock,
    wanted: Sequence[Migration],
    *,
    where: str,
    on_step: Callable[[Migration], None] = lambda _: None,
) -> None:
    """Apply what is still to be applied.

    Args:
        link: a connection with the table of notes.
        clock: tells when.
        wanted: the steps to arrive at.
        where: the store's name, for errors.
        on_step: told of each step once it is durable.

    Raises:
        Conflict: the schema is newer than this release, or of another build.
    """
    steps = pending(applied(link), wanted, where)
    # A new store is made whole or not at all; one with rows is brought further step by step.
    walks = [steps] if len(steps) == len(wanted) else [(step,) for step in steps]
    for walk in walks:
        link.begin()
        try:
            # Another process may have come first while this one waited to begin.
            done = applied(link)
            for step in walk:
                if step.number not in done:
                    apply(link, clock, step)
            link.commit()
        except BaseException:
            link.rollback()
            raise
        for step in walk:
            on_step(step)


def apply(link: Link, clock: Clock, step: Migration) -> None:
    """Apply one step and note it, in the transaction that is open."""
    for statement in step.statements:
        link.raw(statement)
    link.raw(_NOTE, {"number": step.number, "name": step.name, "digest": step.digest, "at_us": clock.now_us()})


def descend(
    link: Link,
    wanted: Sequence[Migration],
    to: int,
    *,
    on_step: Callable[[Migration], None] = lambda _: None,
) -> None:
    """Take back every applied step above `to`, newest first.

    Raises:
        Invalid: there is no such step, or one has no way back; nothing was changed.
    """
    for step in downwards(applied(link), wanted, to):
        link.begin()
        try:
            if step.number in applied(link):
                undo(link, step)
            link.commit()
        except BaseException:
            link.rollback()
            raise
        on_step(step)


def undo(link: Link, step: Migration) -> None:
    """Take one step and its note back, in the transaction that is open."""
    for statement in step.undo:
        link.raw(statement)
    link.raw("delete from migrations where number = :number", {"number": step.number})


def losses(link: Link, wanted: Sequence[Migration], to: int) -> list[Loss]:
    """Return what `descend` would take away, by doing it in a transaction that is undone.

    Raises:
        Invalid: as `descend`.
    """
    steps = downwards(applied(link), wanted, to)
    link.begin()
    try:
        before = link.tables()
        rows = {table: int(str(link.raw(f'select count(*) from "{table}"')[0][0])) for table in before}  # noqa: S608
        for step in steps:
            undo(link, step)
        after = link.tables()
    finally:
        link.rollback()
    found: list[Loss] = []
    for table, columns in before.items():
        gone = tuple(name for name in columns if name not in after.get(table, columns))
        if table not in after or gone:
            found.append(Loss(table=table, columns=gone, rows=rows[table]))
    return found
