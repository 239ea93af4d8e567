"""Where the aliases of a model point, and where each has ever pointed: rows are only added."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

PAGE_ROWS = 1000
_ALWAYS_US = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Where an alias points, or pointed.

    Attributes:
        alias: the word.
        seq: how often it had been moved, from 1.
        version: where it points; 0 when it was taken away.
        actor: who moved it.
        at_us: microseconds since the epoch.
    """

    alias: str
    seq: int
    version: int
    actor: str
    at_us: int


def newest(reader: Reader, model: int, alias: str) -> Alias | None:
    """Return the newest row of an alias, which may say that it was taken away; None when it never was."""
    return reader.get(Alias, "models.alias", model=model, alias=alias)


def at(reader: Reader, model: int, alias: str, at_us: int) -> Alias | None:
    """Return the row that held at a time, or None when the alias was not yet."""
    return reader.get(Alias, "models.alias_at", model=model, alias=alias, at_us=at_us)


def of_model(reader: Reader, model: int) -> list[Alias]:
    """Return the aliases that point somewhere now, in the order of their words."""
    return reader.all(Alias, "models.aliases", model=model)


def history(reader: Reader, model: int, alias: str = "", *, before_us: int = 0, count: int = PAGE_ROWS) -> list[Alias]:
    """Return every move of a model's aliases, newest first.

    Args:
        reader: the view.
        model: the registered model's number.
        alias: only of this one.
        before_us: only moves before this time, microseconds since the epoch; 0 for all.
        count: how many at most.
    """
    return reader.all(
        Alias, "models.alias_history", model=model, alias=alias, before_us=before_us or _ALWAYS_US, count=count
    )


def move(tx: Transaction, site: Site, model: int, name: str, *, alias: str, version: int) -> tuple[Alias, bool]:
    """Point an alias at a version, or at none with 0; return where it points and whether that is news.

    The caller has checked the word and that the version is there.
    """
    before = newest(tx, model, alias)
    if before is not None and before.version == version:
        return before, False
    made = Alias(
        alias=alias,
        seq=1 if before is None else before.seq + 1,
        version=version,
        actor=site.actor,
        at_us=site.clock.now_us(),
    )
    tx.run(
        "models.alias_insert",
        model=model,
        alias=alias,
        seq=made.seq,
        version=version,
        actor=made.actor,
        at_us=made.at_us,
    )
    body = {
        "model": model,
        "alias": alias,
        "seq": made.seq,
        "version": version,
        "before": 0 if before is None else before.version,
    }
    site.record(tx, "model.alias", f"model:{name}@{alias}", body)
    return made, True
