"""Capture: every answered prediction is in a journal before its answer leaves, and in a sealed segment soon after."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk.endpoints.journal import ENDING, Journal, left_behind, read_journal
from ropewalk.endpoints.segment import (
    FIXED,
    FOLDER,
    Segment,
    folder_of,
    frame_of,
    seal,
    segment_bytes,
    segments,
    segments_with,
)
from ropewalk.errors import RopewalkError
from ropewalk.refs import uuid7
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

SEAL_SECONDS = 1.0
SEAL_ROWS = 20_000
SEAL_BYTES = 8 << 20
log = logging.getLogger(__name__)


class Capture:
    """Writes journals from the event loop and seals them from a thread of its own.

    Memory is bounded by one journal of `seal_rows` rows or 8 MiB: what cannot be sealed yet waits on the disk.

    Args:
        site: the project.
        seal_seconds: longest time that a row waits for its segment.
        seal_rows: rows after which a journal is sealed at once.
    """

    def __init__(self, site: Site, *, seal_seconds: float = SEAL_SECONDS, seal_rows: int = SEAL_ROWS) -> None:
        self.problem: RopewalkError | None = None
        self.sealed_rows = 0
        self._site = site
        self._seconds = seal_seconds
        self._rows = seal_rows
        self._lock = threading.Lock()
        self._open: dict[str, Journal] = {}
        self._waiting: list[tuple[str, Journal]] = []
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="ropewalk-capture", daemon=True)

    def start(self) -> None:
        """Seal what a killed gateway left behind, then begin."""
        recover(self._site)
        self._thread.start()

    def write(self, endpoint: str, frame: dict[str, Any], rows: int) -> None:
        """Write one batch down; when this returns, kill -9 cannot lose it.

        Args:
            endpoint: its name.
            frame: the columns of `FIXED` (a value for all rows or a list), `in` and `out` as columns of values.
            rows: how many.

        Raises:
            OSError: the disk refused it.
        """
        with self._lock:
            journal = self._open.get(endpoint)
            if journal is None:
                folder = folder_of(self._site, endpoint)
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                journal = Journal(folder / f"{uuid7(self._site.clock.now_us())}{ENDING}")
                self._open[endpoint] = journal
            journal.append(frame, rows)
            if journal.rows >= self._rows or journal.bytes >= SEAL_BYTES:
                self._waiting.append((endpoint, self._open.pop(endpoint)))
                self._wake.set()

    def close(self) -> None:
        """Seal everything, then end."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _serve(self) -> None:
        while not self._closing:
            self._wake.wait(self._seconds)
            self._wake.clear()
            self._seal_all()
        self._seal_all()

    def _seal_all(self) -> None:
        from polars.exceptions import PolarsError

        with self._lock:
            due = [*self._waiting, *self._open.items()]
            self._waiting, self._open = [], {}
        for endpoint, journal in due:
            try:
                journal.sync()
                segment = seal(self._site, endpoint, journal.path)
            except (OSError, RopewalkError, ValueError, TypeError, PolarsError) as error:
                # The rows are safe in the journal; it is tried again, and the problem is shown by /metrics.
                self.problem = error if isinstance(error, RopewalkError) else _unsealed(error)
                log.warning("%s %s", self.problem.what, self.problem.why)
                with self._lock:
                    self._waiting.append((endpoint, journal))
            else:
                self.problem = None
                self.sealed_rows += segment.rows if segment else 0
                journal.close()


def _unsealed(error: Exception) -> RopewalkError:
    return RopewalkError("capture-not-sealed", "Captured rows could not be sealed yet.", why=str(error)[:300])


def recover(site: Site) -> list[Segment]:
    """Seal every journal whose writer is gone; return the new segments.

    A journal that cannot be sealed stays as it is, so that a gateway can start all the same.
    """
    from polars.exceptions import PolarsError

    found: list[Segment] = []
    for folder in sorted((site.hidden / FOLDER).glob("*/")):
        for journal in left_behind(folder):
            try:
                segment = seal(site, folder.name, journal)
            except (OSError, ValueError, TypeError, KeyError, PolarsError) as error:
                log.warning("%s could not be sealed: %s", journal.name, error)
                continue
            if segment is not None:
                found.append(segment)
    return found


