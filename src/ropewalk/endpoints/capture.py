"""Capture: every answered prediction is in a journal before its answer leaves, and in a sealed segment soon after."""

from __future__ import annotations

import errno
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from ropewalk.endpoints.journal import ENDING, Journal, left_behind, read_journal
from ropewalk.endpoints.making import clear, reading
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
from ropewalk.errors import RopewalkError, Unavailable
from ropewalk.refs import uuid7
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

SEAL_SECONDS = 1.0
SEAL_ROWS = 20_000
SEAL_BYTES = 8 << 20
WAITING_MAX = 64
log = logging.getLogger(__name__)


class Behind(OSError):
    """So much waits to be sealed that no more is taken: the disk, or the store of the rows, is too slow or away."""

    def __init__(self, waiting: int) -> None:
        super().__init__(errno.EBUSY, f"{waiting} full journals wait to be sealed: disk or store is slow")


class Capture:
    """Writes journals from the event loop and seals them from a thread of its own.

    What happens when the disk is slow: nothing is ever dropped. An answer waits until its row is in the journal; one
    whose row cannot be written is not given (503), and is counted. Rows that cannot be sealed wait on the disk, at most
    `waiting_max` full journals for each endpoint; beyond that predictions are refused until the disk has caught up.
    Memory is bounded by what one journal of `seal_rows` rows or 8 MiB takes while it is sealed.

    Args:
        site: the project.
        seal_seconds: longest time that a row waits for its segment.
        seal_rows: rows after which a journal is sealed at once.
        waiting_max: full journals of an endpoint that may wait to be sealed.
    """

    def __init__(
        self,
        site: Site,
        *,
        seal_seconds: float = SEAL_SECONDS,
        seal_rows: int = SEAL_ROWS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self.problem: RopewalkError | None = None
        self.sealed_rows = 0
        self.written_rows = 0
        self.refused_rows = 0
        self.write_seconds = 0.0
        self._site = site
        self._seconds = seal_seconds
        self._rows = seal_rows
        self._waiting_max = waiting_max
        self._lock = threading.Lock()
        self._open: dict[str, Journal] = {}
        self._waiting: list[tuple[str, Journal]] = []
        self._unsealed: Counter[str] = Counter()  # journals that nobody writes any more, by endpoint
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
            OSError: the disk refused it, or too much waits to be sealed (`Behind`); the rows were not kept.
        """
        began = monotonic()
        with self._lock:
            try:
                self._write(endpoint, frame, rows)
            except OSError:
                self.refused_rows += rows
                raise
            self.written_rows += rows
            self.write_seconds += monotonic() - began

    def _write(self, endpoint: str, frame: dict[str, Any], rows: int) -> None:
        journal = self._open.get(endpoint)
        if journal is None:
            journal = self._open[endpoint] = self.lend(endpoint)
        journal.append(frame, rows)
        if journal.rows >= self._rows or journal.bytes >= SEAL_BYTES:
            self._waiting.append((endpoint, self._open.pop(endpoint)))
            self._unsealed[endpoint] += 1
            self._wake.set()

    def lend(self, endpoint: str) -> Journal:
        """Return a new journal of an endpoint, for another process to write; it is ours again by `take_back`.

        Raises:
            OSError: the disk refused it, or too much waits to be sealed (`Behind`).
        """
        if self._unsealed[endpoint] >= self._waiting_max:
            raise Behind(self._unsealed[endpoint])
        folder = folder_of(self._site, endpoint)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Journal(folder / f"{uuid7(self._site.clock.now_us())}{ENDING}")

    def take_back(self, endpoint: str, journal: Journal) -> None:
        """Seal a journal that nobody writes any more."""
        with self._lock:
            self._waiting.append((endpoint, journal))
            self._unsealed[endpoint] += 1
        self._wake.set()

    def note(self, rows: int) -> None:
        """Count rows that were written to journals elsewhere."""
        with self._lock:
            self.written_rows += rows

    def close(self) -> None:
        """Seal everything, then end."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def gauges(self) -> Iterator[tuple[str, str, dict[tuple[str, str], float]]]:
        """Yield name, help and values by (endpoint, release) of what `/metrics` says of capture."""
        whole = ("", "")
        yield (
            "ropewalk_capture_failing",
            "1 while captured rows cannot be sealed.",
            {whole: float(self.problem is not None)},
        )
        yield "ropewalk_capture_rows", "Rows written since the start.", {whole: float(self.written_rows)}
        yield (
            "ropewalk_capture_refused_rows",
            "Rows that could not be written, so that their predictions were not answered.",
            {whole: float(self.refused_rows)},
        )
        yield (
            "ropewalk_capture_write_seconds",
            "Seconds spent in writing rows since the start.",
            {whole: self.write_seconds},
        )
        waiting = {(name, ""): float(count) for name, count in tuple(self._unsealed.items())}
        yield "ropewalk_capture_waiting_journals", "Journals that wait to be sealed.", waiting or {whole: 0.0}

    def _serve(self) -> None:
        while not self._closing:
            self._wake.wait(self._seconds)
            self._wake.clear()
            self._seal_all()
        self._seal_all()

    def _seal_all(self) -> None:
        """Seal what is full, then what is still written, which goes on being written while nothing can be sealed."""
        with self._lock:
            due, self._waiting = self._waiting, []
        sealed = [self._seal(endpoint, journal) for endpoint, journal in due]
        if due and not any(sealed) and not self._closing and isinstance(self.problem, Unavailable):
            return
        with self._lock:
            due = list(self._open.items())
            self._open = {}
            self._unsealed.update(endpoint for endpoint, _ in due)
        for endpoint, journal in due:
            self._seal(endpoint, journal)

    def _seal(self, endpoint: str, journal: Journal) -> bool:
        """Seal one journal; where that fails it waits for the next turn, its rows safe where they are."""
        from polars.exceptions import PolarsError

        try:
            journal.sync()
            segment = seal(self._site, endpoint, journal.path)
        except (OSError, RopewalkError, ValueError, TypeError, PolarsError) as error:
            self.problem = _unsealed(error)
            log.warning("%s %s", self.problem.what, self.problem.why)
            with self._lock:
                self._waiting.append((endpoint, journal))
            return False
        self.problem = None
        self.sealed_rows += segment.rows if segment else 0
        journal.close()
        with self._lock:
            self._unsealed[endpoint] -= 1
        return True


def _unsealed(error: Exception) -> RopewalkError:
    """Return the problem; `Unavailable` where the disk or the store may be better at the next try."""
    if isinstance(error, RopewalkError):
        return error
    kind = Unavailable if isinstance(error, OSError) else RopewalkError
    return kind("capture-not-sealed", "Captured rows could not be sealed yet.", why=str(error)[:300])


def recover(site: Site) -> list[Segment]:
    """Seal every journal whose writer is gone; return the new segments.

    A journal that cannot be sealed stays as it is, so that a gateway can start all the same.
    """
    from polars.exceptions import PolarsError

    found: list[Segment] = []
    for folder in sorted((site.hidden / FOLDER).glob("*/")):
        clear(site, folder.name)
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

    spans = {"since_us": since_us, "until_us": until_us}
    with reading(site):
        tables = _tables(site, endpoint, columns, **spans, event_since_us=event_since_us, event_until_us=event_until_us)
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


def each(
    site: Site, endpoint: str, *, since_us: int | None = None, columns: tuple[str, ...] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield captured predictions table by table, each row once, in no order; memory is that of the largest table.

    Args:
        site: the project.
        endpoint: whose predictions.
        since_us: earliest arrival; tables may hold older rows too.
        columns: only these, besides `id`, `at_us`, `event_us` and `release`.

    Raises:
        Corrupt: a segment's bytes are not the ones that were sealed.
    """
    with reading(site):
        journals = _journals(folder_of(site, endpoint))
        with site.db.read() as reader:
            known = segments(reader, endpoint, since_us=since_us)
            fresh = [
                frames
                for name, frames in journals.items()
                if not reader.value("endpoints.sealed", path=f"{endpoint}/{name}")
            ]
        for segment in known:
            yield _table(site, segment, columns)
        for frames in fresh:
            yield _chosen(frame_of(frames), columns)


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

    with reading(site):
        folders = sorted((site.hidden / FOLDER).glob("*/"))
        journals = [frame_of(frames) for folder in folders for frames in _journals(folder).values()]
        with site.db.read() as reader:
            candidates = segments_with(reader, prediction_id)
        tables = (*(_table(site, segment, None) for segment in candidates), *journals)
    for table in tables:
        hit = table.filter(pl.col("id") == prediction_id)
        if hit.height:
            # Columns that only other releases of the same file have are no part of this row.
            same = table.filter(pl.col("release") == hit.item(0, "release"))
            alone = same.height == table.height
            own = [name for name in table.columns if alone or name in FIXED or same[name].null_count() < same.height]
            return hit.select(own).row(0, named=True)
    return None
