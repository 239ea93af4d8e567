"""Compaction: many small segments become few, a day at a time, and what is older than it may be is forgotten."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING

from ropewalk.endpoints.journal import ENDING
from ropewalk.endpoints.making import clear, making, unread
from ropewalk.endpoints.segment import FOLDER, Segment, describe, folder_of, segment_bytes, write_table
from ropewalk.errors import Conflict, Corrupt
from ropewalk.refs import uuid7
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

if TYPE_CHECKING:
    import polars as pl

DAY_US = 86_400_000_000
# What one merge takes at most, and so its memory: a quarter of a million rows, 64 MiB of Parquet.
ROWS_MAX = 250_000
BYTES_MAX = 64 << 20
PARTS_MAX = 512
# On a day that is not over, so many segments of one level become one of the next.
PARTS_MIN = 64
SETTLED_US = 60_000_000
FORGET_MAX = 256
_LEVEL = re.compile(r"-m(\d)\.parquet$")
Held = Callable[[Reader, Segment], bool]


def compact(site: Site, endpoint: str, *, held: Held | None = None) -> Segment | None:
    """Merge one group of an endpoint's small segments; return what they became, or None when nothing is due.

    Every row is in exactly one segment before and after: the rows of the table change in one transaction, with an
    entry of the ledger that names the digests of all parts. The files of the parts go later, by `sweep_files`.

    Args:
        site: the project.
        endpoint: whose segments.
        held: says of a segment that it has to stay as it is for now.

    Raises:
        Corrupt: a part's bytes are not the ones that were sealed; nothing was changed.
        Conflict: another process merged the same parts at the same time; nothing was changed.
    """
    clear(site, endpoint)
    now = site.clock.now_us()
    with site.db.read() as reader:
        small = reader.all(
            Segment,
            "endpoints.segments_small",
            endpoint=endpoint,
            bytes=BYTES_MAX,
            rows=ROWS_MAX,
            sealed_us=now - SETTLED_US,
        )
        if held is not None:
            small = [one for one in small if not held(reader, one)]
    folder = site.hidden / FOLDER
    # What lies on another machine is that machine's to merge; what still has its journal is not settled.
    here = [one for one in small if (folder / one.path).exists()]
    here = [one for one in here if not (folder / one.path).with_suffix(ENDING).exists()]
    for level, group in _groups(here, now):
        for parts in _chunks(group):
            table, parts = _merged(site, parts)  # noqa: PLW2901 - fewer, where their columns do not go together
            if len(parts) > 1:
                return _replace(site, endpoint, table, parts, level=level)
    return None


def _groups(small: Sequence[Segment], now_us: int) -> Iterator[tuple[int, list[Segment]]]:
    """Yield what is due with the level of what it becomes: whole days that are over, levels that are full."""
    days: dict[int, list[Segment]] = {}
    for one in small:
        days.setdefault(one.first_us // DAY_US, []).append(one)
    for day, group in sorted(days.items()):
        if (day + 1) * DAY_US + SETTLED_US <= now_us:
            if len(group) > 1:
                yield 9, group
            continue
        levels: dict[int, list[Segment]] = {}
        for one in group:
            levels.setdefault(_level(one), []).append(one)
        for level, same in sorted(levels.items()):
            if len(same) >= PARTS_MIN:
                yield min(level + 1, 9), same


def _level(one: Segment) -> int:
    found = _LEVEL.search(one.path)
    return int(found.group(1)) if found else 0


def _chunks(group: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Yield runs of neighbours that together stay below what one merge may take."""
    chunk: list[Segment] = []
    rows = size = 0
    for one in group:
        if chunk and (rows + one.rows > ROWS_MAX or size + one.bytes > BYTES_MAX or len(chunk) == PARTS_MAX):
            if len(chunk) > 1:
                yield chunk
            chunk, rows, size = [], 0, 0
        chunk.append(one)
        rows, size = rows + one.rows, size + one.bytes
    if len(chunk) > 1:
        yield chunk


