"""The work of a batch: read a piece, answer it, keep it; a kill at any point loses the piece at hand and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ropewalk.batches import batch as batches
from ropewalk.batches import folder as folders
from ropewalk.batches.answers import Answered, Answerer, Fault
from ropewalk.batches.batch import ASIDE, CANCELLED, DONE, FAILED, STOP, Batch, Part
from ropewalk.batches.pieces import Piece, Source, Survey, Unread, missing_columns
from ropewalk.batches.source import open_source
from ropewalk.errors import Conflict, Interrupted, Invalid, RopewalkError
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

PART_ROWS = 16_384
OWN = ("prediction_id", "release", "bundle")
Progress = Callable[[Batch], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What the work of one batch needs."""

    site: Site
    batch: Batch
    folder: Path
    source: Source
    survey: Survey
    stamp: tuple[int, ...]
    part_rows: int
    answerer: Answerer
    on_progress: Progress


def work(
    site: Site,
    found: Batch,
    *,
    policy: str,
    allowed: tuple[str, ...] = (),
    on_progress: Progress = lambda _: None,
) -> Batch:
    """Score what of a batch is not scored yet, then let its output be seen; return it as it ends.

    Args:
        site: the project.
        found: the batch, which nobody else works on.
        policy: `stop` or `aside`.
        allowed: globals that the model may import besides the defaults (`scan.globals`).
        on_progress: told after each part.

    Raises:
        Conflict: somebody works on it, the source has changed, or a column has the name of an output.
        Interrupted: another process has taken it over.
        Invalid: a row cannot be answered, and the policy is to stop.
        RopewalkError: the source or the model cannot be read.
    """
    mine = site.db.write(lambda tx: batches.take(tx, site, found, policy=policy))
    folder = folders.folder_of(site, mine.id)
    try:
        with Answerer(site, mine.release, mine.bundle, environment=mine.environment, allowed=allowed) as answerer:
            desk = _desk(site, mine, folder, answerer, on_progress)
            parts = _scored(desk)
        return _ended(desk, parts)
    except Interrupted:
        raise
    except RopewalkError as error:
        note = f"{error.code}: {error.what} {error.where} {error.why}"[:1000]
        site.db.write(lambda tx: batches.settle(tx, site, mine, FAILED, note=note))
        raise


def _desk(site: Site, mine: Batch, folder: Path, answerer: Answerer, on_progress: Progress) -> _Desk:
    """Look at the source, and say how much there is to do."""
    source = open_source(site, folder, mine.place(), answerer.served.contract)
    _require_columns(source, answerer)
    stamp = _stamp(source)
    survey = source.survey()
    noted = _surveyed(site, mine, survey)
    on_progress(noted)
    return _Desk(
        site=site,
        batch=noted,
        folder=folder,
        source=source,
        survey=survey,
        stamp=stamp,
        part_rows=int(msgspec.json.decode(noted.survey)["part_rows"]),
        answerer=answerer,
        on_progress=on_progress,
    )


def _require_columns(source: Source, answerer: Answerer) -> None:
    names, served = source.columns(), answerer.served
    missing = [one.name for one in served.contract.inputs if one.name not in names and not one.nullable]
    if missing:
        raise missing_columns(missing)
    taken = sorted(set(names) & {*(one.name for one in served.outputs), *OWN})
    if taken:
        raise Conflict(
            "batch-columns-taken",
            "The rows have columns with the names of what is written beside them.",
            why=f"both have {', '.join(taken)}",
            fix=f"rename {', '.join(taken)}, or take the columns out",
        )


def _surveyed(site: Site, mine: Batch, survey: Survey) -> Batch:
    """Note what the source is; what is scored already was scored from the same bytes."""
    told = {"part_rows": PART_ROWS, **survey.record()}
    if mine.survey:
        before = msgspec.json.decode(mine.survey)
        told["part_rows"] = before["part_rows"]
        if before != told:
            raise _changed(
                mine, f"they were {before['digest']}, {before['rows']:,} rows; now {survey.digest}, {survey.rows:,}"
            )
    if survey.rows > batches.ROWS_MAX:
        raise Invalid("batch-too-long", "The batch has too many rows.", why=f"at most {batches.ROWS_MAX:,}")
    return site.db.write(lambda tx: batches.surveyed(tx, site, mine, told))


def _stamp(source: Source) -> tuple[int, ...]:
    """Return what changes when somebody writes to the file of a source."""
    found = source.path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _changed(found: Batch, why: str) -> Conflict:
    return Conflict(
        "batch-source-changed",
        "The rows have changed since this batch began.",
        where=found.subject,
        why=why,
        fix=f"ropewalk batch --cancel {found.id}",
    )


