"""A batch's own folder: parts that are complete or not there, and the output that they are put together to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ropewalk.batches import batch as batches
from ropewalk.batches.batch import Batch, Part
from ropewalk.refs import digest_of_file
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

OUTPUT, SET_ASIDE = "output.parquet", "aside.ndjson"
WRITERS = {".parquet": "sink_parquet", ".csv": "sink_csv", ".ndjson": "sink_ndjson", ".arrow": "sink_ipc"}
COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where a batch's files go.

    Attributes:
        output: the rows with their answers.
        aside: the rows without, each with the reason.
    """

    output: Path
    aside: Path


def folder_of(site: Site, batch: str) -> Path:
    """Return the folder of a batch, made when it is not there."""
    folder = site.hidden / "batches" / batch
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def targets_of(site: Site, found: Batch) -> Targets:
    """Return where a batch's files go: beside each other where somebody named a file, else in its own folder."""
    if not found.target:
        folder = folder_of(site, found.id)
        return Targets(output=folder / OUTPUT, aside=folder / SET_ASIDE)
    output = site.root / found.target
    return Targets(output=output, aside=output.with_name(f"{output.stem}.aside.ndjson"))


def part_paths(folder: Path, number: int) -> tuple[Path, Path]:
    """Return the files of a part: the answered rows, and those set aside."""
    return folder / f"part-{number:08d}.parquet", folder / f"part-{number:08d}.ndjson"


def keep_part(folder: Path, batch: str, number: int, frame: pl.DataFrame, aside: list[bytes]) -> Part:
    """Write a part whole, then let it be seen."""
    path, other = part_paths(folder, number)
    incoming = path.with_suffix(".incoming")
    frame.write_parquet(incoming, compression="zstd", compression_level=3)
    _settle(incoming, path)
    set_aside = ""
    if aside:
        other_incoming = other.with_suffix(".incoming-aside")
        other_incoming.write_bytes(b"".join(line + b"\n" for line in aside))
        _settle(other_incoming, other)
        set_aside = digest_of_file(other)
    return Part(
        batch=batch,
        number=number,
        rows=frame.height,
        aside=len(aside),
        digest=digest_of_file(path),
        set_aside=set_aside,
    )


def is_whole(folder: Path, part: Part) -> bool:
    """Say whether the files of a part are there, with the bytes that were noted."""
    path, other = part_paths(folder, part.number)
    if not path.is_file() or digest_of_file(path) != part.digest:
        return False
    return not part.set_aside or (other.is_file() and digest_of_file(other) == part.set_aside)


def assemble(folder: Path, batch: str, parts: Iterable[Part], targets: Targets, *, aside: bool) -> str:
    """Put the parts together in order, in bounded memory, and let the whole be seen at once; return its digest.

    Args:
        folder: where the parts are.
        batch: the batch's id, for the names of files that are not whole yet.
        parts: all of them; there is at least one, were it without rows.
        targets: where to.
        aside: whether to write those set aside, which are seen first.
    """
    import polars as pl

    parts = list(parts)
    if aside:
        incoming = targets.aside.with_name(f".{targets.aside.name}.{batch}")
        with incoming.open("wb") as into:
            for part in parts:
                if part.set_aside:
                    _append(part_paths(folder, part.number)[1], into)
        _settle(incoming, targets.aside)
    incoming = targets.output.with_name(f".{targets.output.name}.{batch}")
    frames = [pl.scan_parquet(part_paths(folder, part.number)[0]) for part in parts]
    whole = pl.concat(frames, how="vertical_relaxed")
    if targets.output.suffix == ".json":
        whole.collect().write_json(incoming)
    else:
        getattr(whole, WRITERS[targets.output.suffix])(incoming)
    digest = digest_of_file(incoming)
    _settle(incoming, targets.output)
    return digest


def clear(folder: Path, *, keep: Targets | None = None) -> None:
    """Take a batch's parts away; with `keep` its files stay where they lie in the same folder."""
    kept: set[Path] = set() if keep is None else {keep.output, keep.aside}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path not in kept:
            path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def cancel(site: Site, found: Batch) -> Batch:
    """End a batch and take its parts away; ask the process that works on it to do so, where one does.

    Raises:
        Conflict: it is over.
    """
    ended = site.db.write(lambda tx: batches.cancel(tx, site, found))
    if ended.state == batches.CANCELLED:
        clear(folder_of(site, ended.id))
    return ended


def _append(path: Path, into: IO[bytes]) -> None:
    with path.open("rb") as file:
        shutil.copyfileobj(file, into, COPY_BYTES)


def _settle(incoming: Path, path: Path) -> None:
    """Let a file be seen under its name once the disk has it."""
    with incoming.open("rb") as file:
        os.fsync(file.fileno())
    incoming.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