def _merged(site: Site, parts: Sequence[Segment]) -> tuple[pl.DataFrame, list[Segment]]:
    """Return the parts' rows ordered by id, and the parts that are in it: those whose types of columns agree.

    Raises:
        Corrupt: the rows are not as many as the parts say.
    """
    import polars as pl

    tables: list[pl.DataFrame] = []
    taken: list[Segment] = []
    kinds: dict[str, pl.DataType] = {}
    for one in parts:
        table = pl.read_parquet(BytesIO(segment_bytes(site, one)))
        own = {name: kind for name, kind in table.schema.items() if kind != pl.Null}
        if any(kinds.get(name, kind) != kind for name, kind in own.items()):
            if len(taken) > 1:
                break
            tables, taken, kinds = [], [], {}  # the first one stands alone: the run begins after it
        kinds |= own
        tables.append(table)
        taken.append(one)
    whole = pl.concat(tables, how="diagonal_relaxed").sort("id")
    if whole.height != sum(one.rows for one in taken):
        raise Corrupt(
            "segment-corrupt",
            "Captured segments do not hold as many rows as they say.",
            where=taken[0].path,
            why=f"{whole.height} rows in {len(taken)} segments that say {sum(one.rows for one in taken)}",
            fix="ropewalk verify",
        )
    return whole, taken


def _replace(site: Site, endpoint: str, table: pl.DataFrame, parts: Sequence[Segment], *, level: int) -> Segment:
    path = folder_of(site, endpoint) / f"{uuid7(site.clock.now_us())}-m{level}.parquet"
    with making(path):
        write_table(table, path)
        merged = describe(site, table, endpoint, path)
        body: dict[str, object] = {**asdict(merged), "parts": [one.digest for one in parts]}

        def swap(tx: Transaction) -> None:
            for one in parts:
                _take_out(tx, site, one)
            tx.run("endpoints.segment_insert", **asdict(merged))
            site.record(tx, "segment.compacted", f"segment:{merged.digest}", body)

        site.db.write(swap)
    return merged


def _take_out(tx: Transaction, site: Site, one: Segment) -> None:
    if tx.run("endpoints.segment_delete", digest=one.digest, path=one.path) != 1:
        raise Conflict(
            "segment-moved", "Another process merged the same segments.", where=one.path, fix="nothing: it is done"
        )
    tx.run("endpoints.leaving_insert", path=one.path, endpoint=one.endpoint, at_us=site.clock.now_us())


def forget(site: Site, keep_days: int, *, since_us: int | None = None, held: Held | None = None) -> int:
    """Forget segments whose newest row is older than so many days; return how many, at most `FORGET_MAX`.

    Each is an entry of the ledger, so that `verify` tells what was forgotten from what was lost.

    Args:
        site: the project.
        keep_days: for how long rows are kept.
        since_us: nothing from this time on is forgotten, whatever the days say: a canary that runs is judged by it.
        held: says of a segment that it has to stay for now.
    """
    before = site.clock.now_us() - keep_days * DAY_US
    before = before if since_us is None else min(before, since_us)

    def drop(tx: Transaction) -> int:
        old = tx.all(Segment, "endpoints.segments_old", before_us=before, count=FORGET_MAX)
        old = [one for one in old if held is None or not held(tx, one)]
        for one in old:
            _take_out(tx, site, one)
            body = {"digest": one.digest, "endpoint": one.endpoint, "rows": one.rows, "last_us": one.last_us}
            site.record(tx, "segment.forgotten", f"segment:{one.digest}", {**body, "keep_days": keep_days})
        return len(old)

    with site.db.read() as reader:
        old = reader.all(Segment, "endpoints.segments_old", before_us=before, count=1)
    return site.db.write(drop) if old else 0


def sweep_files(site: Site) -> int:
    """Remove files whose rows are elsewhere or forgotten, when nobody reads any; return how many went."""
    with site.db.read() as reader:
        leavings = [str(row["path"]) for row in reader.rows("endpoints.leavings")]
    gone: list[str] = []
    if leavings:
        for _ in unread(site):
            for path in leavings:
                file = site.hidden / FOLDER / path
                # A journal that outlived its sealing still needs the note that says so.
                if not file.with_suffix(ENDING).exists():
                    with suppress(FileNotFoundError):
                        file.unlink()
                    gone.append(path)
    if gone:
        site.db.write(lambda tx: tx.many("endpoints.leaving_delete", [{"path": path} for path in gone]))
    return len(gone)
