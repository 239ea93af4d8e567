"""Pieces of a source: so many rows as a request would say them, beside the columns as they are written out again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ropewalk.clock import iso
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    import polars as pl

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A row that is none: a broken line, or one with too many cells."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a look at the whole source has found.

    Attributes:
        digest: sha256 of its bytes.
        rows: how many rows it has.
        kinds: polars type of each further column of a text source, by name: its rows alone do not say it.
    """

    digest: str
    rows: int
    kinds: dict[str, str]

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"digest": self.digest, "rows": self.rows, "kinds": self.kinds}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some rows that follow each other.

    Attributes:
        first: number of the first one in the source, from 0.
        records: what a request would say of each, with the contract's columns alone; or why it is no row.
        frame: all columns of the source, a row each.
    """

    first: int
    records: Sequence[Record | Unread]
    frame: pl.DataFrame


class Source(Protocol):
    """Where rows are.

    Attributes:
        path: the file that holds them.
    """

    path: Path

    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        ...

    def survey(self) -> Survey:
        """Look at all of it once, in bounded memory."""
        ...

    def pieces(self, survey: Survey, first: int, size: int) -> Iterator[Piece]:
        """Yield the rows from one on, `size` at a time; the last piece may be shorter."""
        ...


def missing_columns(names: Sequence[str]) -> Invalid:
    """Return the error of a source without columns that the model needs."""
    return Invalid("columns-missing", "The rows lack columns of the model.", why=f"missing: {', '.join(names[:20])}")


def records_of(frame: pl.DataFrame, names: Sequence[str]) -> list[Record]:
    """Return rows of a frame as a request would say them: times as text, what is not a number as nothing."""
    import polars as pl

    shown = frame.select(name for name in names if name in frame.columns)
    times = [name for name, kind in shown.schema.items() if isinstance(kind, pl.Datetime | pl.Date)]
    shown = shown.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None), pl.col(pl.Decimal).cast(pl.Float64))
    records = shown.to_dicts()
    for name in times:
        for record in records:
            record[name] = said(record[name])
    return records


def said(value: Any) -> Any:  # noqa: ANN401 - a cell of any kind
    """Return a time as ISO 8601 in UTC, anything else as it is."""
    if isinstance(value, datetime):
        at = value if value.tzinfo else value.replace(tzinfo=UTC)
        return iso(int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond)
    return value.isoformat() if isinstance(value, date) else value
