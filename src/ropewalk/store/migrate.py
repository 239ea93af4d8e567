"""Numbered schema files, each applied once, in one transaction with the note that it was; each has its way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from ropewalk.errors import Conflict, Invalid
from ropewalk.records import frozen
from ropewalk.refs import digest_of
from ropewalk.store.dialect import identities, postgres_schema


@frozen
class Migration:
    """One numbered step of the schema; its texts are taken apart when somebody wants them, which is seldom.

    Attributes:
        number: position, from 1.
        name: the file's name without its ending.
        digest: sha256 of the file, so that an edited step is noticed.
        dialect: `sqlite` or `postgres`.
        portable: the file.
        back: the file that takes the step back; empty when nobody wrote one.
        own: a file in the dialect's own words that takes the portable one's place; None for none.
        own_back: the same of its way back.
    """

    number: int
    name: str
    digest: str
    dialect: str
    portable: str
    back: str = ""
    own: str | None = None
    own_back: str | None = None

    @property
    def statements(self) -> tuple[str, ...]:
        """Single SQL statements in order, in the dialect's words."""
        return _worded(self.portable, self.own, self.dialect)

    @property
    def undo(self) -> tuple[str, ...]:
        """The statements that take the step back; empty when nobody wrote them."""
        return _worded(self.back, self.own_back, self.dialect)

    @property
    def identities(self) -> tuple[tuple[str, str], ...]:
        """Table and column of each number that the database gives."""
        return tuple(found for one in split(self.portable) if (found := identities(one)))


@cache
def load_migrations(dialect: str) -> tuple[Migration, ...]:
    """Return the steps in order: `NNNN_name.sql` with its way back `NNNN_name.down.sql`.

    A portable file is put into the dialect's words; `NNNN_name.DIALECT.sql` takes its place where that does not do.
    """
    folder = Path(__file__).parent / "migrations"
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.sql")}
    names = sorted({name.partition(".")[0] for name in texts})
    return tuple(
        Migration(
            number=int(name[:4]),
            name=name,
            digest=digest_of(texts[f"{name}.sql"].encode()),
            dialect=dialect,
            portable=texts[f"{name}.sql"],
            back=texts.get(f"{name}.down.sql", ""),
            own=texts.get(f"{name}.{dialect}.sql"),
            own_back=texts.get(f"{name}.down.{dialect}.sql"),
        )
        for name in names
    )


def _worded(portable: str, own: str | None, dialect: str) -> tuple[str, ...]:
    if own is not None:
        return tuple(split(own))
    if dialect == "sqlite":
        return tuple(split(portable))
    return tuple(worded for statement in split(portable) for worded in postgres_schema(statement))


def pending(applied: Mapping[int, str], wanted: Sequence[Migration], where: str) -> tuple[Migration, ...]:
    """Return the steps that are still to be applied.

    Args:
        applied: digests of the steps that were applied, by number.
        wanted: the steps that this release knows.
        where: the database's name, for errors.

    Raises:
        Conflict: the schema is newer than this release, or an applied step is not the one that this release knows.
    """
    newer = sorted(set(applied) - {step.number for step in wanted})
    if newer:
        raise Conflict(
            "store-newer",
            "This folder was written by a newer Ropewalk.",
            where=where,
            why=f"its schema is at step {newer[-1]}, this release knows {wanted[-1].number}",
            fix="pip install --upgrade ropewalk",
        )
    for step in wanted:
        if applied.get(step.number, step.digest) != step.digest:
            raise Conflict(
                "store-other-schema",
                "This folder was written by another build of Ropewalk.",
                where=where,
                why=f"its schema step {step.name} has other words than this release's",
                fix="use the build that wrote it, or start in a new folder",
            )
    return tuple(step for step in wanted if step.number not in applied)


def downwards(applied: Mapping[int, str], wanted: Sequence[Migration], to: int) -> tuple[Migration, ...]:
    """Return the applied steps above `to`, newest first, which are to be taken back.

    Raises:
        Invalid: there is no such step, or a step has no way back.
    """
    known = {step.number for step in wanted}
    if to not in known | {0}:
        raise Invalid(
            "store-step-unknown",
            f"The schema has no step {to}.",
            why=f"this release knows 0 to {max(known)}",
            fix=f"ropewalk store migrate --to {max(known)}",
        )
    steps = tuple(step for step in reversed(wanted) if step.number > to and step.number in applied)
    for step in steps:
        if not step.undo:
            raise Invalid(
                "store-step-one-way",
                f"The schema step {step.name} has no way back.",
                why=f"there is no {step.name}.down.sql",
                fix="restore a backup from before that step: ropewalk store restore PATH",
            )
    return steps


def split(text: str) -> Iterator[str]:
    """Split at `;` that ends a line; a trigger's body is kept whole up to its `end;`, and all between two `$$`."""
    statement: list[str] = []
    inside = quoted = False
    for line in text.splitlines():
        bare = line.strip()
        if not statement and (not bare or bare.startswith("--")):
            continue
        statement.append(line)
        quoted ^= line.count("$$") % 2 == 1
        inside = inside or (bare.lower().startswith("create trigger") and "execute function" not in bare.lower())
        if bare.endswith(";") and not quoted and (not inside or bare.lower() == "end;"):
            yield "\n".join(statement).rstrip().removesuffix(";")
            statement, inside = [], False