def _scored(desk: _Desk) -> list[Part]:
    """Score every part that is not there yet; return all of them."""
    with desk.site.db.read() as rows:
        noted = batches.parts(rows, desk.batch.id)
    have = {part.number: part for part in noted if folders.is_whole(desk.folder, part)}
    last = max(0, -(-desk.survey.rows // desk.part_rows) - 1)
    lacking = [number for number in range(last + 1) if number not in have]
    # Parts that follow each other are read in one go: a text file has to be read from its start to get to a row.
    for _, group in groupby(enumerate(lacking), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in group]
        first, stop = numbers[0] * desk.part_rows, (numbers[-1] + 1) * desk.part_rows
        for piece in _pieces(desk, first):
            if piece.first >= stop:
                break
            _keep(desk, piece, have)
    if not desk.survey.rows and 0 not in have:
        _keep(desk, Piece(first=0, records=[], frame=_no_rows(desk.source)), have)
    return [have[number] for number in range(last + 1)]


def _pieces(desk: _Desk, first: int) -> Iterator[Piece]:
    """Yield the source's pieces as long as nobody writes to it."""
    try:
        for piece in desk.source.pieces(desk.survey, first, desk.part_rows):
            _require_same(desk)
            yield piece
    except Invalid:
        _require_same(desk)
        raise


def _require_same(desk: _Desk) -> None:
    if _stamp(desk.source) != desk.stamp:
        raise _changed(desk.batch, "the file was written to while it was read")


def _no_rows(source: Source) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema=dict.fromkeys(source.columns(), pl.String))


def _keep(desk: _Desk, piece: Piece, have: dict[int, Part]) -> None:
    """Answer a piece and keep it as a part."""
    answered = desk.answerer.answer(list(piece.records))
    if answered.faults and desk.batch.policy == STOP:
        raise _refused(piece, answered.faults)
    frame = _frame(desk, piece, answered)
    aside = [_set_aside(piece, fault) for fault in answered.faults]
    part = folders.keep_part(desk.folder, desk.batch.id, piece.first // desk.part_rows, frame, aside)
    have[part.number] = part
    done, odd = sum(one.rows + one.aside for one in have.values()), sum(one.aside for one in have.values())
    site = desk.site
    goes_on = site.db.write(lambda tx: batches.add_part(tx, site, desk.batch, part, scored=done, aside=odd))
    with site.db.read() as rows:
        now = batches.get(rows, desk.batch.id)
    if not goes_on:
        site.db.write(lambda tx: batches.settle(tx, site, now, CANCELLED, note="asked for while it ran"))
        folders.clear(desk.folder)
        raise Interrupted("batch-cancelled", "The batch was cancelled.", where=desk.batch.subject)
    desk.on_progress(now)


def _refused(piece: Piece, faults: list[Fault]) -> Invalid:
    first = faults[0]
    return Invalid(
        "batch-row-refused",
        "A row cannot be answered, so that nothing was written.",
        where=f"row {piece.first + first.place + 1:,}",
        why=f"{first.code}: {first.message}" + (f"; and {len(faults) - 1:,} more near it" if faults[1:] else ""),
        fix="mend the row, or set such rows aside: ropewalk batch ... --errors aside",
    )


def _frame(desk: _Desk, piece: Piece, answered: Answered) -> pl.DataFrame:
    """Return the answered rows: their own columns, the outputs, and who answered under which id."""
    import polars as pl

    frame = piece.frame if not answered.faults else piece.frame[answered.places]
    outputs = [
        pl.Series(one.name, answered.outputs[one.name], dtype=None if answered.places else pl.Null(), strict=False)
        for one in desk.answerer.served.outputs
    ]
    ids = [batches.prediction_id(desk.batch.id, piece.first + place) for place in answered.places]
    return pl.DataFrame(
        [
            *frame.get_columns(),
            *outputs,
            pl.Series("prediction_id", ids, dtype=pl.String),
            pl.repeat(desk.batch.release, len(ids), dtype=pl.String, eager=True).alias("release"),
            pl.repeat(desk.batch.bundle, len(ids), dtype=pl.String, eager=True).alias("bundle"),
        ]
    )


def _set_aside(piece: Piece, fault: Fault) -> bytes:
    record = piece.records[fault.place]
    return msgspec.json.encode(
        {
            "row": piece.first + fault.place + 1,
            "code": fault.code,
            "field": fault.field,
            "message": fault.message,
            "record": None if isinstance(record, Unread) else record,
        }
    )


def _ended(desk: _Desk, parts: list[Part]) -> Batch:
    """Put the output together and end the batch; killed between the two, it is put together again."""
    site, mine = desk.site, desk.batch
    targets = folders.targets_of(site, mine)
    output = folders.assemble(desk.folder, mine.id, parts, targets, aside=mine.policy == ASIDE)
    source = desk.survey.digest
    done = site.db.write(lambda tx: batches.settle(tx, site, mine, DONE, output=output, source=source))
    folders.clear(desk.folder, keep=targets)
    return done
