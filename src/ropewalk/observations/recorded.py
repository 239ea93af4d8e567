"""Sealed predictions: what evidence is made of, so that anybody can count again what was counted."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from ropewalk.endpoints.making import reading
from ropewalk.endpoints.segment import Segment, segment_bytes, segments
from ropewalk.observations import labels
from ropewalk.site import Site
from ropewalk.store.database import Reader

if TYPE_CHECKING:
    import polars as pl

COLUMNS = (
    "id",
    "at_us",
    "event_us",
    "release",
    "role",
    "pair",
    "key",
    "status",
    "latency_us",
    "generation",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Captured rows and where they were read.

    Attributes:
        rows: columns `COLUMNS`, those that were asked for, and `label` (JSON text, null where none is known).
        segments: digests of the segments that were read, in order.
        labelled: how many rows have a label.
        labels: ledger entry of the newest batch of labels that was looked at, 0 for none; later ones were not there.
    """

    rows: pl.DataFrame
    segments: tuple[str, ...]
    labelled: int
    labels: int


def read(
    site: Site,
    endpoint: str,
    *,
    since_us: int | None = None,
    event_since_us: int | None = None,
    event_until_us: int | None = None,
    generation: int = 0,
    releases: tuple[str, ...] = (),
    columns: tuple[str, ...] = ("out.",),
) -> Recorded:
    """Return the sealed rows of a span with their labels; what is not sealed yet comes with the next look.

    Args:
        site: the project.
        endpoint: whose predictions.
        since_us: earliest arrival, microseconds since the epoch.
        event_since_us: earliest event time.
        event_until_us: end of event time, not included.
        generation: earliest generation of traffic.
        releases: only these; empty for all.
        columns: further columns by name, or by a beginning that ends with a dot.

    Raises:
        Corrupt: a segment's bytes are not the ones that were sealed.
    """
    import polars as pl

    keep = _kept(generation, releases, {"at_us": (since_us, None), "event_us": (event_since_us, event_until_us)})
    with reading(site), site.db.read() as reader:
        known = segments(
            reader, endpoint, since_us=since_us, event_since_us=event_since_us, event_until_us=event_until_us
        )
        tables = [_table(segment_bytes(site, segment), columns).filter(keep) for segment in known]
        rows = pl.concat(tables, how="diagonal_relaxed") if tables else empty()
        told = labels.of_rows(reader, endpoint, rows)
        newest = labels.newest(reader, endpoint)
    rows = labels.join(rows, *told)
    return Recorded(
        rows=rows,
        segments=tuple(segment.digest for segment in known),
        labelled=rows.height - rows.get_column("label").null_count(),
        labels=newest,
    )


def of_segment(
    site: Site, reader: Reader, endpoint: str, segment: Segment, *, generation: int, releases: tuple[str, ...]
) -> pl.DataFrame:
    """Return the rows of one segment with their labels; arguments and errors as of `read`."""
    rows = _table(segment_bytes(site, segment), ("out.",)).filter(_kept(generation, releases, {}))
    return labels.join(rows, *labels.of_rows(reader, endpoint, rows))


def plain(site: Site, segment: Segment, columns: tuple[str, ...], wanted: pl.Expr) -> pl.DataFrame:
    """Return these columns of those rows of a segment that are wanted."""
    return _table(segment_bytes(site, segment), ()).filter(wanted).select(columns)


def _kept(generation: int, releases: tuple[str, ...], spans: dict[str, tuple[int | None, int | None]]) -> pl.Expr:
    """Return which rows are wanted; spans are half-open."""
    import polars as pl

    keep = pl.col("generation") >= generation
    for name, (low, high) in spans.items():
        keep = keep & (pl.col(name) >= low if low is not None else True)
        keep = keep & (pl.col(name) < high if high is not None else True)
    return keep & pl.col("release").is_in(releases) if releases else keep


def _table(data: bytes, columns: tuple[str, ...]) -> pl.DataFrame:
    import polars as pl

    there = pl.read_parquet_schema(BytesIO(data))
    wanted = [
        name
        for name in there
        if name in COLUMNS or any(name == one or (one.endswith(".") and name.startswith(one)) for one in columns)
    ]
    return pl.read_parquet(BytesIO(data), columns=wanted)


def empty() -> pl.DataFrame:
    """Return no rows, with the columns that all captured rows have."""
    import polars as pl

    numbers = ("at_us", "event_us", "latency_us", "generation")
    return pl.DataFrame(schema={name: pl.Int64 if name in numbers else pl.String for name in COLUMNS})
