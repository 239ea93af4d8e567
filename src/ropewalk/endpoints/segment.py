"""Sealing: a journal becomes a Parquet file that the ledger knows, and only then goes away."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ropewalk.endpoints.journal import TRACE, read_journal
from ropewalk.errors import Corrupt, NotFound
from ropewalk.refs import digest_of, digest_of_file
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

if TYPE_CHECKING:
    import polars as pl

FOLDER = "capture"
# Every captured row has these; `in.COLUMN` and `out.COLUMN` follow with the types of the release's model.
FIXED = (
    "id",
    "at_us",
    "event_us",
    "endpoint",
    "release",
    "role",
    "pair",
    "key",
    "status",
    "error",
    "latency_us",
    "generation",
    "warnings",
)
_WHOLE = frozenset(("at_us", "event_us", "latency_us", "generation", "warnings"))
_FOREVER_US = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A sealed file of captured predictions.

    Attributes:
        digest: sha256 of the file.
        endpoint: whose predictions.
        path: relative to `.ropewalk/capture`.
        rows: how many.
        bytes: length of the file.
        first_id: smallest prediction id in it.
        last_id: largest prediction id in it.
        first_us: earliest arrival, microseconds since the epoch.
        last_us: latest arrival.
        event_first_us: earliest event time.
        event_last_us: latest event time.
        sealed_us: when it was sealed.
    """

    digest: str
    endpoint: str
    path: str
    rows: int
    bytes: int
    first_id: str
    last_id: str
    first_us: int
    last_us: int
    event_first_us: int
    event_last_us: int
    sealed_us: int


def folder_of(site: Site, endpoint: str) -> Path:
    """Return where an endpoint's journals and segments lie."""
    return site.hidden / FOLDER / endpoint


