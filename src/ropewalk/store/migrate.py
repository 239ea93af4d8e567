"""Numbered schema files, each applied once, in one transaction with the note that it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ropewalk.errors import Conflict
from ropewalk.refs import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered step of the schema.

    Attributes:
        number: position, from 1.
        name: the file's name without its ending.
        digest: sha256 of the file, so that an edited step is noticed.
        statements: single SQL statements in order.
    """

    number: int
    name: str
    digest: str
    statements: tuple[str, ...]


@cache
def load_migrations(dialect: str) -> tuple[Migration, ...]:
    """Return the steps in order; `NNNN_name.DIALECT.sql` takes the place of `NNNN_name.sql`."""
    folder = files("ropewalk.store").joinpath("migrations")
    chosen: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda item: len(item.name)):
        stem, _, ending = file.name.partition(".")
        if ending in ("sql", f"{dialect}.sql"):
            chosen[stem] = file.read_text(encoding="utf-8")
    return tuple(
        Migration(number=int(stem[:4]), name=stem, digest=digest_of(text.encode()), statements=tuple(_split(text)))
        for stem, text in sorted(chosen.items())
    )


def pending(applied: Mapping[int, str], wanted: Sequence[Migration], where: str) -> tuple[Migration, ...]:
    """Return the steps that are still to be applied.

    Args:
        applied: digests of the steps that were applied, by number.
        wanted: the steps that this release knows.
        where: the database's name, for errors.

    Raises:
        Conflict: the schema is newer than this release, or an applied step is not the one that this release knows.
    """
    newest, done = wanted[-1].number, max(applied, default=0)
    if done > newest:
        raise Conflict(
            "store-newer",
            "This folder was written by a newer Ropewalk.",
            where=where,
            why=f"its schema is at step {done}, this release knows {newest}",
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
    return tuple(step for step in wanted if step.number > done)


def _split(text: str) -> Iterator[str]:
    """Split at `;` that ends a line; a trigger's body is kept whole up to its `end;`."""
    statement: list[str] = []
    inside = False
    for line in text.splitlines():
        bare = line.strip()
        if not statement and (not bare or bare.startswith("--")):
            continue
        statement.append(line)
        inside = inside or bare.lower().startswith("create trigger")
        if bare.endswith(";") and (not inside or bare.lower() == "end;"):
            yield "\n".join(statement).rstrip().removesuffix(";")
            statement, inside = [], False