def read(  # noqa: D417 - the spans are told in one line
    site: Site,
    endpoint: str,
    *,
    since_us: int | None = None,
    until_us: int | None = None,
    event_since_us: int | None = None,
    event_until_us: int | None = None,
    release: str | None = None,
    columns: tuple[str, ...] | None = None,
) -> pl.DataFrame:
    """Return captured predictions ordered by id, also those that are not sealed yet; each row once.

    Spans are half-open; `since_us` and `until_us` are of arrival, the others of event time.

    Args:
        site: the project.
        endpoint: whose predictions.
        release: only those of a release, such as `flights/3`.
        columns: only these columns; one that no row has is left out.

    Raises:
        Corrupt: a segment's bytes are not the ones that were sealed.
    """
    import polars as pl

    tables = _tables(
        site,
        endpoint,
        columns,
        since_us=since_us,
        until_us=until_us,
        event_since_us=event_since_us,
        event_until_us=event_until_us,
    )
    whole = pl.concat(tables, how="diagonal_relaxed").lazy()
    for name, low, high in (("at_us", since_us, until_us), ("event_us", event_since_us, event_until_us)):
        if low is not None:
            whole = whole.filter(pl.col(name) >= low)
        if high is not None:
            whole = whole.filter(pl.col(name) < high)
    if release is not None:
        whole = whole.filter(pl.col("release") == release)
    whole = whole.sort("id")
    if columns is not None:
        there = whole.collect_schema().names()
        whole = whole.select([name for name in columns if name in there])
    return whole.collect()


def _tables(site: Site, endpoint: str, columns: tuple[str, ...] | None, **spans: int | None) -> list[pl.DataFrame]:
    """Return what is sealed and what is not, at least one table.

    Journals first, the table of segments second: a journal that is sealed in between is then known as sealed.
    """
    journals = _journals(folder_of(site, endpoint))
    with site.db.read() as reader:
        known = segments(reader, endpoint, **spans)
        fresh = [
            frames
            for name, frames in journals.items()
            if not reader.value("endpoints.sealed", path=f"{endpoint}/{name}")
        ]
    tables = [_table(site, segment, columns) for segment in known]
    tables += [_chosen(frame_of(frames), columns) for frames in fresh or [()]]
    return tables


_ALWAYS = ("id", "at_us", "event_us", "release")


def _table(site: Site, segment: Segment, columns: tuple[str, ...] | None) -> pl.DataFrame:
    import polars as pl

    data = segment_bytes(site, segment)
    if columns is None:
        return pl.read_parquet(BytesIO(data))
    there = pl.read_parquet_schema(BytesIO(data))
    wanted = [name for name in dict.fromkeys((*_ALWAYS, *columns)) if name in there]
    return pl.read_parquet(BytesIO(data), columns=wanted)


def _chosen(table: pl.DataFrame, columns: tuple[str, ...] | None) -> pl.DataFrame:
    if columns is None:
        return table
    return table.select([name for name in dict.fromkeys((*_ALWAYS, *columns)) if name in table.columns])


def _journals(folder: Path) -> dict[str, tuple[dict[str, Any], ...]]:
    """Return the frames of each journal by the name that its segment has or will have."""
    found: dict[str, tuple[dict[str, Any], ...]] = {}
    for path in sorted(folder.glob(f"*{ENDING}")):
        with suppress(FileNotFoundError):
            found[path.with_suffix(".parquet").name] = read_journal(path).frames
    return found


def find(site: Site, prediction_id: str) -> dict[str, Any] | None:
    """Return one captured prediction as a map of its columns, or None.

    Raises:
        Corrupt: the segment that should hold it does not have its bytes any more.
    """
    import polars as pl

    folders = sorted((site.hidden / FOLDER).glob("*/"))
    journals = [frame_of(frames) for folder in folders for frames in _journals(folder).values()]
    with site.db.read() as reader:
        candidates = segments_with(reader, prediction_id)
    for table in (*(_table(site, segment, None) for segment in candidates), *journals):
        hit = table.filter(pl.col("id") == prediction_id)
        if hit.height:
            # Columns that only other releases of the same file have are no part of this row.
            same = table.filter(pl.col("release") == hit.item(0, "release"))
            alone = same.height == table.height
            own = [name for name in table.columns if alone or name in FIXED or same[name].null_count() < same.height]
            return hit.select(own).row(0, named=True)
    return None