def frame_of(frames: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Return captured batches as one table, ordered by id.

    Args:
        frames: what `read_journal` found.
    """
    import polars as pl

    groups: dict[tuple[str, ...], dict[str, list[Any]]] = {}
    for frame in frames:
        inputs, outputs = frame["in"], frame["out"]
        names = (str(frame["release"]), *(f"in.{name}" for name in inputs), *(f"out.{name}" for name in outputs))
        rows = len(frame["id"])
        fixed = FIXED
        if TRACE in frame:  # those alone have the column whose callers sent a trace
            fixed, names = (*FIXED, TRACE), (*names, TRACE)
        group = groups.setdefault(names, {name: [] for name in (*FIXED, *names[1:])})
        for name in fixed:
            value: Any = frame[name]
            group[name] += cast("list[Any]", value) if isinstance(value, list) else [value] * rows
        for name, values in inputs.items():
            group[f"in.{name}"] += values
        for name, values in outputs.items():
            group[f"out.{name}"] += values
    tables = [
        pl.DataFrame(
            [
                pl.Series(name, values, dtype=pl.Int64 if name in _WHOLE else pl.String)
                if name in FIXED or name == TRACE
                else pl.Series(name, values, strict=False)
                for name, values in group.items()
            ]
        )
        for group in groups.values()
    ]
    if not tables:
        return pl.DataFrame(schema={name: pl.Int64 if name in _WHOLE else pl.String for name in FIXED})
    return pl.concat(tables, how="diagonal_relaxed").sort("id")


def seal(site: Site, endpoint: str, journal: Path) -> Segment | None:
    """Make a segment of a journal that nobody writes any more; return None when there is nothing (more) to seal.

    Safe after kill -9 at any point and when two processes do it at once: the file gets the same name, the row is
    inserted once, and the journal goes only when the row is durable.
    """
    path = journal.with_suffix(".parquet")
    relative = f"{endpoint}/{path.name}"
    try:
        contents = read_journal(journal)
    except FileNotFoundError:
        return None
    segment = None
    with site.db.read() as reader:
        sealed = reader.value("endpoints.sealed", path=relative)
    if contents.frames and not sealed:
        table = frame_of(contents.frames)
        write_table(table, path)
        segment = describe(site, table, endpoint, path)
        body: dict[str, object] = {**asdict(segment), "damaged": contents.damaged}
        site.db.write(lambda tx: register(tx, site, segment, body))
    if contents.damaged:
        journal.rename(journal.with_suffix(".damaged"))
    else:
        journal.unlink(missing_ok=True)
    return segment


def describe(site: Site, table: pl.DataFrame, endpoint: str, path: Path) -> Segment:
    """Return the segment that a written table is.

    Args:
        site: the project.
        table: its rows, at least one.
        endpoint: whose predictions.
        path: the file, in the endpoint's folder.
    """
    columns = {name: table.get_column(name) for name in ("id", "at_us", "event_us")}
    low: dict[str, Any] = {name: column.min() for name, column in columns.items()}
    high: dict[str, Any] = {name: column.max() for name, column in columns.items()}
    return Segment(
        digest=digest_of_file(path),
        endpoint=endpoint,
        path=f"{endpoint}/{path.name}",
        rows=table.height,
        bytes=path.stat().st_size,
        first_id=low["id"],
        last_id=high["id"],
        first_us=low["at_us"],
        last_us=high["at_us"],
        event_first_us=low["event_us"],
        event_last_us=high["event_us"],
        sealed_us=site.clock.now_us(),
    )


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write Parquet under a temporary name, fsync, rename, fsync the folder.

    Raises:
        OSError: the disk refused it.
    """
    incoming = path.with_name(f"{path.stem}.{os.getpid()}.tmp")
    try:
        with incoming.open("wb") as file:
            table.write_parquet(file, compression="zstd", compression_level=1)
            file.flush()
            os.fsync(file.fileno())
        incoming.replace(path)
    finally:
        incoming.unlink(missing_ok=True)
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def register(tx: Transaction, site: Site, segment: Segment, body: dict[str, object]) -> None:
    """Make a written segment known, with its entry in the ledger; once, whoever comes twice."""
    if tx.run("endpoints.segment_insert", **asdict(segment)) == 1:
        site.record(tx, "segment.sealed", f"segment:{segment.digest}", body)


def segments(
    reader: Reader,
    endpoint: str,
    *,
    since_us: int | None = None,
    until_us: int | None = None,
    event_since_us: int | None = None,
    event_until_us: int | None = None,
) -> list[Segment]:
    """Return the sealed segments that may hold rows of these half-open spans of arrival and of event time."""
    return reader.all(
        Segment,
        "endpoints.segments",
        endpoint=endpoint,
        since_us=-_FOREVER_US if since_us is None else since_us,
        until_us=_FOREVER_US if until_us is None else until_us,
        event_since_us=-_FOREVER_US if event_since_us is None else event_since_us,
        event_until_us=_FOREVER_US if event_until_us is None else event_until_us,
    )


def all_segments(reader: Reader) -> list[Segment]:
    """Return every segment of the project, for `ropewalk verify`."""
    return reader.all(Segment, "endpoints.all_segments")


def segments_with(reader: Reader, prediction_id: str) -> list[Segment]:
    """Return the segments whose span of ids holds this one; at most one of them really has it."""
    return reader.all(Segment, "endpoints.segments_with", id=prediction_id)


def segment_bytes(site: Site, segment: Segment) -> bytes:
    """Return a segment's file, verified.

    Raises:
        NotFound: the file is gone.
        Corrupt: its bytes are not the ones that the ledger has signed.
    """
    path = site.hidden / FOLDER / segment.path
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(
            "segment-not-found", "A captured segment is gone.", where=segment.path, fix="ropewalk verify"
        ) from None
    if digest_of(data) != segment.digest:
        raise Corrupt(
            "segment-corrupt",
            "A captured segment no longer holds the bytes that were recorded.",
            where=segment.path,
            why=f"its sha256 is not {segment.digest}",
            fix="ropewalk verify",
        )
    return data
